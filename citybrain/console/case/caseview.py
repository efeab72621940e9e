"""Everything that the page of one case shows, gathered once: the case as the API tells it, what belongs to it, and what
may be chosen in its forms."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from citybrain.casework import attachments, reading
from citybrain.casework.attachment_api import TO_CASES
from citybrain.casework.case import OPEN
from citybrain.casework.hindrance import may
from citybrain.casework.relations import suggestions
from citybrain.console import choices
from citybrain.console.case import reckoned, story, triage, why
from citybrain.console.case.caseground import ground_of
from citybrain.console.case.nextstep import next_step
from citybrain.console.door import Form
from citybrain.console.texts import listed, t, word
from citybrain.installation import Installation
from citybrain.intake.photo import PHOTO_BYTES
from citybrain.keys import Key, mask
from citybrain.store.tables import events, reporters

# The order in which people look for them; whatever else the table of steps has comes after.
ORDER = ("dispatch", "file", "verify", "rework", "close", "resume", "reassign", "supervise", "note")
AT_ONCE = 9  # photos of one form
ON_EVIDENCE = ("verify", "rework", "close", "appeal")  # what photos may be named for
AT_HAND = frozenset({"dispatch", "verify", "close", "resume"})  # takes the case further
LEVELS = ("county", "town", "village", "cell")

Told = Mapping[str, Any]


def shown(here: Installation, key: Key, case_id: str, typed: Form) -> dict[str, Any]:
    """`typed` is what stood in a form that did not go through. Raises Problem 404 for what the key may not see."""
    with here.store.read() as tx:
        row = reading.visible_case(tx, case_id, key, here.city)
        case = reading.whole_case(tx, row, here, key)
        beside = _beside(tx, row, case, here, key)
    actions = [name for name in case["actions"] if may(key, name, here.city.practice)]
    if row.event_count < 2:
        actions = [name for name in actions if name != "split"]
    codes = {level: getattr(row, level) for level in LEVELS}
    return beside | {
        "case": case,
        "ground": ground_of(case["place"], here),
        "why": why.of(case["explanation"], row.domain, here),
        "happened": story.timeline(case["timeline"], row.domain, here),
        "answers": story.of_orders(case["timeline"], row.domain, here),
        "reckoned": reckoned.of(case["reckoning"]),
        "sent": {each["work_order_id"]: each for each in case["deliveries"] if each["work_order_id"]},
        "actions": sorted(actions, key=_order),
        "next_step": next_step(case, actions, here),
        "at_hand": AT_HAND,
        "duration": reckoned.duration,
        "wants_photos": [name for name in actions if name in here.city.practice.photos],
        "on_evidence": ON_EVIDENCE,
        "may_add": any(map(key.may, TO_CASES)) and not row.merged_into,
        "taken": "after" if row.lead else "before",
        "photo_limits": {"most": AT_ONCE, "bytes": PHOTO_BYTES},
        **(_offered(case, row, codes, here) if actions else {}),
        **(deciding := triage.panel(here, key, case, actions, typed)),
        "ends_after": _open_parts(case) if actions else [],
        **({"suggested": deciding["suggestion"].department} if deciding else {}),
    }


def _beside(tx: Connection, row: Row[Any], case: Told, here: Installation, key: Key) -> dict[str, Any]:
    """What stands beside the case in the store: reporters, reported places, photos, others about the same thing."""
    mine = events.c.case_id == row.id
    reported = select(reporters).join(events, events.c.id == reporters.c.event_id).where(mine).limit(reading.SHOWN)
    located = select(events.c.id, events.c.location).where(mine).limit(reading.SHOWN)
    photos = attachments.listed(tx, row, "case_id", here.city)
    return {
        "people": {each["event_id"]: mask(dict(each)) for each in tx.execute(reported).mappings()},
        "located": {each.id: each.location for each in tx.execute(located)},
        "photos": {kind: [each for each in photos if each["kind"] == kind] for kind in attachments.KINDS},
        "same": suggestions(tx, row, key, here.city) if row.status in OPEN else [],
        "taken_over": [each["data"]["from"] for each in case["timeline"] if _is_taken_over(each)],
    }


def _open_parts(case: Told) -> list[Told]:
    """The cases of its divisions that it waits for, as far as they may be seen."""
    return [each for each in case["relations"] if each["kind"] == "child" and each["status"] in OPEN]


def _is_taken_over(entry: Told) -> bool:
    return entry["action"] == "merged" and bool(entry["data"].get("from"))


def _offered(case: Told, row: Row[Any], codes: Mapping[str, str | None], here: Installation) -> dict[str, Any]:
    """What the forms let choose from."""
    groups = choices.departments(here, row.domain, row.type, codes)
    return {
        "groups": groups,
        "helpers": choices.nearby(groups),
        "suggested": _thought_responsible(case) or here.responsible(row.domain, row.type, codes) or "",
        "types": choices.types(here, row.domain),
        "regions": choices.regions(here.city),
        "order_options": [(each["id"], _order_words(each)) for each in case["work_orders"]],
        "appeal_options": [
            (each["id"], listed([why.department_name(here, each["department"]), word("against", each["against"])]))
            for each in case["appeals"]
            if each["outcome"] is None
        ],
    }


def _thought_responsible(case: Told) -> str | None:
    """Whom the department named that returned it last."""
    returned = [order for order in case["work_orders"] if case["status"] == order["status"] == "returned"]
    return returned[-1]["responsible_department"] if returned else None


def _order_words(order: Told) -> str:
    role, status = word("order_role", order["role"]), word("order_status", order["status"])
    return f"{order['department_name'] or order['department']}{t('joint.aside', text=listed([role, status]))}"


def _order(action: str) -> int:
    return ORDER.index(action) if action in ORDER else len(ORDER)
