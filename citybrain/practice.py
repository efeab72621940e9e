"""How a city works its cases: `[casework]` of its city.toml. How often and how long each exception is possible, when
supervision is raised, who may do what; casework goes by it, keys name its duties. What a city leaves out is as here."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DAY_MS = 86_400_000
# Every action on a case, in the order in which the table of steps has them.
Action = Literal[
    "file", "dispatch", "relocate", "reassign", "return", "extend", "suspend", "ask", "grant", "resume", "supervise",
    "note", "verify", "rework", "close", "reopen", "appeal", "judge", "merge", "split", "void",
]  # fmt: skip
Photographed = Literal["verify", "rework", "close", "completed"]
Minutes = Annotated[int, Field(ge=1, le=7 * 1440)]
Days = Annotated[int, Field(ge=1, le=3660)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Extension(_Table):
    """延期: how often for one case, how many original limits each may add at most, whether still once it is overdue."""

    most: Annotated[int, Field(ge=0, le=100)] = 2
    limits: Annotated[float, Field(gt=0, le=100)] = 1.0
    once_overdue: bool = False


class Threshold(_Table):
    """Where supervision 督办 is raised by a level: when a part of the limit is left, or when more than a part of it
    has passed since the due time."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    name: Annotated[str, Field(min_length=1, max_length=50)]
    left: Annotated[float, Field(ge=0, lt=1)] | None = None
    past: Annotated[float, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.left is None) == (self.past is None):
            raise ValueError("either `left` or `past`, a part of the limit")
        return self

    @property
    def after_due(self) -> float:
        """Limits after the due time; before it negative."""
        return self.past if self.past is not None else -(self.left or 0)


THRESHOLDS = (
    Threshold(code="quarter_left", name="临期预警", left=0.25),
    Threshold(code="due", name="到期催办", left=0),
    Threshold(code="overdue", name="超期督办", past=0),
    Threshold(code="overdue_twice", name="超期一倍升级督办", past=1),
)
# Who supervises and who commands are separate: the supervisor grants time and judges, the dispatcher hands out work.
# Who has `grant` answers what others ask for, as far as it is theirs to do: `extend`, `suspend`.
DUTIES: dict[str, tuple[Action, ...]] = {
    "clerk": ("file", "relocate", "merge", "split", "void", "ask", "note"),
    "dispatcher": ("dispatch", "reassign", "relocate", "return", "merge", "split", "resume", "ask", "note"),
    "verifier": ("verify", "ask", "note"),
    "supervisor": ("supervise", "extend", "suspend", "grant", "resume", "rework", "close", "reopen", "judge", "note"),
}


class Practice(_Table):
    acceptance_minutes: Minutes = 15  # in triage, until it is filed or dispatched
    dispatch_minutes: Minutes = 15  # filed or returned, until it is dispatched
    returns: Annotated[int, Field(ge=1, le=100)] = 2  # after so many it is supervised, and the next lead is appointed
    suspension_days: Days = 365
    reopen_days: Days = 30
    appeal_days: Days = 30
    extension: Extension = Extension()
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=20)] = THRESHOLDS
    duties: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")], tuple[Action, ...]] = DUTIES
    photos: tuple[Photographed, ...] = ()  # what is not taken without an attachment

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.moments) != sorted(self.moments):
            raise ValueError("thresholds in the order in which they come: the most time left first")
        if len({each.code for each in self.thresholds}) < len(self.thresholds):
            raise ValueError("each threshold's code only once")
        return self

    @cached_property
    def moments(self) -> tuple[tuple[float, bool], ...]:
        """Of each threshold: limits after the due time, and whether it begins only after that moment."""
        return tuple((each.after_due, each.past is not None) for each in self.thresholds)

    def allows(self, duties: frozenset[str], action: str) -> bool:
        """Whether one of the duties has the action; without duties there is nothing to limit."""
        return not duties or any(action in self.duties.get(duty, ()) for duty in duties)

    def who_may(self, action: str) -> list[str]:
        return [duty for duty, actions in self.duties.items() if action in actions]
