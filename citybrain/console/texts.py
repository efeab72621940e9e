"""The one table of what the pages say, in every language: a key, and its text in Chinese and English (`texts.toml`).

`t("desk.title")` answers in the language of whoever is being answered, which the door sets before a page is made.
"""

import tomllib
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("zh", "en")
HTML = {"zh": "zh-CN", "en": "en"}

language: ContextVar[str] = ContextVar("language", default="zh")


@cache
def table() -> dict[str, dict[str, dict[str, str]]]:
    """{section: {name: {language: text}}}."""
    return tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))


def t(key: str, **values: Any) -> str:
    """Raises KeyError for a key that the table does not have: a page must not show a key."""
    section, _, name = key.partition(".")
    text = table()[section][name][language.get()]
    return text.format(**values) if values else text


def section(name: str) -> dict[str, str]:
    """A whole section, for a page's script."""
    return {key: texts[language.get()] for key, texts in table()[name].items()}
