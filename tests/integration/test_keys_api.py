"""Keys through the API: made and shown once, listed without them, ended; and when each was used last."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from desk import ADMIN, Desk
from postgres import both_stores, held
from serving import wait_until
from sqlalchemy import event
from starlette.testclient import TestClient

from citybrain.api.key_uses import Uses
from citybrain.api.keys import create, end, list_keys
from citybrain.app import build
from citybrain.keyring import GAP_SECONDS, Keyring
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import keys

pytestmark = both_stores


def by_name(desk: Desk, state: str | None = None) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in list_keys(ADMIN, desk.here, state, None, 50)["items"]}


def test_a_key_is_shown_once_and_its_use_is_written_down(desk: Desk) -> None:
    made = create(ADMIN, desk.here, {"role": "worker", "name": "lin", "divisions": ["441402"], "days": 30})
    listed = by_name(desk)["lin"]
    assert made.pop("key") not in str(listed)
    assert listed == made
    assert (listed["divisions"], listed["state"], listed["used_at"]) == (["441402"], "valid", None)
    keyring = Keyring(desk.here.store, desk.clock)
    plain = create(ADMIN, desk.here, {"role": "operator", "name": "wang"})["key"]
    desk.pass_time(minutes=1)
    assert keyring.check(plain).name == "wang"
    uses = Uses(desk.here.store, keyring)
    uses.start()
    uses.close()  # writes what is left
    used = {row.name: row.used_at for row in desk.rows(keys)}
    assert used["wang"] == desk.now
    assert used["lin"] is None
    desk.pass_time(days=31)
    assert set(by_name(desk, "expired")) == {"lin"}
    assert set(by_name(desk, "valid")) == {"wang"}


def test_a_new_key_is_known_at_once_however_lately_the_store_was_looked_at(desk: Desk) -> None:
    ring = Keyring(desk.here.store, desk.clock)
    for name in ("wang", "lin", "chen"):
        assert ring.check(create(ADMIN, desk.here, {"role": "operator", "name": name})["key"]).name == name
    create(ADMIN, desk.here, {"role": "operator", "name": "zhao"})
    assert ring.named("zhao") is not None


def test_wrong_keys_do_not_flood_the_store(desk: Desk) -> None:
    ring, reads = Keyring(desk.here.store, desk.clock), list[str]()
    event.listen(desk.here.store.engine, "before_cursor_execute", lambda *given: reads.append(given[2]))

    async def many() -> list[Any]:
        tried = (ring.checked(f"cb{number}.wrong") for number in range(100))
        return await asyncio.gather(*tried, return_exceptions=True)

    assert {type(each) for each in asyncio.run(many())} == {Problem}
    assert len([each for each in reads if "FROM keys" in each]) <= 2


def test_a_key_made_during_a_look_waits_for_the_next_one(desk: Desk) -> None:
    ring, begun, go_on = Keyring(desk.here.store, desk.clock), threading.Event(), threading.Event()

    def stop_once(*given: Any) -> None:
        if "FROM keys" in given[2] and not begun.is_set():
            begun.set()
            go_on.wait(60)

    event.listen(desk.here.store.engine, "after_cursor_execute", stop_once)
    with ThreadPoolExecutor(2) as pool:
        wrong = pool.submit(ring.check, "cb1.wrong")
        assert begun.wait(60)
        key = create(ADMIN, desk.here, {"role": "operator", "name": "wang"})["key"]
        new = pool.submit(ring.check, key)
        wait_until(new.running)
        go_on.set()
        assert isinstance(wrong.exception(60), Problem)
        assert new.result(60).name == "wang"


def test_looks_that_wrong_keys_need_have_a_pause_between_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("citybrain.keyring.time", SimpleNamespace(monotonic=lambda: 100.0, sleep=pauses.append))
    ring = Keyring(desk.here.store, desk.clock)
    for plain in ("cb1.wrong", "cb2.wrong"):
        with pytest.raises(Problem):
            ring.check(plain)
    assert pauses == [0, pytest.approx(GAP_SECONDS)]


def test_a_known_key_waits_for_no_look_that_only_a_wrong_one_needs(desk: Desk) -> None:
    ring = Keyring(desk.here.store, desk.clock)
    plain = create(ADMIN, desk.here, {"role": "operator", "name": "wang"})["key"]
    ring.check(plain)

    async def both() -> bool:
        wrong = asyncio.create_task(ring.checked("cb1.wrong"))
        await asyncio.sleep(0)
        await ring.checked(plain)
        at_once = not wrong.done()
        await asyncio.gather(wrong, return_exceptions=True)
        return at_once

    assert asyncio.run(both())


def test_who_comes_while_the_keys_are_read_shares_that_look_or_the_next(desk: Desk) -> None:
    ring, reads = Keyring(desk.here.store, desk.clock), list[str]()
    plain = create(ADMIN, desk.here, {"role": "operator", "name": "wang"})["key"]
    event.listen(desk.here.store.engine, "before_cursor_execute", lambda *given: reads.append(given[2]))

    async def many() -> list[str]:
        return [key.name for key in await asyncio.gather(*(ring.checked(plain) for _ in range(50)))]

    assert asyncio.run(many()) == ["wang"] * 50
    # Who comes when a look has begun waits for the next, and nobody for a third.
    assert 1 <= len([each for each in reads if "FROM keys" in each]) <= 2


def test_a_process_stops_although_the_last_uses_cannot_be_written(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    plain = create(ADMIN, desk.here, {"role": "operator", "name": "wang"})["key"]
    ring = Keyring(desk.here.store, desk.clock)
    ring.check(plain)
    uses = Uses(desk.here.store, ring)
    with held(desk.here.store, "keys"):
        uses.start()
        uses.close()
        assert "cannot be written down" not in caplog.text  # whoever writes has not given up
    wait_until(lambda: desk.row(keys, keys.c.name == "wang").used_at)


def test_an_ended_key_is_told_apart_and_the_last_admin_is_not_ended(desk: Desk) -> None:
    create(ADMIN, desk.here, {"role": "admin", "name": "liu"})
    create(ADMIN, desk.here, {"role": "source", "name": "app"})
    assert end("app", ADMIN, desk.here).status_code == 204
    assert by_name(desk, "revoked")["app"]["revoked_at"]
    with pytest.raises(Problem) as refused:
        end("liu", ADMIN, desk.here)
    assert refused.value.status == 409
    assert by_name(desk)["liu"]["state"] == "valid"
    told = [row.action for row in desk.rows(ledger, ledger.c.chain == "city")]
    assert told == ["key.created", "key.created", "key.revoked"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"role": "king"}, "role"), ({"domains": ["war"]}, "domains"), ({"days": 0}, "days"), ({"x": 1}, "x"),
        ({"duties": ["clerk"]}, "duties"), ({"datum": "mars"}, "datum"),
    ],
)  # fmt: skip
def test_a_key_that_makes_no_sense_is_refused_by_field(desk: Desk, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as refused:
        create(ADMIN, desk.here, {"role": "worker", "name": "lin"} | wrong)
    assert (refused.value.status, refused.value.errors[0].field.split(".")[0]) == (422, field)
    assert desk.rows(keys) == []


def test_keys_are_for_the_administrator_and_their_list_for_the_auditor(desk: Desk) -> None:
    for role in Role:
        asker = Key(role, role, frozenset(), frozenset(), frozenset())
        if role not in (Role.ADMIN, Role.AUDITOR):
            with pytest.raises(Problem):
                list_keys(asker, desk.here, None, None, 50)
        if role is not Role.ADMIN:
            with pytest.raises(Problem):
                create(asker, desk.here, {"role": "worker", "name": "lin"})
    assert list_keys(Key("shen", Role.AUDITOR, frozenset(), frozenset(), frozenset()), desk.here, None, None, 50)


def test_a_405_says_what_the_address_takes(desk: Desk) -> None:
    http = TestClient(build(desk.here))
    for method, path, allowed in (
        ("DELETE", "/api/v1/keys", "GET, POST"), ("DELETE", "/api/v1/events", "GET, POST"),
        ("PUT", "/login", "GET, POST"), ("POST", "/static/x/console.css", "GET, HEAD"),
        ("PUT", "/api/v1/endpoints/e1", "DELETE, GET, PATCH"), ("POST", "/api/v1/deliveries", "GET"),
    ):  # fmt: skip
        answer = http.request(method, path)
        assert (answer.status_code, answer.headers.get("allow")) == (405, allowed), path
