"""What is wrong with the CITYBRAIN_* variables, told all at once before any command begins."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from citybrain.dispatch.address import AllowList
from geo.mistake import Mistake

PREFIX = "CITYBRAIN_"
OTHERS = ("DEMO", "DEMO_PORT", "DOMAINS")  # that may be anything, or are looked at where they are used
HIDDEN = "ADMIN_KEY"
ALIKE = 0.85  # an unknown name this near to a known one was meant to be it


def check_environment(environ: Mapping[str, str]) -> list[Mistake]:
    """Empty values are as good as none."""
    mistakes = []
    for name, check in CHECKS.items():
        value = environ.get(PREFIX + name, "").strip()
        if value and (expected := check(value)):
            mistakes.append(Mistake(PREFIX + name, _shown(name, value), expected))
    return mistakes + list(_misspelt(environ))


def _host(value: str) -> str:
    return "" if re.fullmatch(r"[A-Za-z0-9.:_-]+", value) else "an address or a name of this machine, such as 0.0.0.0"


def _port(value: str) -> str:
    return "" if value.isdecimal() and 0 < int(value) < 65536 else "a port, 1 to 65535"


def _folder(value: str) -> str:
    return "" if Path(value).is_dir() else "a folder that is there"


def _folder_to_be(value: str) -> str:
    first = next(path for path in (Path(value).absolute(), *Path(value).absolute().parents) if path.exists())
    return "" if first.is_dir() else f"a folder, or one that can be made; {first} is a file"


def _database(value: str) -> str:
    try:
        driver = make_url(value).drivername
    except (ArgumentError, ValueError):
        driver = ""
    known = ("sqlite", "postgresql", "postgresql+psycopg")
    return "" if driver in known else "postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:///FILE"


def _redis(value: str) -> str:
    parts = _split(value) if "+sentinel://" not in value else None
    needed = {"redis": "hostname", "rediss": "hostname", "unix": "path"}.get(parts.scheme) if parts else None
    if (needed and getattr(parts, needed)) or _sentinels(value):
        return ""
    return "redis://HOST:PORT, rediss://HOST:PORT, unix:///SOCKET or redis+sentinel://HOST:PORT,HOST:PORT/MASTER"


def _sentinels(value: str) -> bool:
    from citybrain.redis_url import client  # a tenth of a second to import

    try:
        client(value).close()
    except ValueError:
        return False
    return "+sentinel://" in value


def _web(value: str) -> str:
    parts = _split(value)
    good = parts and parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
    return "" if good else "where departments reach this installation, such as https://events.example.org"


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def _key(value: str) -> str:
    return "" if value.isascii() and value.isprintable() and " " not in value else "ASCII letters, digits and signs"


def _networks(value: str) -> str:
    try:
        AllowList.parse(value)
    except ValueError as error:
        return str(error)
    return ""


def _whole(value: str, least: int, most: int) -> str:
    good = value.isdecimal() and least <= int(value) <= most
    return "" if good else f"a whole number, {least} to {most}"


CHECKS: dict[str, Callable[[str], str]] = {
    "DATA": _folder_to_be,
    "CITY": _folder,
    "HOST": _host,
    "PORT": _port,
    "DATABASE_URL": _database,
    "REDIS_URL": _redis,
    "PUBLIC_URL": _web,
    "WEBHOOK_ALLOW": _networks,
    HIDDEN: _key,
    "BODIES_MIB": lambda value: _whole(value, 16, 16_384),  # the largest batch must find room
    "API_PROCESSES": lambda value: _whole(value, 1, 1_000),
    "LOG": lambda value: "" if value in ("text", "json") else "text or json",
}


def _misspelt(environ: Mapping[str, str]) -> Iterator[Mistake]:
    known = (*CHECKS, *OTHERS)
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        near = difflib.get_close_matches(name, known, n=1, cutoff=ALIKE) if variable.startswith(PREFIX) else []
        if near and name not in known:
            yield Mistake(variable, "the name", f"a variable of citybrain; did you mean {PREFIX}{near[0]}?")


def _shown(name: str, value: str) -> str:
    """Nothing secret: an address only from behind its password."""
    if name == HIDDEN:
        return "its value"
    return repr("…@" + value.rpartition("@")[2] if "@" in value else value)
