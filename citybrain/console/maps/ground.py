"""What a reader must know about the ground below the answers: which levels' boundaries are not surveyed."""

from citybrain.city import City
from citybrain.console.texts import listed, named, t, table, word
from geo.edition import Edition, source_counts

HALF = 0.5
_known: dict[str, dict[str, str]] = {}  # by edition, which never changes


def demonstration_note(edition: Edition, city: City) -> str:
    """Demonstration boundaries: Town approximate; empty when all was surveyed or published."""
    if edition.id not in _known:
        _known[edition.id] = _unsure(edition)
    by_source: dict[str, list[str]] = {}
    for level, source in _known[edition.id].items():
        names = city.levels.get(level)
        by_source.setdefault(source, []).append(named(names) if names else level)
    parts = [
        t("ground.boundaries", levels=listed(names), source=word("source", source))
        for source, names in by_source.items()
    ]
    return t("ground.note", levels=t("joint.clause").join(parts)) if parts else ""


def _unsure(edition: Edition) -> dict[str, str]:
    """{level: approximate|generated} where most polygons are so."""
    found: dict[str, str] = {}
    for level, layer in edition.layers.items():
        counts = source_counts(layer)
        for source in table()["source"]:
            if len(layer) and counts.get(source, 0) / len(layer) > HALF:
                found[level] = source
    return found
