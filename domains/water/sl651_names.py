"""The names of SL 651's codes, read once from the tables beside this file; `sl651` uses them."""

import csv
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

FOLDER = Path(__file__).parent


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    name_zh: str


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    bits: tuple[str, ...]


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    functions: dict[str, _Name]
    classes: dict[str, _Name]
    parameters: dict[str, _Name]
    state: _State


@dataclass(frozen=True, slots=True)
class Kind:
    """Of an element: its lead byte in two digits, `FFxx` for one of the user's own, and its symbol in ASCII frames."""

    code: str
    symbol: str | None = None
    name: str | None = None
    name_zh: str | None = None
    unit: str | None = None


def _kinds() -> dict[str, Kind]:
    lines = (FOLDER / "sl651_elements.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["code"]: Kind(**{key: value or None for key, value in row.items()}) for row in rows}  # type: ignore[arg-type]  # the code is there


NAMES: Final = _Names.model_validate(tomllib.loads((FOLDER / "sl651_names.toml").read_text(encoding="utf-8")))
KINDS: Final = _kinds()
SYMBOLS: Final = {kind.symbol: kind for kind in KINDS.values() if kind.symbol}
PARAMETERS: Final = {code: Kind(code, None, each.name, each.name_zh) for code, each in NAMES.parameters.items()}
