"""What a `domain.toml` and the files it includes may say: event types, the rules that find them and the conditions
that sharpen them.

They are read before anything is routed; what is wrong with them is reported all at once, each mistake with its file.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from citybrain.mistakes import from_validation
from geo.mistake import Mistake, did_you_mean

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Grade = Annotated[int, Field(ge=1, le=4, strict=True)]
Unit = Literal["minutes", "hours", "days", "urgent_hours", "working_hours", "working_days"]
Level = Literal["city", "county", "town", "village", "cell"]
TermText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^&/]+([&/][^&/]+)*$")
]
Passage = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+\.toml$")]  # beside the manifest, never elsewhere
Operator = Literal["==", "!=", ">", ">=", "<", "<=", "in", "exists"]
NATIONAL_CODE = re.compile(r"^[cm]\d{5}$")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DomainHead(Strict):
    code: Word
    name: Text
    name_en: Text
    version: Text


class LimitRow(Strict):
    """`example` marks a figure that no city gave: a default of the class, to be replaced by one's own."""

    amount: Annotated[float, Field(gt=0, le=3650)]
    unit: Unit
    example: bool = False


class MergeRow(Strict):
    """Events of one type are one thing when the same device reports again, or anybody from the same cell, as long as
    the case is open; `within_minutes` of the last report, where given. `within_m`: by place, no farther than so many
    metres from the case, where the city has no cells in the finest division that it has. `tells`: whoever works on the
    case hears of each report that joins it, as of a warning's update."""

    by: Literal["device", "place"]
    within_minutes: Annotated[int, Field(ge=1, le=60 * 24 * 31)] | None = None
    within_m: Annotated[float, Field(gt=0, le=5000)] | None = None
    attributes: list[Text] = ["device_id"]
    tells: bool = False

    @model_validator(mode="after")
    def place_has_a_time(self) -> Self:
        if self.by == "place" and self.within_minutes is None:
            raise ValueError("`within_minutes` where it merges by place: another thing may be there tomorrow")
        if self.by == "device" and self.within_m is not None:
            raise ValueError("no `within_m` where it merges by device")
        return self


class Example(Strict):
    """An event as people or devices write it; `posted` is the type it comes with, if any."""

    title: str = ""
    description: str = ""
    attributes: dict[str, Any] = {}
    posted: str | None = None

    @model_validator(mode="after")
    def says_something(self) -> Self:
        if not (self.title.strip() or self.description.strip() or self.attributes):
            raise ValueError("a title, a description or attributes")
        return self


class When(Strict):
    """One test on an attribute. A list satisfies `==` and `in` with any of its elements."""

    attribute: Text
    op: Operator
    value: Any = None
    other_attribute: Text | None = None

    @model_validator(mode="after")
    def has_one_operand(self) -> Self:
        given = {"value", "other_attribute"} & self.model_fields_set
        if self.op != "exists" and len(given) != 1:
            raise ValueError("either `value` or `other_attribute`")
        if self.op == "in" and not isinstance(self.value, list):
            raise ValueError("a list in `value` for the operator `in`")
        if self.op in (">", ">=", "<", "<=") and not self.other_attribute and not is_number(self.value):
            raise ValueError(f"a number in `value` for the operator `{self.op}`")
        return self


class TypeRow(Strict):
    """`duty` is the function responsible, default the domain; who assists is due with the lead, or after `assist_limit`
    where it is given; `also` lists types of other domains an example may rightly reach too; an event over an area has
    a case and, with `children`, one more for each division of that level that it touches; while such a case is open,
    events of the types that it `inhibits`, of any domain, are dispatched to nobody in its divisions of that level, or
    of the type's own `level`, unless they are graver; `class_` groups types in lists; `filing` 立案条件 says when it is
    filed, `closing` 结案条件 when it is done. A term `河里&垃圾` asks for both parts near each other, in any order,
    `河里/江里&垃圾` for one of the first and the second. `things` are terms for objects, often named only to say where
    something is: see `Words`."""

    code: Text
    name: Text
    name_en: Text
    class_: Annotated[str, Field(alias="class")] = ""
    standard: str = ""
    terms: list[TermText] = []
    things: list[TermText] = []
    without: list[Text] = []
    grade: Grade
    filing: Passage = ""
    closing: Passage = ""
    limit: LimitRow
    duty: Word | None = None
    level: Level
    assist: list[Word] = []
    assist_limit: LimitRow | None = None
    merge: Annotated[list[MergeRow], Field(max_length=2)] = []  # tried in this order
    children: Literal["county", "town", "village"] | None = None
    inhibits: list[Text] = []
    also: list[Text] = []
    examples: Annotated[list[Example], Field(min_length=1)]

    @field_validator("merge", mode="before")
    @classmethod
    def one_rule_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @field_validator("merge")
    @classmethod
    def rules_differ(cls, value: list[MergeRow]) -> list[MergeRow]:
        if len({(row.by, *row.attributes) if row.by == "device" else row.by for row in value}) < len(value):
            raise ValueError("rules that differ: by device and by place, or by other attributes")
        return value

    @field_validator("examples", mode="before")
    @classmethod
    def text_is_title(cls, value: Any) -> Any:
        return [{"title": item} if isinstance(item, str) else item for item in value] if _is_list(value) else value


class RuleRow(Strict):
    """Finds a type when every test of `when` holds and, if it has terms, one of them occurs. The lowest `priority`
    is tried first; `overrides` makes it win even over a posted type."""

    code: Word
    type: Text
    terms: list[TermText] = []
    without: list[Text] = []
    when: list[When] = []
    grade: Grade | None = None
    priority: Annotated[int, Field(ge=0, le=1000)] = 100
    overrides: bool = False

    @model_validator(mode="after")
    def tests_something(self) -> Self:
        if not (self.terms or self.when):
            raise ValueError("`when` or `terms`")
        return self


class ConditionRow(Strict):
    """Sharpens a type already found: the first condition that holds sets the limit; any may raise the grade.
    `name` is the condition for filing 立案条件 in words, `closing` what closes it. `void` says why an event for which
    it holds is recorded and dispatched to nobody, unless it joins an open case."""

    code: Word
    name: Text
    closing: Passage = ""
    types: Annotated[list[Text], Field(min_length=1)]
    terms: list[TermText] = []
    without: list[Text] = []
    when: list[When] = []
    grade: Grade | None = None
    limit: LimitRow | None = None
    assist: list[Word] = []
    void: Passage = ""

    @model_validator(mode="after")
    def tests_and_changes(self) -> Self:
        if not (self.terms or self.when):
            raise ValueError("`when` or `terms`")
        if not (self.grade or self.limit or self.assist or self.void):
            raise ValueError("`grade`, `limit`, `assist` or `void`")
        return self


class AlarmRow(Strict):
    """Words of danger: an event whose type is undecided waits at this grade at least when one of them occurs."""

    code: Word
    name: Text
    terms: Annotated[list[TermText], Field(min_length=1)]
    grade: Grade


class Part(Strict):
    """A file that a manifest includes: more of its types, rules and conditions, so that no file is endless."""

    type: list[TypeRow] = []
    rule: list[RuleRow] = []
    condition: list[ConditionRow] = []
    alarm: list[AlarmRow] = []


class Words(Strict):
    """How the domain's reporters say that something is wrong, and what stands after and before a thing that is named
    only to say where."""

    signs: list[Text] = []
    after_place: list[Text] = []
    before_place: list[Text] = []


class Manifest(Part):
    include: list[FileName] = []
    domain: DomainHead
    words: Words = Words()
    settings: dict[str, float | int | str | list[float | int | str]] = {}
    _files: dict[str, str] = PrivateAttr(default_factory=dict)

    def file_of(self, type_: str) -> str:
        """The file that a type stands in, the manifest's own or one that it includes."""
        return self._files.get(type_, "domain.toml")


Found = tuple[str, Part]  # a file and what it holds
Model = TypeVar("Model", bound=Strict)


def read_manifest(path: Path) -> tuple[Manifest | None, list[Mistake]]:
    """The manifest with everything that its files include, rows in the order of the files, its own first."""
    head, mistakes = _read(path, Manifest)
    if head is None:
        return None, mistakes
    parts: list[Found] = [(str(path), head)]
    for name in head.include:
        part, found = _read(path.parent / name, Part)
        mistakes += found
        if part is not None:
            parts.append((str(path.parent / name), part))
    if mistakes:
        return None, mistakes
    manifest = head.model_copy(
        update={
            "type": [row for _, part in parts for row in part.type],
            "rule": [row for _, part in parts for row in part.rule],
            "condition": [row for _, part in parts for row in part.condition],
            "alarm": [row for _, part in parts for row in part.alarm],
        }
    )
    manifest._files.update({row.code: file for file, part in parts for row in part.type})
    if not manifest.type:
        return None, [Mistake(str(path), "type", "at least 1 item, here or in a file that `include` names")]
    return manifest, list(_cross_check(parts, manifest))


def _read(path: Path, model: type[Model]) -> tuple[Model | None, list[Mistake]]:
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig"))), []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return None, [Mistake(str(path), "the file", f"a readable UTF-8 TOML file ({error})")]
    except ValidationError as error:
        return None, from_validation(str(path), error, model)


def _cross_check(parts: Sequence[Found], manifest: Manifest) -> Iterator[Mistake]:
    codes = [row.code for row in manifest.type]
    yield from _doubles("type", [(file, row.code) for file, part in parts for row in part.type])
    yield from _doubles("rule", [(file, row.code) for file, part in parts for row in part.rule])
    yield from _doubles("alarm", [(file, row.code) for file, part in parts for row in part.alarm])
    yield from _doubles("condition", [(file, row.code) for file, part in parts for row in part.condition])
    reachable = {rule.type for rule in manifest.rule}
    for file, part in parts:
        for row in part.type:
            yield from _check_type(file, row, manifest.domain.code + ".", reachable)
        named = [(f"rule {rule.code}", rule.type) for rule in part.rule]
        named += [(f"condition {row.code}", code) for row in part.condition for code in row.types]
        for item, code in named:
            if code not in codes:
                yield Mistake(file, item, f"a type of this domain, found {code}{did_you_mean(code, codes)}")


def _check_type(file: str, row: TypeRow, prefix: str, reachable: set[str]) -> Iterator[Mistake]:
    if not (NATIONAL_CODE.match(row.code) or re.fullmatch(re.escape(prefix) + "[a-z][a-z0-9_]*", row.code)):
        yield Mistake(file, f"type {row.code}", f"a code of the form {prefix}word, or c or m and 5 digits")
    if not (row.terms or row.things) and row.code not in reachable:
        yield Mistake(file, f"type {row.code}", "`terms`, `things`, or a rule that names it, else nothing finds it")


def _doubles(kind: str, found: Sequence[tuple[str, str]]) -> Iterator[Mistake]:
    first: dict[str, str] = {}
    for file, code in found:
        if code in first:
            yield Mistake(file, f"{kind} {code}", f"each code only once, {first[code]} has it too")
        first.setdefault(code, file)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list)
