"""`make bench-desk`: the desk in a real browser over 20,000 open cases, while events come in: how soon it is there, how
soon a key is answered and an event on screen, and what the page holds after minutes of it."""

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import click
import numpy as np
import orjson
import uvloop
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from sqlalchemy import func, select

from bench.contestants import Citybrain
from bench.measuring import receiving
from bench.posting import Posted, connected, pace
from bench.reports import make_reports
from bench.stores import open_store
from citybrain.clock import now_ms
from citybrain.keys import create_key
from citybrain.store.database import Store
from citybrain.store.tables import cases

AT_ONCE = 1_000
CONNECTIONS = 16
LOADS = 10
KEYS = 100
WATCH = Path(__file__).with_name("watch.js")
SIZE: ViewportSize = {"width": 1920, "height": 1080}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 300.0  # seconds for what was posted to be cased
DRAWN_SECONDS = 60.0
TAKE_EVERY = 20.0  # seconds between two looks at the cases that wait behind the counter


class Desk:
    """An operator's browser on the running installation."""

    def __init__(self, browser: Browser, url: str, key: str) -> None:
        self._browser, self._url = browser, url
        context = browser.new_context(viewport=SIZE, locale="zh-CN", timezone_id="Asia/Shanghai")
        page = context.new_page()
        page.goto(f"{url}/login")
        page.fill("input[name=key]", key)
        page.press("input[name=key]", "Enter")
        page.wait_for_url(lambda address: "/login" not in address)
        self._state = context.storage_state()
        context.close()

    @contextmanager
    def opened(self) -> Iterator[Page]:
        """In a browser that has signed in and loaded nothing yet."""
        context = self._browser.new_context(
            viewport=SIZE, locale="zh-CN", timezone_id="Asia/Shanghai", storage_state=self._state
        )
        context.add_init_script(path=WATCH)
        page = context.new_page()
        page.goto(f"{self._url}/")
        _until_drawn(page)
        yield page
        context.close()

    def loads(self, number: int) -> dict[str, list[float]]:
        """Milliseconds until rows were painted, and until cases stood on the map."""
        found: dict[str, list[float]] = {"rows": [], "map": []}
        for _ in range(number):
            with self.opened() as page:
                painted = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                found["rows"].append(page.evaluate(f"Math.max(watched.rows, {painted})"))
                found["map"].append(page.evaluate("watched.map"))
        return found


def _until_drawn(page: Page) -> None:
    """Asked from outside: Playwright's own waiting evaluates text in the page, which its policy forbids."""
    ends = time.monotonic() + DRAWN_SECONDS
    while not page.evaluate("Boolean(watched.rows && watched.map)"):
        if time.monotonic() > ends:
            raise click.ClickException("the desk was not drawn in a minute")
        page.wait_for_timeout(50)


def keys(page: Page, number: int = KEYS) -> list[float]:
    """Milliseconds from a key to the frame that shows its effect."""
    page.evaluate("watched.keys.length = 0")
    for at in range(number):
        page.keyboard.press("j" if at % 10 else "k")
        page.wait_for_timeout(100)
    found: list[float] = page.evaluate("watched.keys")
    return found


def shown_after(posted: Posted, told: Sequence[tuple[float, int]]) -> list[float]:
    """Milliseconds from the acknowledgement of the n-th event to the moment when the page first told of n more than
    when the first one was sent."""
    to_wall = time.time() - time.monotonic()
    acknowledged = np.sort(posted.acknowledged) + to_wall
    at, number = np.array([moment / 1000 for moment, _ in told]), np.array([count for _, count in told])
    number = number - number[at < posted.sent.min() + to_wall].max(initial=0)
    first = np.searchsorted(np.maximum.accumulate(number), np.arange(1, int(number.max()) + 1))
    known = min(len(first), len(acknowledged))
    return list(1000 * (at[first[:known]] - acknowledged[:known]))


def heap(page: Page) -> dict[str, float]:
    """MiB of objects that are in use, and how many nodes and listeners there are."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {"MiB": told["JSHeapUsedSize"] / 2**20, "nodes": told["Nodes"], "listeners": told["JSEventListeners"]}


class Stream:
    """Events at a steady rate, beside whatever is measured."""

    def __init__(self, city: Citybrain, reports: Iterator[bytes], rate: float) -> None:
        self._city, self._reports, self._rate = city, reports, rate
        self._thread = ThreadPoolExecutor(1)

    def begin(self, seconds: float) -> Future[Posted]:
        some = list(islice(self._reports, int(seconds * self._rate)))
        return self._thread.submit(uvloop.run, self._post(some))

    async def _post(self, some: Sequence[bytes]) -> Posted:
        async with connected(self._city.post, self._city.headers, CONNECTIONS) as connections:
            return await pace(connections, some, self._rate)


def fill(city: Citybrain, reports: Iterator[bytes], number: int) -> None:
    """Until so many cases are open."""
    for first in range(0, number, AT_ONCE):
        city.post_batch([orjson.loads(each) for each in islice(reports, min(AT_ONCE, number - first))])
    store, ends = Store(city.database_url), time.monotonic() + PATIENCE
    while open_cases(store) < number:
        if time.monotonic() > ends:
            raise click.ClickException(f"only {open_cases(store)} of {number} cases were opened in {PATIENCE:.0f} s")
        time.sleep(0.5)
    store.close()


def open_cases(store: Store) -> int:
    with store.read() as tx:
        return int(tx.execute(select(func.count()).select_from(cases)).scalar_one())


def measure(desk: Desk, stream: Stream, minutes: float) -> Iterator[str]:
    """The lines of the answer, as soon as each is known."""
    for what, found in desk.loads(LOADS).items():
        yield line(f"{what} there, nothing coming in, ms", found)
    with desk.opened() as page:
        yield line("key to frame, nothing coming in, ms", keys(page))
    coming = stream.begin(60)
    with desk.opened() as page:
        before = heap(page)
        yield line("key to frame, events coming in, ms", keys(page))
    for what, found in desk.loads(3).items():
        yield line(f"{what} there, events coming in, ms", found)
    coming.result()
    with desk.opened() as page:
        page.wait_for_timeout(5_000)  # what came before is told by then
        posted = stream.begin(30)
        while not posted.done():
            page.wait_for_timeout(200)
        page.wait_for_timeout(5_000)
        yield line("acknowledged to on screen, ms", shown_after(posted.result(), page.evaluate("watched.newer")))
    if minutes:
        yield from grown(desk, stream, minutes, before)


def grown(desk: Desk, stream: Stream, minutes: float, before: dict[str, float]) -> Iterator[str]:
    """What a page holds that stays open, and whose operator takes what is new and goes down the list."""
    with desk.opened() as page:
        coming, told = stream.begin(60 * minutes), 0.0
        begun = time.monotonic()
        while not coming.done():
            page.keyboard.press(".")
            for _ in range(10):
                page.keyboard.press("j")
                page.wait_for_timeout(100 * TAKE_EVERY)
            if time.monotonic() - begun >= told:
                found = heap(page)
                yield f"after {told / 60:4.1f} min: " + ", ".join(
                    f"{value:,.1f} {what}" for what, value in found.items()
                )
                told += 60 * minutes / 10
    yield "when opened:   " + ", ".join(f"{value:,.1f} {what}" for what, value in before.items())


def line(what: str, found: Sequence[float]) -> str:
    p50, p99, most = np.percentile(found, (50, 99, 100))
    return f"{what}: p50 {p50:,.0f}, p99 {p99:,.0f}, max {most:,.0f} of {len(found)}"


@click.command(context_settings={"show_default": True})
@click.option("--cases", "number", default=20_000, help="Open ones.")
@click.option("--rate", default=50.0, help="Events a second.")
@click.option("--minutes", default=10.0, help="For which one page stays open.")
@click.option("--store", type=click.Choice(["sqlite", "postgresql"]), default="sqlite")
@click.option("--chromium", envvar="CITYBRAIN_CHROMIUM", default=shutil.which("chromium") or "chromium-browser")
@click.option("--work", type=click.Path(path_type=Path), default="build/bench-desk")
def main(number: int, rate: float, minutes: float, store: str, chromium: str, work: Path) -> None:
    """What an operator waits for."""
    runs, editions = (work / "runs").resolve(), (work / "editions").resolve()
    shutil.rmtree(runs, ignore_errors=True)
    editions.mkdir(parents=True, exist_ok=True)
    made = make_reports(editions)
    reports = chain(list(islice(made, number)), made)
    city = Citybrain(runs / "data", editions, store=open_store(store))
    most = number + int(rate * 60 * (minutes + 3))
    with receiving(runs / "receiver", most) as (hook, _), sync_playwright() as playwright:
        try:
            (runs / "receiver" / "secret").write_text(city.start(hook))
            fill(city, reports, number)
            record = Store(city.database_url)
            with record.write() as tx:
                key = create_key(tx, "desk", "operator", now_ms(), "bench")
            record.close()
            time.sleep(2)  # until the API knows it
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            desk = Desk(browser, city.post.removesuffix("/api/v1/events"), key)
            for told in measure(desk, Stream(city, reports, rate), minutes):
                click.echo(told)
            browser.close()
        finally:
            city.stop()


if __name__ == "__main__":
    main()
