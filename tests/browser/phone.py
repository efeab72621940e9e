"""What tests of the grid worker's page share: a phone, photos, and what the page keeps on it."""

import io
from pathlib import Path
from typing import Any

from photos import picture
from PIL import Image
from playwright.sync_api import Page, expect

LAMP = {"longitude": 116.1174053, "latitude": 24.2912377, "accuracy": 18}
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2,
    "geolocation": LAMP, "permissions": ["geolocation"],
}  # fmt: skip
AT_THE_LAMP = {1: "N", 2: (24.0, 17.0, 28.4557), 3: "E", 4: (116.0, 7.0, 2.659)}
AXE = Path(__file__).parent / "vendor/axe-core/axe.min.js"
KEPT = """async () => {
  const database = await new Promise((found) => {
    indexedDB.open("citybrain-report").onsuccess = ({target}) => found(target.result);
  });
  const all = (name) => new Promise((found) => {
    database.transaction(name).objectStore(name).getAll().onsuccess = ({target}) => found(target.result);
  });
  return {outbox: await all("outbox"), sent: await all("sent")};
}"""


def arrive(visit: Any, service: Any, key: str) -> Page:
    """The page, signed in."""
    signed_in = service.call("POST", "/api/v1/session", {"key": key}, key="").headers["set-cookie"]
    name, _, token = signed_in.partition(";")[0].partition("=")
    visit.context.add_cookies(
        [{"name": name, "value": token, "url": visit.url, "httpOnly": True, "sameSite": "Strict"}]
    )
    page: Page = visit.page()
    page.goto(f"{visit.url}/report")
    return page


def photo(number: int) -> dict[str, Any]:
    """One that no other is like, taken at the lamp."""
    data = picture(size=(800 + number, 600), gps=AT_THE_LAMP, orientation=6)
    return {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": data}


def write(page: Page, title: str, *photos: dict[str, Any]) -> None:
    page.get_by_label("发生了什么").fill(title)
    if photos:
        page.locator("#album").set_input_files(list(photos))
        expect(page.locator("#photos li")).to_have_count(len(photos))
    expect(page.locator("#located")).to_contain_text("定位精度约 18 米")


def send(page: Page) -> None:
    page.locator("#send").tap()
    expect(page.get_by_label("发生了什么")).to_have_value("")


def report(page: Page, title: str, *photos: dict[str, Any]) -> None:
    write(page, title, *photos)
    send(page)


def look(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="页面").get_by_role("link", name=name).tap()


def kept(page: Page) -> Any:
    return page.evaluate(KEPT)


def ready_for_no_network(page: Page) -> None:
    page.evaluate(
        """async () => {
          await navigator.serviceWorker.ready;
          const kept = async () => (await caches.match("/report/offline")) && (await caches.match("/report/types"));
          while (!(await kept())) await new Promise((resolve) => setTimeout(resolve, 50));
        }"""
    )


def clean(page: Page) -> None:
    """Nothing that axe-core finds, nothing wider than the screen, nothing too small for a thumb or to read in rain."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})")
    wrong = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
    assert not wrong, wrong
    small = page.evaluate(
        """() => [...document.querySelectorAll("main button, main .button, main select, main textarea, .views a,"
          + "main input:not([type=hidden], [type=file], [type=radio]), main summary")]
          .filter((each) => each.checkVisibility())
          .filter((each) => each.offsetHeight < 48 || parseFloat(getComputedStyle(each).fontSize) < 16)
          .map((each) => each.outerHTML)"""
    )
    assert not small, small
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def size_of(jpeg: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(jpeg)).size
