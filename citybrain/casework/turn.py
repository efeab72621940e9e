"""One action on a case as it is asked for: the validated request, who asks, and what may be looked up for it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import ColumnElement, Connection

from citybrain.casework.beside import Beside
from citybrain.casework.case import step_of
from citybrain.city import City
from citybrain.installation import Installation
from citybrain.keys import Key, cases_visible, work_orders_visible
from citybrain.problem import FieldError, Problem
from citybrain.words import Words

Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64)]


class Request(BaseModel):
    """The body of `POST /cases/{id}/{action}`: the version that was seen, and what the action requires."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[int, Field(strict=True, ge=1)]
    department: Code | None = None
    assist: list[Code] = Field(default_factory=list, max_length=20)
    type: Code | None = None
    location: dict[str, Any] | None = None
    reason: Words | None = None
    responsible: Words | None = None
    until: AwareDatetime | None = None
    what: Literal["extend", "suspend"] | None = Field(default=None, description="that is asked for")
    granted: Annotated[bool, Field(strict=True)] | None = None
    text: Words | None = None
    note: Words | None = Field(default=None, description="the same as `text`, as feedback calls it")
    attachments: list[Code] = Field(default_factory=list, max_length=20, description="ids of photos")
    passed: Annotated[bool, Field(strict=True)] | None = None
    into: Code | None = None
    events: list[Code] = Field(default_factory=list, max_length=1000)
    work_order: Code | None = Field(default=None, description="whose department appeals")
    against: Literal["overdue", "returned", "rework"] | None = None
    appeal: Code | None = None
    upheld: Annotated[bool, Field(strict=True)] | None = None

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if self.note and self.text:
            raise ValueError("either `text` or `note`")
        return self.model_copy(update={"text": self.note, "note": None}) if self.note else self


@dataclass(frozen=True, slots=True)
class Turn:
    """One action at work: the request, who asks, and what it may look up."""

    tx: Connection
    request: Request
    key: Key
    installation: Installation
    visible: ColumnElement[bool]  # which other cases this key may touch
    visible_orders: ColumnElement[bool]
    beside: Beside

    @classmethod
    def of(cls, tx: Connection, request: Request, key: Key, here: Installation, beside: Beside) -> Self:
        visible = (cases_visible(key, here.city), work_orders_visible(key, here.city))
        return cls(tx, request, key, here, *visible, beside)

    @property
    def actor(self) -> str:
        return self.key.name

    @property
    def city(self) -> City:
        return self.installation.city


def parse_request(action: str, raw: Any) -> Request:
    step_of(action)
    if not isinstance(raw, dict):
        raise Problem(422, "the body is a JSON object", errors=[FieldError("", "not an object", 'send {"version": …}')])
    try:
        return Request.model_validate(raw)
    except ValidationError as error:
        errors = [
            FieldError(".".join(map(str, item["loc"])), item["msg"], f"see the requirements of {action}")
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Problem(422, f"{action}: {errors[0].field}: {errors[0].message}", errors=errors) from None
