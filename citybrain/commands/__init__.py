"""What the command line does: prepare and supervise an installation, check it, explain, keys, the demonstration."""
