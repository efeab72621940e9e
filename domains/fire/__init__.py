"""The fire domain 消防."""
