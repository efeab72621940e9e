"""The grid worker's page, also without a network."""
