"""A new domain is one new folder: no line of the service changes."""

import textwrap
from pathlib import Path
from typing import Any

from serving import Receiver, Service

MANIFEST = """
[domain]
code = "culture"
name = "文旅"
name_en = "Culture and tourism"
version = "1"

[[type]]
code = "culture.unlicensed_guide"
name = "无证导游"
name_en = "Guide without a licence"
terms = ["无证导游", "黑导游"]
grade = 3
limit = { amount = 2, unit = "working_days" }
duty = "culture"
level = "county"
examples = ["古城门口有黑导游拉客"]
"""
HANDLER = '''
"""Culture and tourism decide by their rules alone."""

from citybrain.routing.route import route


def decide(events, context):
    return route(events, context)
'''


def test_one_folder_is_a_domain_with_its_own_queue(new_service: Any, receiver: Receiver, tmp_path: Path) -> None:
    folder = tmp_path / "culture"
    folder.mkdir()
    (folder / "domain.toml").write_text(MANIFEST)
    (folder / "handler.py").write_text(textwrap.dedent(HANDLER))
    (folder / "__init__.py").write_text("")
    service: Service = new_service(CITYBRAIN_DOMAINS=str(folder))
    checked = service.command("check")
    assert "culture: 1 types, 1 examples" in checked.stdout.splitlines(), checked.stdout
    service.start()
    service.post("/api/v1/endpoints", {"name": "culture", "url": receiver.url, "domains": ["culture"]})
    event = {
        "source_event_id": "c-1",
        "domain": "culture",
        "description": "景区外面的黑导游带人走山路",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
    }
    assert service.post("/api/v1/events", event)["queue"] == "culture"
    message = receiver.wait("work_order.dispatched").json
    assert message["data"]["case"]["type"] == "culture.unlicensed_guide"
    assert message["data"]["work_order"]["department"] == "441402-wl"
    assert "culture" in [row["domain"] for row in service.get("/api/v1/queues")]
