"""`make bench-place`: how fast a point finds its polygon, beside what people use now, in one alternating run.

Partitions of a square degree into random Voronoi polygons, points all over it; every peer's answer is compared with
citybrain's before anything is timed. Writes Markdown tables and draws the growth of the cost as an SVG.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import geopandas
import numpy as np
import psycopg
import shapely

from bench.stores import NotAvailable, Postgresql
from geo.covering import NONE, Covering
from geo.layer import objects
from geo.raster import Raster, finder
from geo.rasterise import rasterise

Bulk = Callable[[Any, Any], Any]
ROUNDS = 3
SINGLE_POINTS, LEAST = 1_000, 20
SINGLE_PATIENCE = 1.0  # s a round
PATIENCE = 10.0  # s a round: a peer that would take longer gets fewer points, and its rate counts
LEVELS = (8, 114, 20_000)


class Measured(NamedTuple):
    polygons: int
    points: int
    bulk: dict[str, float]  # points a second, by peer
    single: dict[str, float]  # seconds a point, by peer
    drawn_in: float  # s
    size: int  # bytes of the raster


@dataclass
class Ground:
    polygons: Any
    covering: Covering
    raster: Raster
    drawn_in: float

    @property
    def size(self) -> int:
        names = ("table", "finer", "cuts", "sides", "segments", "starts", "several")
        return sum(getattr(self.raster, name).nbytes for name in names)


def ground(count: int, seed: int) -> Ground:
    sites = np.random.default_rng(seed).random((count, 2))
    square = shapely.box(0, 0, 1, 1)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(sites), extend_to=square))
    covering = Covering(objects(list(shapely.intersection(cells, square))))
    began = time.perf_counter()
    raster = rasterise(covering)
    return Ground(covering.polygons, covering, raster, time.perf_counter() - began)


def peers(here: Ground, server: str | None) -> dict[str, Bulk]:
    """Each gives an index for each point; on an edge that of any of its polygons, where ours gives the lowest."""
    tree = shapely.STRtree(here.polygons)
    table = geopandas.GeoDataFrame({"number": np.arange(len(here.polygons))}, geometry=here.polygons)

    def by_tree(predicate: str) -> Bulk:
        def ask(x: Any, y: Any) -> Any:
            point, polygon = tree.query(shapely.points(x, y), predicate=predicate)
            found = np.full(len(x), NONE)
            found[point] = polygon
            return found

        return ask

    def joined(x: Any, y: Any) -> Any:
        points = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(x, y))
        found = points.sjoin(table, how="left", predicate="intersects")["number"]
        return found[~found.index.duplicated()].fillna(NONE).to_numpy(np.int64)

    asked: dict[str, Bulk] = {
        "citybrain": lambda x, y: here.raster.locate(x, y, here.covering),
        "STRtree covered_by": by_tree("covered_by"),
        "STRtree intersects": by_tree("intersects"),
        "geopandas.sjoin": joined,
    }
    if len(here.polygons) <= 2_000:
        asked["prepared, one by one"] = lambda x, y: _one_by_one(here.polygons, x, y)
    if server:
        asked["PostGIS"] = postgis(server, here.polygons)
    return asked


def _one_by_one(polygons: Any, x: Any, y: Any) -> Any:
    found = np.full(len(x), NONE)
    for number in range(len(polygons) - 1, -1, -1):
        found[shapely.intersects_xy(polygons[number], x, y)] = number
    return found


def postgis(url: str, polygons: Any) -> Bulk:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("DROP TABLE IF EXISTS ground")
    connection.execute("CREATE TABLE ground (number int, shape geometry)")
    with connection.cursor().copy("COPY ground FROM STDIN") as rows:
        for number, shape in enumerate(shapely.to_wkb(polygons, hex=True)):
            rows.write_row((number, shape))
    connection.execute("CREATE INDEX ON ground USING gist (shape)")
    connection.execute("ANALYZE ground")

    def ask(x: Any, y: Any) -> Any:
        rows = connection.execute(
            "SELECT min(g.number) FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS p(x, y, n)"
            " LEFT JOIN ground g ON ST_Covers(g.shape, ST_Point(p.x, p.y)) GROUP BY p.n ORDER BY p.n",
            (x.tolist(), y.tolist()),
        )
        return np.array([NONE if row[0] is None else row[0] for row in rows])

    return ask


def singles(here: Ground, asked: dict[str, Bulk]) -> dict[str, Callable[[float, float], Any]]:
    find = finder(here.raster, here.covering)
    one = {name: _single(ask) for name, ask in asked.items() if name != "citybrain"}
    return {"citybrain": find, **one}


def _single(ask: Bulk) -> Callable[[float, float], Any]:
    return lambda x, y: ask(np.array([x]), np.array([y]))[0]


def measure(polygons: int, sizes: Sequence[int], server: str | None) -> Iterator[Measured]:
    here = ground(polygons, polygons)
    print(
        f"{polygons:,} polygons: drawn in {here.drawn_in:.1f} s, {here.size / 1e6:.0f} MB", file=sys.stderr, flush=True
    )
    rng = np.random.default_rng(1)
    asked = peers(here, server)
    _compare(asked, rng.random((2_000, 2)))
    single = _time_singles(singles(here, asked), rng.random((SINGLE_POINTS, 2)).tolist())
    for size in sizes:
        x, y = rng.random((2, size))
        yield Measured(polygons, size, _time_bulk(asked, x, y), single, here.drawn_in, here.size)


def _compare(asked: dict[str, Bulk], xy: Any) -> None:
    answers = {name: ask(xy[:, 0].copy(), xy[:, 1].copy()).tolist() for name, ask in asked.items()}
    for name, answer in answers.items():
        if answer != answers["citybrain"]:
            raise SystemExit(f"{name} does not agree with citybrain")


def _time_bulk(asked: dict[str, Bulk], x: Any, y: Any) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in asked}
    least = min(len(x), 1_000)
    for _ in range(ROUNDS):
        for name, ask in asked.items():
            trial = _seconds(ask, x[:least], y[:least])
            size = int(min(len(x), max(least, least * PATIENCE / ROUNDS / trial)))
            rates[name].append(size / (_seconds(ask, x[:size], y[:size]) if size > least else trial))
    return {name: median(each) for name, each in rates.items()}


def _time_singles(asked: dict[str, Callable[[float, float], Any]], points: list[list[float]]) -> dict[str, float]:
    spent: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, ask in asked.items():
            done, began = 0, time.perf_counter()
            while done < len(points) and (done < LEAST or time.perf_counter() - began < SINGLE_PATIENCE):
                for x, y in points[done : done + LEAST]:
                    ask(x, y)
                done += LEAST
            spent[name].append((time.perf_counter() - began) / done)
    return {name: median(each) for name, each in spent.items()}


def _seconds(ask: Bulk, x: Any, y: Any) -> float:
    began = time.perf_counter()
    ask(x, y)
    return time.perf_counter() - began


def all_levels(counts: Sequence[int], size: int) -> dict[str, float]:
    """Points a second through several levels at once, ours and the tree's."""
    layers = [ground(count, count) for count in counts]
    asked = [peers(layer, None) for layer in layers]
    x, y = np.random.default_rng(2).random((2, size))

    def all_of(name: str) -> Bulk:
        return lambda x, y: [each[name](x, y) for each in asked]

    return _time_bulk({name: all_of(name) for name in ("citybrain", "STRtree covered_by")}, x, y)


def table(rows: Sequence[Measured]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row.bulk))
    lines = ["| polygons | points | " + " | ".join(names) + " |", "|---:|---:|" + "---:|" * len(names)]
    for row in rows:
        cells = [_cell(row.bulk[name] / 1e6, row.bulk["citybrain"] / row.bulk[name]) if name in row.bulk else ""
                 for name in names]  # fmt: skip
        lines.append(f"| {row.polygons:,} | {row.points:,} | " + " | ".join(cells) + " |")
    lines += ["", "One point at a time, in µs:", "", "| polygons | " + " | ".join(names) + " |",
              "|---:|" + "---:|" * len(names)]  # fmt: skip
    for row in {row.polygons: row for row in rows}.values():
        cells = [_cell(row.single[name] * 1e6, row.single[name] / row.single["citybrain"]) if name in row.single else ""
                 for name in names]  # fmt: skip
        lines.append(f"| {row.polygons:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float, times: float) -> str:
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return shown + (f" ({times:,.0f} x)" if times != 1 else "")


def draw(rows: Sequence[Measured], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    most = max(row.points for row in rows)
    largest = [row for row in rows if row.points == most]
    for name in dict.fromkeys(name for row in largest for name in row.bulk):
        known = [row for row in largest if name in row.bulk]
        ours = name == "citybrain"
        axes.plot([row.polygons for row in known], [1e6 / row.bulk[name] for row in known], marker="o", label=name,
                  linewidth=2.5 if ours else 1.2, color="#0072B2" if ours else None)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="polygons", ylabel="µs a point, in bulk")
    axes.set_title("what it costs to find a point's polygon", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, metadata={"Date": None})


@contextmanager
def _server_with_postgis() -> Iterator[str | None]:
    """The address of a PostgreSQL of its own, if one with PostGIS is at hand."""
    try:
        server = Postgresql()
    except NotAvailable as missing:
        print(f"without PostGIS: {missing}", file=sys.stderr)
        yield None
        return
    url: str | None = server.start().replace("postgresql+psycopg:", "postgresql:")
    try:
        with psycopg.connect(url or "") as connection:
            connection.execute("CREATE EXTENSION postgis")
    except psycopg.errors.FeatureNotSupported:
        print("without PostGIS: the PostgreSQL here does not have it", file=sys.stderr)
        url = None
    try:
        yield url
    finally:
        server.stop()


def report(rows: Sequence[Measured], levels: dict[str, float], counts: Sequence[int]) -> str:
    ours, theirs = levels["citybrain"], levels["STRtree covered_by"]
    together = ", ".join(f"{count:,}" for count in counts)
    grounds = {row.polygons: row for row in rows}.values()
    drawn = ", ".join(f"{row.polygons:,} polygons {row.drawn_in:.1f} s and {row.size / 1e6:.0f} MB" for row in grounds)
    return "\n".join([
        f"`{' '.join(['python -m bench.place', *sys.argv[1:]])}`, median of {ROUNDS} alternating rounds, one process;"
        f" load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; shapely {shapely.__version__},"
        f" geopandas {geopandas.__version__}. Every peer gave citybrain's answers before it was timed.",
        "",
        "Millions of points a second in bulk, and how many times faster citybrain is:",
        "",
        table(rows),
        "",
        f"Levels of {together} polygons together: {ours / 1e6:.2f} M points/s,"
        f" STRtree `covered_by` {theirs / 1e6:.3f} M/s ({ours / theirs:.0f} x).",
        "",
        f"The raster is drawn once an edition: {drawn}.",
    ])  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench-place", description=__doc__)
    options.add_argument("--polygons", type=int, nargs="+", default=[100, 2_000, 20_000, 200_000])
    options.add_argument("--points", type=int, nargs="+", default=[1_000, 100_000, 2_000_000])
    options.add_argument("--levels", type=int, nargs="+", default=LEVELS, help="polygons of levels asked together")
    options.add_argument("--no-postgis", action="store_true", help="without a PostgreSQL of its own")
    options.add_argument("--chart", type=Path, default=Path("docs/bench-place.svg"))
    options.add_argument("--no-chart", action="store_true")
    options.add_argument("--table", type=Path, default=Path("docs/bench-place.md"))
    chosen = options.parse_args()
    with nullcontext(None) if chosen.no_postgis else _server_with_postgis() as url:
        rows = [row for polygons in chosen.polygons for row in measure(polygons, chosen.points, url)]
    text = report(rows, all_levels(chosen.levels, max(chosen.points)), chosen.levels)
    print(text)
    chosen.table.write_text(text + "\n", encoding="utf-8")
    if not chosen.no_chart:
        draw(rows, chosen.chart)


if __name__ == "__main__":
    main()
