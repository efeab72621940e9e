"""The names of GB/T 26875.3's numbers, read once from the table beside this file; `gb26875` uses them."""

import tomllib
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict


class Name(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    name_zh: str


class Analogue(Name):
    unit: str
    decimals: int
    low: int
    high: int


class _States(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    system: tuple[str, ...]
    component: tuple[str, ...]
    transmitter: tuple[str, ...]


class _Operations(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    system: tuple[str, ...]
    transmitter: tuple[str, ...]


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    commands: dict[int, Name]
    types: dict[int, Name]
    systems: dict[int, Name]
    components: dict[int, Name]
    analogues: dict[int, Analogue]
    bits: _States
    operations: _Operations


_FILE = Path(__file__).parent / "gb26875_names.toml"
NAMES: Final = _Names.model_validate(tomllib.loads(_FILE.read_text(encoding="utf-8")))
