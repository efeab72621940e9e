"""Finds event types by what a person types: Chinese text, pinyin or its initials, English words, a code; best first.

Built once from the domains' catalogues at the first search; `GET /api/v1/types` asks it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from citybrain.routing.catalogue import OR, TOGETHER, Catalogue, EventType
from citybrain.routing.wording import normalise

# The smaller the better: whether a whole text was asked for, its beginning or something inside; then which text.
WHOLE, BEGINNING, INSIDE = range(3)
CODE, NAME, TERM, INITIALS, PINYIN, ENGLISH, OTHER = range(7)


class Entry(NamedTuple):
    domain: str
    kind: EventType
    texts: tuple[tuple[int, str], ...]


class TypeIndex:
    """Every type of the domains with all it may be found by: some thousand short texts, read through in a millisecond
    or two, in any order of the words asked for."""

    def __init__(self, catalogues: Iterable[Catalogue]) -> None:
        self._entries = [_entry(one.domain, kind) for one in catalogues for kind in one.types.values()]

    def texts(self, domains: Iterable[str]) -> list[Entry]:
        """What the types of these domains are found by, for who searches without asking."""
        wanted = frozenset(domains)
        return [entry for entry in self._entries if entry.domain in wanted]

    def find(self, words: str, domain: str | None = None) -> list[tuple[str, EventType]]:
        """(domain, type), the best match first; every word must be found somewhere in the type. All without words."""
        asked = normalise(words).split()
        ranked: list[tuple[int, int, int, str, Entry]] = []
        for entry in self._entries:
            if domain is not None and entry.domain != domain:
                continue
            places = [_place(word, entry) for word in asked]
            if all(place is not None for place in places):
                how, where = max((place for place in places if place), default=(WHOLE, CODE))
                # Of two equal matches the shorter name is nearer to what was asked; then components before matters.
                length, code = (len(entry.kind.row.name), entry.kind.code) if asked else (0, "")
                ranked.append((how, where, length, code, entry))
        ranked.sort(key=lambda row: row[:4])
        return [(entry.domain, entry.kind) for *_, entry in ranked]


def _entry(domain: str, kind: EventType) -> Entry:
    # 50 MB and a third of a second, which only processes pay that are asked to search.
    from pypinyin import Style, lazy_pinyin

    name, row = normalise(kind.row.name), kind.row
    letters = "".join(filter(str.isalnum, name))
    words = [term for term in [*row.things, *row.terms] if OR not in term and TOGETHER not in term]
    texts = [
        (CODE, kind.code),
        (CODE, kind.code[1:] if kind.code[1:].isdigit() else kind.code.rpartition(".")[2]),
        (NAME, name),
        *((TERM, normalise(word)) for word in words),
        (INITIALS, "".join(lazy_pinyin(letters, style=Style.FIRST_LETTER))),
        (PINYIN, "".join(lazy_pinyin(letters))),
        (ENGLISH, normalise(row.name_en)),
        (OTHER, normalise(f"{row.class_} {row.standard}")),
    ]
    return Entry(domain, kind, tuple(dict.fromkeys(texts)))


def _place(word: str, entry: Entry) -> tuple[int, int] | None:
    """The best place where a word stands in a type, None where it stands nowhere."""
    best: tuple[int, int] | None = None
    for where, text in entry.texts:
        if word not in text:
            continue
        how = WHOLE if word == text else BEGINNING if text.startswith(word) else INSIDE
        if best is None or (how, where) < best:
            best = (how, where)
    return best
