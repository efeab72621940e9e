"""The log says what happened to which event, and never what a report or an exception says."""

import asyncio
import gc
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from citybrain import logs
from citybrain.logs import JsonLine, TextLine, request_id
from citybrain.store.database import StoreUnavailable

PERSONAL = "陈小明"


@pytest.fixture(params=["json", "text"])
def lines(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What a process would write."""
    written: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JsonLine("work") if request.param == "json" else TextLine())
    root = logging.getLogger()
    root.addHandler(handler)
    yield written
    root.removeHandler(handler)


def fail() -> None:
    try:
        {}[PERSONAL]
    except KeyError as error:
        raise ValueError(f"no such person: {PERSONAL}") from error


def test_an_exception_is_told_by_its_kind_and_place_without_its_words(lines: list[str]) -> None:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        try:
            fail()
        except ValueError:
            logging.getLogger("somebody").log(level, "it failed", exc_info=True)
    written = "\n".join(lines)
    assert PERSONAL not in written
    assert "KeyError" in written
    assert "ValueError" in written
    assert "test_logs.py" in written


def test_what_the_store_and_the_system_say_is_told(lines: list[str]) -> None:
    for error in (StoreUnavailable("disk full"), FileNotFoundError(2, "No such file", "/data/x")):
        logging.getLogger("somebody").error("it failed", exc_info=error)
    assert "disk full" in lines[0]
    assert "No such file" in lines[1]


def test_groups_and_forgotten_tasks_are_told_without_words_too(lines: list[str]) -> None:
    group = ExceptionGroup(PERSONAL, [ValueError(PERSONAL), TypeError(PERSONAL)])
    logging.getLogger("somebody").error("several failed", exc_info=group)

    async def forget() -> None:
        async def work() -> None:
            raise ValueError(PERSONAL)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()

    asyncio.run(forget())
    written = "\n".join(lines)
    assert "TypeError" in written
    assert "never retrieved" in written
    assert PERSONAL not in written


def test_the_request_and_the_ids_are_fields(lines: list[str], request: pytest.FixtureRequest) -> None:
    under = request_id.set("proxy-17")
    logging.getLogger("somebody").warning("it waits", extra={"event": "e1", "delivery": "msg_1"})
    request_id.reset(under)
    assert "proxy-17" in lines[0]
    if lines[0].startswith("{"):
        told = json.loads(lines[0])
        assert (told["request"], told["event"], told["delivery"]) == ("proxy-17", "e1", "msg_1")
        assert (told["part"], told["level"], told["message"]) == ("work", "warning", "it waits")


def test_a_process_and_a_thread_that_end_in_an_unforeseen_way_say_so_in_the_same_form() -> None:
    program = f"""
import threading
from citybrain import logs
logs.set_up("work", "json")
def fail(): raise ValueError("{PERSONAL}")
thread = threading.Thread(target=fail); thread.start(); thread.join()
fail()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["level"] for line in told] == ["critical", "critical"]
    assert PERSONAL not in ended.stderr
    assert ended.returncode == 1


def test_setting_up_leaves_one_handler() -> None:
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], sys.excepthook, threading.excepthook)
    try:
        logs.set_up("a", "text")
        logs.set_up("b", "json")
        assert len(root.handlers) == 1
    finally:
        root.handlers[:], sys.excepthook, threading.excepthook = before
