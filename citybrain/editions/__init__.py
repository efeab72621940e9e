"""Editions of the boundaries: load, compare, try out, activate."""
