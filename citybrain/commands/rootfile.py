"""`citybrain ledger root export`: the ledger's roots in a file to be kept elsewhere. A file that has some already gets
the newer ones; what it has must be the store's."""

import os
from pathlib import Path

from citybrain.clock import now_ms
from citybrain.config import Config
from citybrain.store.database import Store
from citybrain.store.roots import WrongRoots, exported, kept, read_roots, seal


def export(config: Config, file: Path) -> str:
    """Returns what it says to the person. Raises WrongRoots, with the file as it was."""
    there = list(read_roots(file.open(encoding="utf-8"))) if file.exists() and file.stat().st_size else []
    config.make_data()
    store = Store(config.database_url, patient=True)
    try:
        seal(store, now_ms())
        with store.read() as tx:
            last = there[-1] if there else None
            if last and [root.hash for root in kept(tx, last.number - 1)][:1] != [last.hash]:
                raise WrongRoots(f"root {last.number} of {file} is not the store's: `citybrain check --store` with it")
            added = list(kept(tx, last.number if last else 0))
    finally:
        store.close()
    whole = [*there, *added]
    written = file.with_name(file.name + ".new")
    with written.open("w", encoding="utf-8") as out:
        out.writelines(exported(whole))
        out.flush()
        os.fsync(out.fileno())
    written.replace(file)
    end = f"; the last is {whole[-1].number}, hash {whole[-1].hash}" if whole else ""
    return f"{len(added)} roots added to {file}{end}"
