"""The grid domain 网格."""
