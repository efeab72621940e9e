"""An installation inside a test, without processes and without a broker: the desk at which its cases are worked."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import postgres
import pytest
from photos import picture
from sqlalchemy import Row, Table, event, select, update
from starlette.testclient import TestClient

from citybrain.app import build
from citybrain.casework import attachments
from citybrain.casework.api import do_action, give_feedback
from citybrain.casework.bulk import act_on_many
from citybrain.city import City, load_city
from citybrain.commands.check import check_store
from citybrain.config import BUILTIN_CITY, Config
from citybrain.dispatch.endpoint import create
from citybrain.domain import Domain, load_domains
from citybrain.installation import Installation
from citybrain.intake.api import Intake
from citybrain.intake.filing import Filing, file
from citybrain.intake.photo import read_photo
from citybrain.keys import Key, Role, create_key
from citybrain.problem import Problem
from citybrain.queue import Ringer
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.migrate import migrate
from citybrain.store.tables import cases, events, work_orders
from geo.locator import Locator
from workers.handle import handle_batch

ADMIN = Key("liu", Role.ADMIN, frozenset(), frozenset(), frozenset())
MEIJIANG = {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"}  # 江南街道 in 441402
MONDAY = datetime(2025, 3, 3, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))  # an ordinary week, working time


class Bells:
    """A ringer without a broker: it only writes down what was rung."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, *names: str) -> None:
        self.rung += names

    def close(self) -> None:
        return


@dataclass
class Desk:
    """An installation inside the test: a real store, the city's own packs, nobody but the test at work, and a clock
    that only the test moves. Its time is past, so that all that it makes due is due by the database's clock too."""

    here: Installation
    now: int
    bells: Bells
    key: Key = ADMIN
    posted: int = 0

    def clock(self) -> int:
        return self.now

    def pass_time(self, **span: float) -> None:
        self.now += round(timedelta(**span).total_seconds() * 1000)

    def report(self, *reports: dict[str, Any]) -> list[str]:
        """Files events through the intake, in one transaction; what they don't say is a street light in Meijiang."""
        return [receipt.id for receipt in file(self.filings(*reports), self.here)]

    def filings(self, *reports: dict[str, Any]) -> list[Filing]:
        intake = Intake(self.here, cast(Any, None), cast(Any, None))
        return [intake.check(self._usual(report), self.key) for report in reports]

    def _usual(self, given: dict[str, Any]) -> dict[str, Any]:
        self.posted += 1
        at = datetime.fromtimestamp(self.now / 1000, UTC).isoformat()
        usual = {"source_event_id": f"e-{self.posted}", "domain": "grid", "occurred_at": at, "location": dict(MEIJIANG)}
        return usual | ({} if {"type", "description"} & set(given) or "domain" in given else {"type": "c01039"}) | given

    def open(self, **report: Any) -> Row[Any]:
        """The case of one event, handled by its domain."""
        event_id = self.report(report)[0]
        self.handle(report.get("domain", "grid"))
        return self.case(self.event(event_id).case_id)

    def handle(self, domain: str = "grid") -> None:
        while handle_batch(self.here, domain):
            pass

    def event(self, event_id: str) -> Row[Any]:
        return self.row(events, events.c.id == event_id)

    def case(self, case_id: str) -> Row[Any]:
        return self.row(cases, cases.c.id == case_id)

    def row(self, table: Table, *where: Any) -> Row[Any]:
        return self.rows(table, *where)[0]

    def rows(self, table: Table, *where: Any) -> list[Row[Any]]:
        with self.here.store.read() as tx:
            return list(tx.execute(select(table).where(*where).order_by(*table.primary_key)).all())

    def orders(self, case_id: str, role: str | None = None, status: str | None = None) -> list[Row[Any]]:
        found = self.rows(work_orders, work_orders.c.case_id == case_id)
        return [row for row in found if role in (None, row.role) and status in (None, row.status)]

    def lead(self, case_id: str) -> Row[Any]:
        """The newest order of a leading department."""
        return self.orders(case_id, "lead")[-1]

    def told(self, case_id: str) -> list[tuple[str, str]]:
        """Type and department of every message of a case, in the order in which they go out."""
        found = self.rows(deliveries, deliveries.c.case_id == case_id)
        return [(row.type, row.department) for row in sorted(found, key=lambda row: row.case_order)]

    def story(self, case_id: str) -> list[tuple[str, str]]:
        """Actor and action of every entry in a case's ledger."""
        return [(row.actor, row.action) for row in self.rows(ledger, ledger.c.chain == case_id)]

    def entries(self, case_id: str, action: str) -> list[dict[str, Any]]:
        """What a case's ledger has of one kind of entry."""
        return [json.loads(row.data) for row in self.rows(ledger, ledger.c.chain == case_id, ledger.c.action == action)]

    def last_entry(self, case_id: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.rows(ledger, ledger.c.chain == case_id)[-1].data)
        return data

    def act(self, case_id: str, action: str, **body: Any) -> dict[str, Any]:
        """As `POST /cases/{id}/{action}` does it, on the present version unless another is given."""
        body = {"version": self.case(case_id).version} | body
        return do_action(self.here, self.key, case_id, action, json.loads(json.dumps(body, default=str)))

    def act_on_many(self, *items: dict[str, Any]) -> dict[str, Any]:
        """As `POST /cases/actions` does it."""
        return act_on_many(self.here, self.key, json.loads(json.dumps({"items": items})))

    def answer(self, order_id: str, status: str, feedback_id: str | None = None, **more: Any) -> None:
        """As `POST /work-orders/{id}/feedback` does it."""
        if status == "returned":
            more = {"reason": "不属于我单位职责", "responsible": "441402-cg"} | more
        self.posted += 1
        body = {"feedback_id": feedback_id or f"f-{self.posted}", "status": status, **more}
        give_feedback(order_id, self.key, self.here, body)

    def photo(self, owner_id: str, kind: str = "after", of: str = "case_id") -> str:
        """The id of a new photo, added as `POST /cases/{id}/attachments` does it, or `/events/{id}/attachments`."""
        self.posted += 1
        photo = read_photo(picture("PNG", (8, self.posted)))
        with self.here.store.write() as tx:
            owner = attachments.owner_of(
                tx, **{"event_id": None, "case_id": None, of: owner_id}, key=self.key, city=self.here.city
            )
            return attachments.attach(tx, owner, of, kind, photo, self.key.name, self.here.city, self.now)[0]

    def refused(self, case_id: str, action: str, **body: Any) -> Problem:
        with pytest.raises(Problem) as refused:
            self.act(case_id, action, **body)
        return refused.value

    def endpoint(self, name: str, **given: Any) -> str:
        """The id of a new endpoint."""
        change = {"name": name, "url": "http://127.0.0.1:9/hook"} | given
        with self.here.store.write() as tx:
            return create(tx, change, self.here.city, "liu", self.now)

    def broken(self, root: Path | None = None) -> list[str]:
        """What `citybrain check --store` finds broken, with a file of roots if one is given."""
        lines, good = check_store(self.here.config, root)
        found = [line for line in lines if "BROKEN" in line]
        assert good == (not found)
        return found

    def set(self, table: Table, where: Any, **values: Any) -> None:
        """Changes rows behind the service's back."""
        with self.here.store.write() as tx:
            tx.execute(update(table).where(where).values(**values))


@pytest.fixture(scope="session")
def packs(editions: Path) -> tuple[City, dict[str, Domain], Locator]:
    city = load_city(BUILTIN_CITY, "http://127.0.0.1:8000")
    return city, load_domains({}), city.locator(editions)


@pytest.fixture(scope="session")
def new_desk(packs: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A maker of desks, each on a folder of its own; on SQLite there, unless a database's address is given."""
    empty = tmp_path_factory.mktemp("empty") / "citybrain.db"
    migrate(f"sqlite:///{empty}")

    def make(folder: Path, url: str | None = None, others: Any = None) -> Desk:
        city, domains, locator = others or packs
        if url is None:
            shutil.copy(empty, folder)
        config = Config(folder, city.pack, url or f"sqlite:///{folder / empty.name}", None)
        store, bells = Store(config.database_url), Bells()
        if url is None:
            event.listen(store.engine, "connect", _spare_the_disk)
        here = Installation(config, city, domains, store, cast(Ringer, bells))
        vars(here)["locator"] = locator  # the ground is the same for all and read once
        desk = Desk(here, round(MONDAY.timestamp() * 1000), bells)
        here.clock = desk.clock
        return desk

    return make


def _spare_the_disk(connection: Any, _record: Any) -> None:
    """No test at a desk cuts the power, and waiting for the disk would be most of their time."""
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def desk(tmp_path: Path, new_desk: Any, store_kind: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    url = request.getfixturevalue("postgres").desk if store_kind == "postgresql" else None
    made: Desk = new_desk(tmp_path, url)
    yield made
    made.here.store.close()
    if url:
        postgres.empty(url)


@pytest.fixture
def sign_in(desk: Desk) -> Any:
    """A maker of browsers in which somebody is signed in."""
    app = build(desk.here)

    def make(role: str, name: str, **scope: Any) -> TestClient:
        browser = TestClient(app, base_url="https://testserver")
        with desk.here.store.write() as tx:
            plain = create_key(tx, name, role, desk.now, "test", **scope)
        desk.pass_time(minutes=1)  # the keyring reads its keys anew
        browser.headers["X-CSRF-Token"] = browser.post("/api/v1/session", json={"key": plain}).json()["csrf_token"]
        return browser

    return make
