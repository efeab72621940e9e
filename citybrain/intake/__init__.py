"""From a stranger's bytes to a recorded event: parse, locate, record, ring."""
