"""The one table of what the pages say, in every language: a key, and its text in Chinese and English (`texts.toml`).

`t("desk.title")` says one of them and `word("status", "closed")` the word for a code of the record, in the language of
whoever is being answered, which the door sets before a page is made.
"""

import tomllib
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from citybrain.routing.decision import LOST, TRIAGE

LANGUAGES = ("zh", "en")
ONE = "_one"  # a language that says one thing otherwise than several has two texts, chosen by {n}: `en` and `en_one`
HTML = {"zh": "zh-CN", "en": "en"}

language: ContextVar[str] = ContextVar("language", default="zh")


@cache
def table() -> dict[str, dict[str, dict[str, str]]]:
    """{section: {name: {language: text}}}. What a decision says of itself is said so here too."""
    texts = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))
    texts["lost_because"] = {code: words._asdict() for code, words in LOST.items()}
    texts["triage_reason"] |= {code: words._asdict() for code, words in TRIAGE.items()}
    return texts


def t(key: str, **values: Any) -> str:
    """Raises KeyError for a key that the table does not have: a page must not show a key."""
    section, _, name = key.partition(".")
    text = _of(table()[section][name], values.get("n"))
    return text.format(**values) if values else text


def word(name: str, code: object, n: object = None) -> str:
    """The word for a code of the record, or the code itself: a new one must not make a page fail. Empty for none."""
    if code is None or code == "":
        return ""
    texts = table()[name].get(str(code))
    return _of(texts, n) if texts else str(code)


def _of(texts: Mapping[str, str], n: object) -> str:
    own = language.get()
    return texts.get(own + ONE, texts[own]) if n in (1, "1") else texts[own]


def listed(parts: Iterable[object]) -> str:
    """甲、乙、丙"""
    return t("joint.comma").join(map(str, parts))


class Named(Protocol):
    """What a pack names in both languages: a city, a level, a domain, a type, an industry."""

    @property
    def name(self) -> str: ...
    @property
    def name_en(self) -> str: ...


def named(row: Named | Mapping[str, str]) -> str:
    key = "name_en" if language.get() == "en" else "name"
    return row[key] if isinstance(row, Mapping) else str(getattr(row, key))


def section(name: str) -> dict[str, str]:
    """A whole section, to choose from."""
    return {key: texts[language.get()] for key, texts in table()[name].items()}


def scripted(name: str) -> dict[str, str]:
    """A section for a page's script, which chooses by {n} itself: `key`, and `key_one` where there is one."""
    one = language.get() + ONE
    return section(name) | {key + ONE: texts[one] for key, texts in table()[name].items() if one in texts}
