"""What the campaign puts into the product's processes: the product itself knows nothing of it.

A child process finds `sitecustomize` on its path, and the functions that `points` and `planted` name are wrapped when
their module is imported.
"""
