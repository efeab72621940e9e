"""The system of record: tables, transactions, claims, ledger, stream. Whatever is answered 2xx is in here."""

from citybrain.store import appeal_tables, coverage_tables, edition_tables
from citybrain.store.database import Store

__all__ = [
    "Store",
    "appeal_tables",
    "coverage_tables",
    "edition_tables",
]  # whoever asks for the metadata has all tables
