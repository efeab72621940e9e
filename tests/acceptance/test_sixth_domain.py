"""A new domain is one new folder: no line of the service changes."""

import textwrap
from pathlib import Path
from typing import Any

from conftest import Receiver, Service

MANIFEST = """
[domain]
code = "market"
name = "市场监管"
name_en = "Market supervision"
version = "1"

[[type]]
code = "market.expired_food"
name = "销售过期食品"
name_en = "Expired food on sale"
terms = ["过期食品", "食品过期"]
grade = 3
limit = { amount = 2, unit = "working_days" }
duty = "city_management"
level = "county"
examples = ["超市在卖过期食品"]
"""
HANDLER = '''
"""Market supervision decides by its rules alone."""

from citybrain.routing.route import route


def decide(events, context):
    return route(events, context)
'''


def test_one_folder_is_a_domain_with_its_own_queue(new_service: Any, receiver: Receiver, tmp_path: Path) -> None:
    folder = tmp_path / "market"
    folder.mkdir()
    (folder / "domain.toml").write_text(MANIFEST)
    (folder / "handler.py").write_text(textwrap.dedent(HANDLER))
    (folder / "__init__.py").write_text("")
    service: Service = new_service(CITYBRAIN_DOMAINS=str(folder))
    checked = service.command("check")
    assert "market: 1 types, 1 examples" in checked.stdout.splitlines(), checked.stdout
    service.start()
    service.post("/api/v1/endpoints", {"name": "market", "url": receiver.url, "domains": ["market"]})
    event = {
        "source_event_id": "m-1",
        "domain": "market",
        "description": "小卖部的牛奶和面包都是过期食品",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
    }
    assert service.post("/api/v1/events", event)["queue"] == "market"
    message = receiver.wait("work_order.dispatched").json
    assert message["data"]["case"]["type"] == "market.expired_food"
    assert "market" in [row["domain"] for row in service.get("/api/v1/queues")]
