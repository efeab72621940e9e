"""The system of record: tables, transactions, claims, ledger, stream. Whatever is answered 2xx is in here."""

from citybrain.store import (
    appeal_tables,
    attachment_tables,
    coverage_tables,
    dispatch_tables,
    edition_tables,
    ledger_tables,
    silence_tables,
    view_tables,
)
from citybrain.store.database import Store

__all__ = [
    "Store", "appeal_tables", "attachment_tables", "coverage_tables", "dispatch_tables", "edition_tables",
    "ledger_tables", "silence_tables", "view_tables",
]  # fmt: skip
