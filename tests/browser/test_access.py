"""Every page can be used by whoever sees, hears or types: axe-core finds nothing, in both themes."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from serving import Service

AXE = Path(__file__).parent / "vendor/axe-core/axe.min.js"
PHONE = {"viewport": {"width": 360, "height": 740}}
PAGES = ["/", "/cases?status=triage", "/queues", "/events", "/deliveries?status=held", "/coverage", "/report", "/docs"]
COVERAGE = ["/coverage", "/coverage?division=441402&level=village&days=365&include_demo=1"]


@pytest.fixture(scope="module")
def service(shared_service: Service) -> Service:
    return shared_service


@pytest.fixture(scope="module")
def case(service: Service) -> str:
    event = {
        "source_event_id": "access-1",
        "domain": "grid",
        "title": "路灯不亮",
        "occurred_at": "2026-01-05T08:00:00+08:00",
        "location": {"lng": 116.1174053, "lat": 24.2912377, "datum": "wgs84"},
    }
    posted = service.post("/api/v1/events", event)["id"]
    return str(service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])["case_id"])


def wrong(page: Page) -> list[str]:
    """What axe-core finds on the page as it stands."""
    assert AXE.is_file(), "axe-core is missing: python hatch_build.py brings it"
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{page.url} {rule['id']}: {rule['help']} {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(
    ("options", "pages"),
    [
        ({"color_scheme": "light"}, PAGES),
        ({"color_scheme": "dark"}, PAGES[:-1]),
        (PHONE, ["/", "/queues", *COVERAGE]),
        (PHONE | {"color_scheme": "dark"}, COVERAGE),
    ],
    ids=["light", "dark", "phone", "phone-dark"],
)
def test_axe_finds_nothing_on_any_page(
    visits: Any, service: Service, case: str, options: Any, pages: list[str]
) -> None:
    visit = visits(**options)
    page = visit.page()
    page.goto(f"{service.url}/login")
    found = wrong(page)
    page = visit.signed_in(service.admin_key)
    for path in [*pages, f"/cases/{case}"]:
        page.goto(service.url + path)
        if page.locator("#live-state").count():
            expect(page.locator("#live-state")).to_have_text("实时")
        found += wrong(page)
    assert found == []


def test_axe_finds_nothing_at_the_workbench_while_somebody_works(visits: Any, service: Service, case: str) -> None:
    page = visits(color_scheme="dark", viewport={"width": 1440, "height": 900}).signed_in(service.admin_key)
    page.locator("tr[data-id]").first.click()
    expect(page.locator("#case-pane h1")).to_be_visible()
    page.keyboard.press("x")
    found = wrong(page)
    page.locator(".a-note summary").click()
    page.locator("#note-text").fill("已联系")
    page.locator(".a-note button").click()
    found += wrong(page)
    page.get_by_role("button", name="撤销").click()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    found += wrong(page)
    assert found == []
