"""One folder per domain: domain.toml (manifest) + handler.py. A new domain is one new folder."""
