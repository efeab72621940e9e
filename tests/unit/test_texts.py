"""The pages' texts are complete: every key in every language, every key that is used, none that is not, and no text
beside them."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from citybrain.casework.case import STEPS, Status
from citybrain.console import problem_words
from citybrain.console.maps import faultwords
from citybrain.console.texts import LANGUAGES, ONE, language, scripted, t, table, word
from citybrain.console.workbench import exporting
from citybrain.keys import Role
from citybrain.routing.decision import TRIAGE

CONSOLE = Path(__file__).parents[2] / "citybrain/console"
CHINESE = re.compile(r"[\u3001-\u301f\u3400-\u9fff\uff01\uff0c\uff1a\uff1b\uff1f]")
BESIDE = {"reference.py"}  # tags of the OpenAPI description, which has one language
SEVERAL = re.compile(r"\{n\} (?!would)(?:\w+ )?(?:(?!has |fails)[a-z]{2,}s|are|have|need)\b")
SCRIPTED = ("script", "phone")  # sections that scripts get whole, and ask by key
# Keys that a template or a module puts together: their section, and where the names come from.
PUT_TOGETHER = {
    "column": set(exporting.COLUMNS),
    "coverage": {"highest", "lowest"},
    "desk": {"overdue", "soon", "triage", "unsent", "quarantined", "working", "waiting"},
    "keys": {"step", "enter", "first", "second", "third", "merge", "suspend", "select", "undo", "newer", "search", "go",
             "help"},
    "reckoned": {"dispatched", "reworked", "reopened", "resumed", "hours", "minutes", "seconds", "early", "late",
                 "free", "after_hours"},
    "next_step": {"triage_dispatch", "triage_file", "filed_dispatch", "returned_dispatch", "dispatched", "accepted",
                  "completed_verify", "completed_check", "completed_rework", "verified_close"},
    "fault_detail": {name for patterns in faultwords.DETAILS.values() for _, name in patterns},
    "story": {"due_at", "until", "into", "from", "text", "note"},
    "verdict": {"by_device", "by_place"},
    "why": {"merges_by_device", "merges_by_place"},
    "phone": {"locate_1", "locate_2", "locate_3", "todo_403", "todo_409", "todo_413", "todo_422"},
    "problem": {name for _, name in problem_words.DETAILS},
    "reason": {name for _, name in problem_words.REASONS},
    "span": {"days", "working_days"},
}  # fmt: skip


def keys() -> set[str]:
    return {f"{section}.{name}" for section, names in table().items() for name in names}


def used() -> set[str]:
    pages = "".join(path.read_text() for path in [*CONSOLE.rglob("*.py"), *CONSOLE.glob("templates/*.html")])
    script, phone = (
        "".join(path.read_text() for path in CONSOLE.glob(f"static/{each}*.js")) for each in ("", "report/")
    )
    together = {f"{section}.{name}" for section, names in PUT_TOGETHER.items() for name in names}
    said = {key for call in re.findall(r"\bsay\(([^;]*)", script) for key in re.findall(r'"([a-z_]+)"', call)}
    told = {
        key for call in re.findall(r"\b(?:say|button)\(([^{)]*)", phone) for key in re.findall(r'"([a-z_]+)"', call)
    }
    actions = {f"action_{name}" for name in re.findall(r'\bact\("(\w+)"\)', script)}
    scripted = {f"script.{key}" for key in said | actions} | {f"phone.{key}" for key in told}
    named = {
        key for call in re.findall(r"\bt\(([^,)]*)", pages) for key in re.findall(r"['\"]([a-z_]+\.\w+)['\"]", call)
    }
    whole = set(re.findall(r"\b(?:word|section|table)\(\)?\[?['\"](\w+)['\"]", pages)) - set(SCRIPTED)
    coded = {f"{name}.{code}" for name in whole for code in table()[name]}
    return named | coded | together | scripted


def test_every_key_has_a_text_in_every_language_with_the_same_blanks() -> None:
    for section, names in table().items():
        for name, texts in names.items():
            assert set(texts) - {"en" + ONE} == set(LANGUAGES), f"{section}.{name}"
            assert all(texts.values()) or name == "between", f"{section}.{name}"
            blanks = {language: sorted(re.findall(r"\{(\w+)\}", text)) for language, text in texts.items()}
            assert len({tuple(each) for each in blanks.values()}) == 1, f"{section}.{name}: {blanks}"


def test_english_counts_one_thing_otherwise_than_several() -> None:
    counting = {f"{section}.{name}" for section, names in table().items() for name, texts in names.items()
                if SEVERAL.search(texts["en"]) and "en" + ONE not in texts}  # fmt: skip
    assert counting == set()
    token = language.set("en")
    assert [t("case.reports", n=n) for n in (0, 1, 2)] == ["0 reports", "1 report", "2 reports"]
    assert [word("unit", "hours", n) for n in (1, 1.5)] == ["hour", "hours"]
    said = scripted("phone")
    assert (said["photos_n"], said["photos_n_one"]) == ("{n} photos", "{n} photo")
    language.reset(token)
    assert t("case.reports", n=1) == "1 条上报"


def test_every_key_that_is_used_exists_and_every_key_is_used() -> None:
    assert used() - keys() == set()
    assert keys() - used() == set()


def test_a_text_is_in_the_language_of_whoever_is_answered() -> None:
    assert t("script.newer", n=3) == "有 3 条新事件 (.)"
    token = language.set("en")
    assert t("script.newer", n=3) == "3 new (.)"
    language.reset(token)
    with pytest.raises(KeyError):
        t("desk.nonsense")


def texts_in(path: Path) -> Iterator[str]:
    """What a file can say: in modules their strings without docstrings, in scripts all but comments."""
    text = path.read_text()
    if path.suffix == ".py":
        tree = ast.parse(text)
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told)
        yield from (node.value for node in strings if isinstance(node.value, str))
    elif path.suffix == ".js":
        yield re.sub(r"(?m)^\s*//.*$|\s// .*$", "", text)
    else:
        yield text


def test_no_text_stands_beside_the_table() -> None:
    paths = [*CONSOLE.rglob("*.py"), *CONSOLE.glob("templates/*"), *CONSOLE.glob("static/*.js")]
    paths += CONSOLE.glob("static/report/*.js")
    assert len(paths) > 80
    found = {str(path.relative_to(CONSOLE)) for path in paths for text in texts_in(path) if CHINESE.search(text)}
    assert found == BESIDE


@pytest.mark.parametrize(
    ("name", "codes"),
    [("status", Status), ("action", STEPS), ("action_hint", STEPS), ("triage_reason", TRIAGE), ("role", Role)],
)
def test_a_code_of_the_record_has_its_word(name: str, codes: Iterable[str]) -> None:
    assert {str(code) for code in codes} - set(table()[name]) == set()


def test_a_code_without_a_word_is_shown_itself() -> None:
    assert [word("status", code) for code in ("closed", "something_new", None)] == ["已结案", "something_new", ""]
