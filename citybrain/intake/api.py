"""Where events come in: authenticate, parse, check, hand over to filing, answer. The hot path of the service."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from citybrain.installation import Installation
from citybrain.intake.body import MIB, read_body
from citybrain.intake.committer import Committer, Overloaded
from citybrain.intake.filing import Filing, Receipt
from citybrain.intake.placing import check_location
from citybrain.intake.rates import Rates
from citybrain.intake.report import canonical, digest, parse_report
from citybrain.keys import Key, May
from citybrain.problem import NOT_ACKNOWLEDGED, Problem, invalid
from citybrain.strict_json import parse_json
from geo.mistake import did_you_mean

BATCH_EVENTS = 10_000
BATCH_BYTES = 16 * MIB
LARGE = 8 * 1024  # bytes; reading more, or any geometry, takes so long that nobody else should wait for it
READERS = 2
T = TypeVar("T")
TOLD = 1_000  # events of one batch that the log names: the rest begins with the same time
OUTCOMES = {"new": "accepted", "known": "duplicate", "conflict": "rejected"}


class Intake:
    """The two doors, single and batch, onto one committer; those for others' formats lead through here too."""

    def __init__(self, installation: Installation, committer: Committer, rates: Rates) -> None:
        self.installation, self._committer, self._rates = installation, committer, rates
        self._readers = ThreadPoolExecutor(READERS, "reader")

    async def post_event(self, request: Request, key: Key) -> Response:
        return await self.take_one(request, key, parse_json)

    async def post_batch(self, request: Request, key: Key) -> Response:
        if media_type(request) == "application/x-ndjson":
            return await self.take_many(request, key, _lines, parse_json)
        return await self.take_many(request, key, parse_array, _as_it_is)

    async def take_one(self, request: Request, key: Key, read: Callable[[bytes], Any]) -> Response:
        """`read` makes the event's JSON of a body; raises Problem."""
        self.admit(key)
        body = await read_body(request)
        large = len(body) > LARGE or b"geometry" in body
        filing = await self._aside(self._read, read, body, key) if large else self._read(read, body, key)
        receipt = await self.commit_one(filing)
        tell(request, receipt)
        return _json(accepted(receipt), 202 if receipt.outcome == "new" else 200)

    async def take_many(
        self, request: Request, key: Key, split: Callable[[bytes], list[Any]], read: Callable[[Any], Any]
    ) -> Response:
        """`split` makes items of a body, `read` the event's JSON of each; what `read` raises is said of its item."""
        key.require(May.POST)
        body = await read_body(request, BATCH_BYTES)
        items = await self._aside(split, body)
        if len(items) > BATCH_EVENTS:
            raise invalid("body", f"{len(items)} events in one batch", f"send {BATCH_EVENTS} at most")
        self._rates.take(key.name, len(items))
        checked = await self._aside(self._check_each, read, items, key)
        given = await self.commit([each for each in checked if isinstance(each, Filing)])
        request.scope["told"] = {"events": [receipt.id for receipt in given if receipt.outcome == "new"][:TOLD]}
        receipts = iter(given)
        results = [_result(i, next(receipts) if isinstance(each, Filing) else each) for i, each in enumerate(checked)]
        outcomes = [result["outcome"] for result in results]
        counts = {outcome: outcomes.count(outcome) for outcome in OUTCOMES.values()}
        return _json({**counts, "results": results}, 200)

    def admit(self, key: Key) -> None:
        """Whether it may post one event now; raises Problem 403 or 429."""
        key.require(May.POST)
        self._rates.take(key.name, 1)

    async def file_foreign(self, raw: dict[str, Any], key: Key, sent: Any) -> Receipt:
        """An event that an adapter made of a foreign message; `sent`, JSON, is what a repetition has in common with
        it."""
        filing = await self._aside(self.check, raw, key)
        return await self.commit_one(replace(filing, body_hash=digest(canonical(sent))))

    async def commit_one(self, filing: Filing) -> Receipt:
        """Raises Problem 409 where something else stands under its id."""
        receipt = (await self.commit([filing]))[0]
        if receipt.outcome == "conflict":
            raise _conflict(receipt)
        return receipt

    async def _aside(self, do: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, do, *given)

    def _read(self, read: Callable[[Any], Any], item: Any, key: Key) -> Filing:
        return self.check(read(item), key)

    async def commit(self, filings: Sequence[Filing]) -> list[Receipt]:
        if not filings:
            return []
        try:
            return await self._committer.commit(filings)
        except Overloaded as error:
            raise Problem(503, NOT_ACKNOWLEDGED.format("too much is waiting"), retry_after=2) from error

    def check(self, raw: Any, key: Key) -> Filing:
        """Everything that can be wrong with an event, before anything of it is kept."""
        report = parse_report(raw, self.installation.clock(), self.installation.remedies)
        domain = self.installation.domains.get(report.domain)
        if domain is None:
            known = sorted(self.installation.domains)
            remedy = "one of " + ", ".join(known) + did_you_mean(report.domain, known)
            raise invalid("domain", f"no domain {report.domain!r}", remedy)
        if key.domains and report.domain not in key.domains:
            raise Problem(403, f"this key may not post to the domain {report.domain}")
        if report.type is not None and report.type not in domain.catalogue.types:
            remedy = "leave it out, or see GET /api/v1/types" + did_you_mean(report.type, domain.catalogue.types)
            raise invalid("type", f"{report.type!r} is no type of {report.domain}", remedy)
        spot = check_location(report.location, key.datum, self.installation)
        return Filing(report, spot, digest(canonical(raw)), key)

    def _check_each(self, read: Callable[[Any], Any], items: Sequence[Any], key: Key) -> list[Filing | Problem]:
        return [self._check_or_problem(read, item, key) for item in items]

    def _check_or_problem(self, read: Callable[[Any], Any], item: Any, key: Key) -> Filing | Problem:
        try:
            return self._read(read, item, key)
        except Problem as problem:
            return problem


def accepted(receipt: Receipt) -> dict[str, Any]:
    """The first answer, the same whenever the event is sent again."""
    links = {"self": f"/api/v1/events/{receipt.id}"}
    return {"id": receipt.id, "state": "received", "queue": receipt.queue, "place": receipt.place, "links": links}


def tell(request: Request, receipt: Receipt) -> None:
    """To the log."""
    request.scope["told"] = {"event": receipt.id, "domain": receipt.queue}


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _as_it_is(item: Any) -> Any:
    return item


def parse_array(body: bytes) -> list[Any]:
    items = parse_json(body)
    if not isinstance(items, list):
        remedy = "send [{…}, {…}], or a line an event with content-type application/x-ndjson"
        raise invalid("body", "a batch is a JSON array or NDJSON", remedy)
    return items


def _lines(body: bytes) -> list[Any]:
    return [line for line in body.split(b"\n") if line.strip()]


def _result(index: int, outcome: Receipt | Problem) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return {"index": index, "outcome": "rejected", "problem": outcome.as_dict()}
    result: dict[str, Any] = {"index": index, "outcome": OUTCOMES[outcome.outcome], "id": outcome.id}
    if outcome.outcome == "conflict":
        result["problem"] = _conflict(outcome).as_dict()
    return result


def _conflict(receipt: Receipt) -> Problem:
    detail = "another event was posted under this source_event_id: a corrected report needs an id of its own"
    return Problem(409, detail, id=receipt.id)


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
