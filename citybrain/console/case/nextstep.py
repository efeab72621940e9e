"""What comes next for a case, and who has to do it: the sentence at the top of its page, by its status and by what
whoever looks may do. It names the button of the form that takes the case further."""

from collections.abc import Collection, Mapping
from typing import Any

from citybrain.console.case.why import department_name
from citybrain.console.texts import t
from citybrain.installation import Installation

# By status: what takes it further, the usual way first.
FURTHER: Mapping[str, tuple[str, ...]] = {
    "triage": ("dispatch", "file"),
    "filed": ("dispatch",),
    "returned": ("dispatch",),
    "completed": ("verify", "rework"),
    "verified": ("close",),
}


def next_step(case: Mapping[str, Any], actions: Collection[str], here: Installation) -> str:
    """Empty where nothing is to come, or where it stands beside the status: muted, suspended, merged."""
    status = case["status"]
    if status in ("dispatched", "accepted"):
        told = t(f"next_step.{status}", department=department_name(here, case["department"]))
        return told + t("next_step.demo") if here.config.demo else told
    if status == "closed":
        return t("next_step.closed")
    if status not in FURTHER or case["muted"]:
        return ""
    mine = next((each for each in FURTHER[status] if each in actions), None)
    if mine == "verify" and "rework" not in actions:
        mine = "check"  # who checks on site says with it what was not done
    return t(f"next_step.{status}_{mine}") if mine else t("next_step.others")
