"""A running service keeps the pack that it was started with, whatever becomes of the folder."""

from pathlib import Path
from typing import Any

from serving import Service

from citybrain.commands.scaffold import new_city

BOX = (-72.7, 42.0, -72.4, 42.2)


def test_broken_pack_is_explained_and_the_running_service_keeps_its_own(new_service: Any, tmp_path: Path) -> None:
    pack = tmp_path / "springfield"
    new_city(pack, name="Springfield", code="SPR", timezone="America/New_York", levels={"county": "Ward"},
             nested=True, box=BOX, domains=["fire"])  # fmt: skip
    service: Service = new_service(CITYBRAIN_CITY=str(pack))
    service.start()
    toml = pack / "city.toml"
    toml.write_text(
        toml.read_text().replace("America/New_York", "America/Newyork").replace("version = 1", "version = 1\nfor = 2")
    )
    (pack / "divisions.csv").unlink()

    checked = service.command("check")
    assert checked.returncode == 1
    mistakes = [line for line in checked.stdout.splitlines() if line.startswith("mistake: ")]
    assert len(mistakes) == 3
    assert any("city.timezone" in line and "did you mean America/New_York?" in line for line in mistakes)
    assert any("pack.for: an unknown key" in line for line in mistakes)
    assert any(line.startswith("mistake: divisions.csv: the file: ") for line in mistakes)

    event = {"source_event_id": "1", "domain": "fire", "type": "fire.building_fire", "title": "house on fire",
             "occurred_at": "2026-01-05T08:00:00-05:00", "location": {"lng": -72.5, "lat": 42.1}}  # fmt: skip
    posted = service.post("/api/v1/events", event)
    assert posted["place"]["county"] == {"code": "C1", "name": "Ward 1"}

    service.stop()
    again = service.command("up", "--data", str(service.data), "--port", str(service.port))
    assert again.returncode == 1
    assert "city.timezone" in again.stderr
    assert "divisions.csv" in again.stderr
