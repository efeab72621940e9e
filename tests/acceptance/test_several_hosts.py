"""A city on several machines: the record on one, API and patrol on two, workers on others, a department's system on one
more. What is true of one machine is true of them, also when links are cut and machines die."""

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import pytest
from crowd import all_moved_on, each_delivered, event, post_until_answered
from hosts import From, Host, Network, Record
from serving import Receiver, wait_until
from sqlalchemy import ColumnElement, Table, select

from citybrain.broker import find_server
from citybrain.clock import now_ms
from citybrain.commands.check import check_store
from citybrain.config import BUILTIN_CITY, Config
from citybrain.keys import create_key, ensure_admin, revoke_key
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.migrate import migrate
from citybrain.store.tables import counters, events, leases

ADMIN_KEY = "cbseveral.an-admin-key-that-only-these-tests-know"
CUT_SECONDS = 27  # longer than the lease of a delivery
EVENTS, BATCH = 1_000, 50


@dataclass
class Town:
    """`left` and `right` are what a user speaks with, who does not know that there are two of them."""

    record: Host
    first: Host
    second: Host
    works: Host
    receiver: Receiver
    left: From
    right: From
    store: Store

    def key(self, role: str, name: str, **scope: str) -> str:
        with self.store.write() as tx:
            made = create_key(
                tx, name, role, now_ms(), "test", **{word: codes.split(",") for word, codes in scope.items()}
            )
        return made

    def acts(self, host: Host) -> bool:
        """Whether it is this host's patrol that acts."""
        with self.store.read() as tx:
            holder = tx.execute(select(leases.c.holder).where(leases.c.lease_until > now_ms())).scalar()
        return bool(holder) and holder.endswith(f":{host.running['patrol'].pid}")


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, editions: Path) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    network, database = Network(folder, {}), None
    try:
        record, first, second, works, outside = (
            network.host(name) for name in ("record", "first", "second", "works", "outside")
        )
        for host in network.hosts:
            host.data.mkdir()
            (host.data / "editions").symlink_to(editions)
        record.launch("broker", [*find_server(), "--bind", record.address, "--protected-mode", "no", "--save", ""])
        database = Record(record)
        database.start()
        network.environment |= {
            "CITYBRAIN_DATABASE_URL": database.url_on_hosts("postgres"),
            "CITYBRAIN_REDIS_URL": f"redis://{record.address}:6379/0",
            "CITYBRAIN_PUBLIC_URL": "https://city.example",
            "CITYBRAIN_WEBHOOK_ALLOW": "10.77.0.0/24",
        }
        migrate(database.url("postgres"))
        store = Store(database.url("postgres"))
        with store.write() as tx:
            ensure_admin(tx, ADMIN_KEY, now_ms())
        with Receiver.listening(outside.socket("listen", outside.address, 9000)) as receiver:
            left, right = (From(outside, host, ADMIN_KEY) for host in (first, second))
            made_town = Town(record, first, second, works, receiver, left, right, store)
            for host in (first, second):
                host.start("serve")
            works.start("work")
            first.start("patrol")
            wait_until(left.is_ready)
            wait_until(right.is_ready)
            wait_until(lambda: made_town.acts(first))
            second.start("patrol")
            left.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
            yield made_town
        store.close()
    finally:
        network.end()
        if database is not None:
            shutil.rmtree(database.folder)


def test_an_event_is_walked_from_report_to_closure_whichever_api_is_asked(town: Town) -> None:
    source = town.key("source", "gateway", domains="fire")
    operator = town.key("operator", "wang", divisions="441402")
    worker = town.key("worker", "li", divisions="441402")
    report = {
        "source_event_id": "story-1",
        "domain": "fire",
        "title": "居民楼五楼着火，浓烟很大",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
    }
    accepted = town.left.call("POST", "/api/v1/events", report, source)
    assert accepted.status == 202
    message = town.receiver.wait("work_order.dispatched").json["data"]
    assert message["work_order"]["feedback_url"].startswith("https://city.example/api/v1/work-orders/")
    case_id = message["case"]["id"]
    assert town.right.get(f"/api/v1/events/{accepted.body['id']}", source)["case_id"] == case_id

    apis = (town.left, town.right)
    for number, order in enumerate(town.right.get(f"/api/v1/cases/{case_id}", operator)["work_orders"]):
        system = town.key("system", f"system-{number}", departments=order["department"])
        for api, status in zip(apis, ("accepted", "completed"), strict=True):
            path = f"/api/v1/work-orders/{order['id']}/feedback"
            assert api.post(path, {"feedback_id": f"{number}-{status}", "status": status}, system)["status"] == status
    version = town.left.get(f"/api/v1/cases/{case_id}", operator)["version"]
    verified = town.left.post(f"/api/v1/cases/{case_id}/verify", {"version": version, "passed": True}, worker)
    closed = town.right.post(f"/api/v1/cases/{case_id}/close", {"version": verified["version"]}, operator)
    assert closed["status"] == "closed"
    assert town.receiver.wait("case.closed").json["data"]["case"]["id"] == case_id


def test_the_same_event_posted_to_both_at_once_is_one_event(town: Town) -> None:
    source = town.key("source", "twice")
    reports = [event(number) | {"source_event_id": f"twice-{number}"} for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        posted = [
            [pool.submit(api.call, "POST", "/api/v1/events", report, source) for api in (town.left, town.right)]
            for report in reports
        ]
        answers = [[each.result() for each in pair] for pair in posted]
    assert {tuple(sorted(each.status for each in pair)) for pair in answers} == {(200, 202)}
    assert all(one.body["id"] == other.body["id"] for one, other in answers)
    batch = [report | {"source_event_id": f"again-{number}"} for number, report in enumerate(reports)]
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(api.call, "POST", "/api/v1/events/batch", body, source)
            for api, body in ((town.left, batch), (town.right, batch[::-1]))
        ]
    counts = [each.result().body for each in both]
    assert sum(each["accepted"] for each in counts) == sum(each["duplicate"] for each in counts) == len(batch)


def test_a_stream_of_one_shows_what_was_posted_to_the_other_and_resumes_there(town: Town) -> None:
    source = town.key("source", "watched")
    with_stream = _watch(town.right, source)
    first = town.left.post("/api/v1/events", event(30) | {"source_event_id": "seen-1"}, source)["id"]
    position = _until(with_stream, first)
    with_stream.close()
    second = town.right.post("/api/v1/events", event(31) | {"source_event_id": "seen-2"}, source)["id"]
    resumed = _watch(town.left, source, position)
    seen: list[str] = []
    _until(resumed, second, seen)
    resumed.close()
    assert first not in seen


def test_a_key_that_is_revoked_is_refused_by_both(town: Town) -> None:
    gone = town.key("operator", "gone")
    for api in (town.left, town.right):
        assert api.call("GET", "/api/v1/cases", key=gone).status == 200
    with town.store.write() as tx:
        revoke_key(tx, "gone", now_ms(), "test")
    for api in (town.left, town.right):
        wait_until(lambda api=api: api.call("GET", "/api/v1/cases", key=gone).status == 401)


def test_a_session_begun_at_one_goes_on_at_the_other(town: Town) -> None:
    begun = town.left.call("POST", "/api/v1/session", {"key": town.key("operator", "zhao")}, key="")
    cookie = begun.headers["set-cookie"].partition(";")[0]
    assert town.right.call("GET", "/api/v1/session", key="", Cookie=cookie).body["name"] == "zhao"
    ended = town.right.call("DELETE", "/api/v1/session", key="", Cookie=cookie, X_CSRF_Token=begun.body["csrf_token"])
    assert ended.status == 204
    assert town.left.call("GET", "/api/v1/session", key="", Cookie=cookie).status == 401


def test_1000_events_survive_cut_links_and_the_death_of_a_machine(town: Town) -> None:
    all_moved_on(town.left)
    acknowledged: set[str] = set()

    def post(api: From, start: int, end: int) -> None:
        for number in range(start, end, BATCH):
            acknowledged.update(post_until_answered(api, range(number, number + BATCH)))

    # A worker's machine is cut off while it is sending some messages, and in the middle of opening cases: numbers are
    # kept from it for so long. What it holds is somebody else's after the lease.
    town.receiver.open.clear()
    post(town.left, 0, 200)
    wait_until(lambda: len(_held(town, deliveries)) >= 10)
    with town.store.write() as tx:
        tx.execute(select(counters).where(counters.c.name.like("%-fire")).with_for_update())
        post(town.left, 200, 300)
        fires = wait_until(lambda: _held(town, events, events.c.domain == "fire"))
        town.works.cut()
    cut_at = time.monotonic()
    town.receiver.open.set()
    town.second.start("work")
    post(town.right, 300, 500)

    # The machine of the acting patrol dies, and an API with it.
    assert town.acts(town.first)
    town.first.die()
    post(town.right, 500, 700)
    wait_until(lambda: town.acts(town.second))
    wait_until(lambda: b"\ncitybrain_patrols_acting 1.0\n" in town.right.get("/metrics"))

    # What is left is cut off for a moment.
    town.second.cut()
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(post, town.right, 700, EVENTS)
        time.sleep(3)
        town.second.heal()
        rest.result()
    assert len(acknowledged) == EVENTS

    time.sleep(max(0, cut_at + CUT_SECONDS - time.monotonic()))
    town.works.heal()
    all_moved_on(town.right)
    lines, good = check_store(Config(town.second.data, BUILTIN_CITY, town.store.url, None))
    assert good, lines
    each_delivered(town.right, town.receiver)
    received = [message.headers["webhook-id"] for message in town.receiver.messages]
    assert len(received) > len(set(received))  # what the worker had sent when it was cut off came again
    with town.store.read() as tx:
        claimed = tx.execute(select(events.c.fence).where(events.c.id.in_(fires))).scalars().all()
    assert min(claimed) > 2  # claimed and completed counts two, and it was claimed more than once


def _held(town: Town, table: Table, *which: ColumnElement[bool]) -> Sequence[str]:
    """What somebody has claimed."""
    with town.store.read() as tx:
        return tx.execute(select(table.c.id).where(table.c.lease_until > now_ms(), *which)).scalars().all()


def _watch(api: From, key: str, last: int | None = None) -> HTTPResponse:
    connection = api.connection()
    headers = {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": str(last)} if last is not None else {})
    connection.request("GET", "/api/v1/stream", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    answer.readline()  # the first pulse: from here on nothing is missed
    return answer


def _until(lines: HTTPResponse, event_id: str, seen: list[str] | None = None) -> int:
    """Reads on to what is told of this event; its position."""
    position = 0
    while line := lines.readline().decode():
        if line.startswith("id: "):
            position = int(line[4:])
        if line.startswith("data: ") and seen is not None:
            seen.append(line)
        if event_id in line:
            return position
    raise AssertionError("the stream has ended")
