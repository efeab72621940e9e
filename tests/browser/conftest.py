"""A real browser on a real installation. What a page asks of another host, and every error it logs, is a failure."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong
DESK = {"viewport": {"width": 1440, "height": 900}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Visit:
    """One person's browser: `faults` must be empty in the end."""

    context: BrowserContext
    url: str
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)  # console errors that a test means to cause

    def page(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on("console", self._heard)
        return page

    def signed_in(self, key: str) -> Page:
        page = self.page()
        page.goto(f"{self.url}/login")
        page.get_by_label("密钥").fill(key)
        page.get_by_role("button", name="登录").click()
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not any(text in message.text for text in self.allowed):
            self.faults.append(f"console: {message.text}")

    def only_own_host(self, route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(self.url).netloc:
            route.continue_()
        else:
            self.faults.append(f"asked another host: {route.request.url}")
            route.abort()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CITYBRAIN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, (
        "no chromium: install it (Debian: apt-get install chromium fonts-noto-cjk) or name it in CITYBRAIN_CHROMIUM"
    )
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def visits(browser: Browser, service: Any) -> Iterator[Any]:
    """A maker of visits: `visits()` at a desk, `visits(**PHONE)` on a phone."""
    made: list[Visit] = []

    def make(**options: Any) -> Visit:
        context = browser.new_context(**({"locale": "zh-CN", "timezone_id": "Asia/Shanghai"} | (options or DESK)))
        context.set_default_timeout(60_000)
        visit = Visit(context, service.url)
        context.route("**/*", visit.only_own_host)
        made.append(visit)
        return visit

    make.allow = lambda text: [visit.allowed.append(text) for visit in made]  # type: ignore[attr-defined]
    yield make
    faults = [fault for visit in made for fault in visit.faults]
    for visit in made:
        visit.context.close()
    assert not faults
