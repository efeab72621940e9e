"""The system of record: tables, transactions, claims, ledger, stream. Whatever is answered 2xx is in here."""

from citybrain.store.database import Store

__all__ = ["Store"]
