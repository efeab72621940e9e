"""The names of HJ 212's codes, read once from the tables beside this file; `hj212` uses them."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

FOLDER = Path(__file__).parent


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    name_zh: str
    medium: str | None = None


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    systems: dict[str, _Name]
    commands: dict[str, _Name]
    flags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Factor:
    """`code` is that of 2017, also where a frame has the code of 2005; `unit` is the standard's."""

    code: str
    name: str
    name_zh: str
    unit: str | None


def _factors() -> Mapping[str, Factor]:
    lines = (FOLDER / "hj212_factors.csv").read_text(encoding="utf-8").splitlines()
    found: dict[str, Factor] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        factor = Factor(row["code"], row["name"], row["name_zh"], row["unit"] or None)
        found |= {row["code"]: factor} | ({row["code_2005"]: factor} if row["code_2005"] else {})
    return found


NAMES: Final = _Names.model_validate(tomllib.loads((FOLDER / "hj212_names.toml").read_text(encoding="utf-8")))
FACTORS: Final = _factors()
NORMAL: Final = frozenset(flag for flag, name in NAMES.flags.items() if name == "normal")
