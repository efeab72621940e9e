"""A small city of quadrangles that share their corners: counties A and B, each with towns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geo.divisions import Division, Divisions

WEST, SOUTH, STEP = 116.0, 24.0, 0.01  # about a kilometre
ENVELOPE = (115.9, 23.9, 117.0, 25.0)

TOML = """[pack]
version = 1
[city]
code = "C"
name = "Plots"
name_en = "Plots"
timezone = "Asia/Shanghai"
default_datum = "wgs84"
crs = "EPSG:4548"
envelope = [115.9, 23.9, 117.0, 25.0]
boundaries_date = "2026-01-01"
[levels]
nested = true
county = { name = "县", name_en = "County" }
town = { name = "镇", name_en = "Town" }
[working_time]
days = ["mon", "tue", "wed", "thu", "fri"]
hours = ["08:00-12:00", "14:00-18:00"]
"""
DEPARTMENTS = """[[department]]
code = "{division}-cg"
name = "{name}城管"
name_en = "{name}"
level = "town"
each = "town"
domains = ["grid", "fire", "water", "environment", "emergency", "market"]
"""
INDUSTRIES = """[registry]
begins = 2026-01-01
default_basis = "all"
[[basis]]
code = "all"
name = "全部"
name_en = "All"
source = "test"
industries = ["governance"]
[[industry]]
code = "governance"
name = "基层治理"
name_en = "Governance"
basis = "test"
domains = ["grid"]
"""


class Plots:
    """`across` x `up` towns, half of them in each county; corners inside the city are moved by chance."""

    def __init__(self, across: int = 4, up: int = 3, seed: int = 0, prefix: str = "T") -> None:
        rng = np.random.default_rng(seed)
        x, y = np.meshgrid(np.arange(across + 1.0), np.arange(up + 1.0), indexing="ij")
        inside = (x % across > 0) & (y % up > 0)
        x, y = (each + inside * rng.uniform(-0.3, 0.3, each.shape) for each in (x, y))
        self.corners = np.round(np.stack([WEST + x * STEP, SOUTH + y * STEP], axis=-1), 9)
        self.rows = {f"{prefix}{i:02}{j:02}": ("A" if i < across // 2 else "B", self._quad(i, j)) for i in range(across)
                     for j in range(up)}  # fmt: skip

    def _quad(self, i: int, j: int) -> Any:
        return shapely.Polygon([self.corners[a, b] for a, b in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))])

    @property
    def codes(self) -> list[str]:
        return list(self.rows)

    def counties(self) -> dict[str, Any]:
        return {
            county: shapely.coverage_union_all([shape for home, shape in self.rows.values() if home == county])
            for county in "AB"
        }

    def divisions(self) -> Divisions:
        towns = [Division(code, f"镇{code}", "town", home) for code, (home, _) in self.rows.items()]
        return Divisions(
            [Division("C", "城", "city", ""), *(Division(c, f"县{c}", "county", "C") for c in "AB"), *towns]
        )

    def county_features(self) -> list[dict[str, Any]]:
        return [feature(code, shape, name=f"县{code}") for code, shape in self.counties().items()]

    def town_features(self) -> list[dict[str, Any]]:
        return [feature(code, shape, name=f"镇{code}", parent=home) for code, (home, shape) in self.rows.items()]

    def write(self, folder: Path) -> Path:
        """A whole pack."""
        (folder / "boundaries").mkdir(parents=True)
        (folder / "city.toml").write_text(TOML, encoding="utf-8")
        (folder / "departments.toml").write_text(DEPARTMENTS, encoding="utf-8")
        (folder / "industries.toml").write_text(INDUSTRIES, encoding="utf-8")
        known = self.divisions()
        rows = [
            known.get(code) for level in ("city", "county", "town") for code in (r.code for r in known.level(level))
        ]
        lines = [f"{row.code},{row.name},{row.level},{row.parent_code}" for row in rows if row]
        (folder / "divisions.csv").write_text("\n".join(["code,name,level,parent_code", *lines]), encoding="utf-8")
        write(folder / "boundaries/county.geojson", self.county_features())
        write(folder / "boundaries/town.geojson", self.town_features())
        return folder


def feature(code: Any, shape: Any, **more: Any) -> dict[str, Any]:
    drawn = json.loads(shapely.to_geojson(shape)) if shape is not None else None
    return {"type": "Feature", "properties": {"code": code, "source": "surveyed", **more}, "geometry": drawn}


def write(path: Path, features: list[dict[str, Any]]) -> Path:
    path.write_bytes(collection(features))
    return path


def collection(features: list[dict[str, Any]]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode()
