"""The ground below the maps, the cases on it, and its editions."""
