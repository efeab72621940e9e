"""How many people a report says are trapped, hurt, missing or dead; domains use it to grade incidents.

Numbers a poster gives as attributes are theirs to give; this only reads the words.
"""

import re

from citybrain.routing.report import Filed
from citybrain.routing.wording import READ

KINDS = {
    "trapped": "被困|被埋|受困|困在",
    "injured": "受伤|轻伤|重伤|中毒|烧伤|送医",
    "deaths": "死亡|遇难|身亡|溺亡",
    "missing": "失联|失踪",
}
_SIGNS = "困埋伤毒医亡难失"
_DIGITS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_GAP = r"[^\d，。；、,;一二两三四五六七八九十]{0,6}?"
_COUNTED = {
    kind: re.compile(rf"(\d{{1,4}}|[一二两三四五六七八九十]{{1,3}})(?:余|多|几)?(?:名|个|位|人){_GAP}(?:{words})")
    for kind, words in KINDS.items()
}
_VERB_FIRST = {
    "trapped": re.compile(r"[困埋]了?(?:有|着)?(\d{1,4}|[一二两三四五六七八九十]{1,3})(?:余|多|几)?(?:名|个|位|人)")
}
_SOMEONE = {
    kind: re.compile(rf"(?:有人|人员|居民|工人|老人|小孩|学生|群众|村民|司机|乘客){_GAP}(?:{words})")
    for kind, words in KINDS.items()
}
_NOBODY = re.compile(
    r"(?:没有|没|无|未造成|未发生|暂无|未见|未发现)(?:人员?|群众)?[^，。；,;]{0,4}(?:被困|受困|伤亡|受伤|死亡|失踪|失联)"
)


def casualties(event: Filed) -> dict[str, int]:
    """`{kind: number}` for what is said and not denied and not already an attribute; "有人被困" counts as one."""
    text = f"{event.title}\n{event.description[:READ]}"
    if not any(sign in text for sign in _SIGNS):
        return {}
    text = _NOBODY.sub("", text)
    found: dict[str, int] = {}
    for kind, pattern in _COUNTED.items():
        if kind in event.attributes:
            continue
        patterns = [pattern, _VERB_FIRST[kind]] if kind in _VERB_FIRST else [pattern]
        if numbers := [count(match[1]) for one in patterns for match in one.finditer(text)]:
            found[kind] = max(numbers)
        elif _SOMEONE[kind].search(text):
            found[kind] = 1
    return found


def count(text: str) -> int:
    """A number of people in digits or in Chinese up to 99."""
    if text.isdigit():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return _DIGITS.get(ones[-1:], 1)
    return 10 * _DIGITS.get(tens[-1:], 1) + _DIGITS.get(ones[-1:], 0)
