"""From files that somebody gives to an edition in the store, with its report; whole, or nothing but the report.

Files are examined in a process of their own: whatever a stranger's polygons do to the libraries that read them, the
service goes on.
"""

import multiprocessing
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import shapely

from citybrain.clock import rfc3339
from citybrain.installation import Installation
from citybrain.store.editions import Content, find, is_known, keep_edition
from geo.divisions import LEVELS, Division, Divisions
from geo.edition import Edition, digest_of, edition_id, edition_in, keep, source_counts
from geo.fault import KINDS, Fault, counts, map_layer, most_telling
from geo.layer import Layer, Progress
from geo.reading import Given, Scheme

SECONDS = 600  # for the examination of one edition
MOST_ITEMS = 1_000  # faults in a report; all are counted


@dataclass(frozen=True, slots=True)
class Job:
    """What the examining process needs to know."""

    given: Sequence[Given]
    divisions: Sequence[tuple[str, ...]]
    scheme: Scheme
    level_names: Mapping[str, str]
    base: Path | None
    id: str
    out: Path


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and what of the levels. The content lies in the job's `out`, if there was no error."""

    faults: Sequence[Fault]
    counts: Mapping[str, Mapping[str, int]]
    levels: dict[str, dict[str, Any]] = field(default_factory=dict)
    valid: bool = False


def load(
    here: Installation,
    given: Sequence[Given],
    *,
    name: str,
    dated: str,
    actor: str,
    progress: Progress | None = None,
    kept: bool = True,
) -> dict[str, Any]:
    """The report. `kept`: into the store; else the report is all that there is. With `progress` it is examined in this
    very process: it is a command's, and may end with it."""
    with tempfile.TemporaryDirectory(prefix="citybrain-") as folder:
        job = _job(here, given, dated, Path(folder) / "edition.npz")
        if kept:
            with here.store.read() as tx:
                if is_known(tx, job.id):
                    return {**find(tx, job.id).report, "known": True}
        examined = examine(job, progress) if progress else _apart(job, Path(folder))
        report = _report(job, examined, name, dated)
        if kept:
            content = Content.of(job.out) if examined.valid else None
            now = here.clock()
            report |= {"loaded_at": rfc3339(now, here.city.zone), "loaded_by": actor}
            faults = map_layer(examined.faults[:MOST_ITEMS])
            with here.store.write() as tx:
                keep_edition(tx, job.id, name, report, faults, content, now, actor)
    return report


def examine(job: Job, progress: Progress | None = None) -> Examined:
    from geo.compile import compile_files

    divisions = Divisions(Division(*row) for row in job.divisions)
    known = edition_in(job.base, "") if job.base else None
    base = known[0].layers if known else None
    outcome = compile_files(
        job.given, divisions, job.scheme, base=base, closed=False, level_names=job.level_names, progress=progress
    )
    levels = {
        level: {"polygons": len(table), "file": table.file, **table.about} for level, table in outcome.tables.items()
    }
    if outcome.compiled is None or outcome.divisions is None:
        return Examined(outcome.faults, outcome.counts, levels)
    edition = keep(outcome.compiled, outcome.divisions, job.scheme, job.id, job.out)
    return Examined(outcome.faults, outcome.counts, _levels(edition, levels, base or {}), valid=True)


def _levels(edition: Edition, files: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each level where it is from: a file, the edition in use, or drawn because nobody has mapped it."""
    shown = {}
    for level, layer in edition.layers.items():
        kept = level in base and _same(base[level], layer)
        origin = "file" if level in files else "edition in use" if kept else "drawn"
        shown[level] = {"polygons": len(layer), "from": origin, "sources": source_counts(layer), **files.get(level, {})}
    return shown


def _same(one: Layer, other: Layer) -> bool:
    same = one.codes.tolist() == other.codes.tolist()
    return same and bool(shapely.equals_exact(one.polygons, other.polygons).all())


def _job(here: Installation, given: Sequence[Given], dated: str, out: Path) -> Job:
    scheme, present = here.city.scheme, here.locator.edition.id
    divisions = here.city.divisions
    rows = [astuple(row) for level in LEVELS for row in divisions.level(level)]
    named = {file.level for file in given}
    lacking = "" in named or bool(set(scheme.levels) - named)
    names = {word: level for level, table in here.city.levels.items() for word in (table.name, table.name_en)}
    digest = digest_of(given, divisions, scheme, present if lacking else "")
    return Job(given, rows, scheme, names, here.edition_file(present), edition_id(dated, digest), out)


def _apart(job: Job, folder: Path) -> Examined:
    answer = folder / "answer"
    process = multiprocessing.get_context("spawn").Process(target=_answer, args=(job, answer), daemon=True)
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    if not answer.exists():
        what = f"files that can be examined: it ended with {process.exitcode} within {SECONDS} s"
        fault = Fault("unreadable", True, "", ", ".join(file.name for file in job.given), what)
        return Examined([fault], counts([fault]))
    examined: Examined = pickle.loads(answer.read_bytes())  # noqa: S301 - written by our own child a moment ago
    return examined


def _answer(job: Job, answer: Path) -> None:
    examined = examine(job)
    part = answer.with_suffix(".part")
    part.write_bytes(pickle.dumps(examined))
    part.rename(answer)


def _report(job: Job, examined: Examined, name: str, dated: str) -> dict[str, Any]:
    listed = most_telling(examined.faults)
    return {
        "id": job.id,
        "name": name,
        "date": dated,
        "valid": examined.valid,
        "levels": examined.levels,
        "counts": {word: dict(kinds) for word, kinds in examined.counts.items()},
        "items": [fault.as_dict() for fault in listed[:MOST_ITEMS]],
        "left_off": sum(sum(kinds.values()) for kinds in examined.counts.values()) - len(listed[:MOST_ITEMS]),
        "rule": "an error forbids activation, a warning does not",
        "remedies": {kind: KINDS[kind] for kinds in examined.counts.values() for kind in kinds},
    }


def report_of(edition: Edition, name: str) -> dict[str, Any]:
    """Of an edition that was compiled elsewhere: the city pack's own."""
    levels = {
        level: {"polygons": len(layer), "from": "city pack", "sources": source_counts(layer)}
        for level, layer in edition.layers.items()
    }
    examined = Examined(edition.findings, counts(edition.findings), levels, valid=True)
    bare = Job((), (), Scheme((), edition.crs), {}, None, edition.id, Path())
    return _report(bare, examined, name, edition.date)


def faults_of(edition: Edition) -> str:
    return map_layer(most_telling(edition.findings)[:MOST_ITEMS])
