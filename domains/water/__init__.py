"""The water domain 水务."""
