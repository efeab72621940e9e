"""A stranger's first hour, by what terminal and pages say alone: `citybrain up --demo` to a closed case. Nothing here
knows an address, a file, an id or a key but from what it has just read."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from ports import free_port

ADDRESS = re.compile(r"ready (http://\S+)\n")
KEY_FILE = re.compile(r"密钥在文件 (.+) 中\n")


@dataclass
class Terminal:
    """What it shows of `citybrain up --demo`, as far as a person would read before going on."""

    shown: str
    log: Path

    @property
    def url(self) -> str:
        return self._read(ADDRESS)

    @property
    def key(self) -> str:
        return Path(self._read(KEY_FILE)).read_text().strip()

    def _read(self, pattern: re.Pattern[str]) -> str:
        found = pattern.search(self.shown)
        assert found, self.shown
        return found[1]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, editions: Path) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "citybrain-data").mkdir()
    (folder / "citybrain-data/editions").symlink_to(editions)  # compiling them takes a minute, once
    environment = {name: text for name, text in os.environ.items() if not name.startswith("CITYBRAIN_")}
    log = folder / "stderr"
    with log.open("wb") as errors:
        argv = [sys.executable, "-m", "citybrain", "up", "--demo", "--workers", "1", "--port", str(free_port())]
        up = subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert up.stdout
    yield Terminal("".join(up.stdout.readline() for _ in range(3)), log)
    up.send_signal(signal.SIGINT)
    up.wait(60)


def decide(page: Page, button: str) -> None:
    """Presses it, and does not wait the ten seconds in which it could be taken back."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("button", name="立即执行").click()


def test_a_stranger_comes_from_the_terminal_to_a_closed_case(visits: Any, service: Terminal) -> None:
    page = visits().page()
    page.goto(service.url)
    page.get_by_label("密钥").fill(service.key)
    page.get_by_role("button", name="登录").click()

    case = page.get_by_role("region", name="案件", exact=True)
    expect(case).to_contain_text("从哪里开始")
    case.get_by_role("link", name="待分拨").click()
    expect(page.get_by_role("heading", name="待分拨", exact=True)).to_be_visible()
    expect(page.locator("table.cases[aria-multiselectable]")).to_be_visible()  # clicks are heard from then
    page.get_by_role("row").filter(has_text="待分拨").first.click()

    expect(case).to_contain_text("下一步：规则没有判定，由您决定：核对位置，选择事件类型，核对主办部门，点“派遣”。")
    case.get_by_label("查找类型").fill("路灯")
    expect(case).to_contain_text("责任部门：")
    decide(page, "派遣")

    expect(case).to_contain_text("下一步：等")
    expect(case).to_contain_text("演示中由模拟的部门自动反馈")
    expect(case).to_contain_text("部门已反馈处置完毕。现场核查合格，点“核查通过”")
    decide(page, "核查通过")

    expect(case).to_contain_text("下一步：核查合格，点“结案”归档。")
    decide(page, "结案")
    expect(case).to_contain_text("下一步：没有了，案件已归档。")
    expect(case.get_by_text("已结案").first).to_be_visible()

    page.get_by_role("link", name="网格员上报").click()
    expect(page.get_by_text("这是网格员的页面")).to_be_visible()
    assert service.key not in service.shown + service.log.read_text()
