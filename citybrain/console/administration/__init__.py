"""Endpoints and keys."""
