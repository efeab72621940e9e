"""How the service is doing, for whoever keeps it running: figures, and what is kept for how long."""
