"""`citybrain responsibility`: where no department answers for which types, as lines to read or as a table."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from citybrain.api.vacancies import Part

SHOWN = 40


def summary(asked: Part) -> Iterator[str]:
    """Divisions that lack the same types are told once."""
    together: dict[tuple[str, str, str], list[str]] = {}
    for row in asked.grouped():
        where = f"{row['division_name']} ({row['division']}), {row['places']:,} places"
        together.setdefault((row["domain"], row["duty"], where), []).append(row["type"])
    for number, ((domain, duty, where), types) in enumerate(together.items()):
        if number == SHOWN:
            yield f"… and {len(together) - SHOWN:,} more: --csv FILE has all of them"
            break
        more = f" and {len(types) - 3} more" if len(types) > 3 else ""
        yield f"nobody for {domain}/{duty} in {where}: {', '.join(types[:3])}{more}"
    places, pairs = int(asked.mine.sum()), asked.map.pairs(asked.types, asked.mine)
    yield f"{len(asked.types):,} types in {places:,} places: {pairs:,} pairs without a department"


def write(asked: Part, target: str, each: bool) -> None:
    if target == "-":
        csv.writer(sys.stdout).writerows(asked.lines(each))
        return
    with Path(target).open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(asked.lines(each))
