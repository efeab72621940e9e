"""Coordinates, editions, the locator. Knows nothing of events."""
