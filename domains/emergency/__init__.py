"""The emergency domain 应急."""
