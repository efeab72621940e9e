"""What a handler decides about one event, and the words for what no rule decides."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from citybrain.deadline import Limit


class Words(NamedTuple):
    zh: str
    en: str


# Why an event waits in triage 待分拨; the codes are stable, operators filter by them.
TRIAGE = {
    "outside": Words("位置在本市范围之外，待定位", "The place is outside the city"),
    "no_place": Words("没有可用的位置信息，待定位", "There is no usable place"),
    "no_type": Words("没有规则能判定事件类型", "No rule finds a type"),
    "ambiguous_type": Words("多个类型同样符合，需人工判定", "Several types fit equally well"),
    "no_department": Words("该位置没有登记的责任部门", "No department is registered for this duty here"),
}

# Why a rule or a term that matched did not win.
LOST = {
    "posted_wins": Words("上报类型优先", "the posted type wins"),
    "rule_wins": Words("属性规则优先于关键词", "a rule on attributes wins over terms"),
    "priority": Words("优先级较低", "another rule has a higher priority"),
    "excluded": Words("出现排除词", "an excluding term occurs"),
    "part_of_longer": Words("只是更长关键词的一部分", "it is only part of a longer term that matched"),
    "less_specific": Words(
        "其他类型的关键词更长、更多或更靠前", "longer or more terms, or in the title, matched another type"
    ),
    "place": Words("只说明位置", "it only says where"),
    "no_sign": Words("没有说明出了什么问题", "nothing near says what is wrong with it"),
    "too_little": Words("符合的字太少", "too few letters matched"),
    "words_differ": Words("全文更像其他类型", "the words as a whole look more like another type"),
    "tied": Words("与其他类型不相上下", "it ties with another type"),
}

LOWEST_GRADE = 4


class Merge(NamedTuple):
    """Events with the same `key` are reports of one thing, if less than `minutes` and `metres` lie between them.
    Without a key the rule does not apply: no device was named, there is no cell."""

    key: str | None
    minutes: int | None = None
    metres: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`limit` is the lead's, and that of who assists unless there is an `assist_limit`. `grade` runs from 1 (gravest)
    to 4. `triage` is a key of TRIAGE when the event needs a person, else None. `merges` says what it may be a further
    report of: an entry for each rule of its type, in their order; with `tells`, whoever works on that hears of each.
    `void`: why it is given up at once and nobody decides, unless it joins an open case."""

    event_id: str
    type: str | None
    grade: int
    lead: str | None
    assist: tuple[str, ...] = ()
    limit: "Limit | None" = None
    triage: str | None = None
    explanation: dict[str, Any] = field(default_factory=dict)
    merges: tuple[Merge, ...] = ()
    assist_limit: "Limit | None" = None
    tells: bool = False
    void: str | None = None

    @property
    def merge_key(self) -> str | None:
        """Of the first rule that applies to it."""
        return next((merge.key for merge in self.merges if merge.key), None)
