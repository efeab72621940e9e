"""Bugs that are planted into the product's processes: the campaign has to find each of them, or it proves nothing."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

LATE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Bug:
    """`replaced`: module, function, and what makes the bug of the original. `revealed_by`: kinds of faults that must
    show it; `as_`: one of the checker's findings that must then be there."""

    what: str
    replaced: tuple[tuple[str, str, Callable[[Any], Any]], ...]
    revealed_by: tuple[str, ...]
    as_: tuple[str, ...]


def _without_fence(_original: Any) -> Any:
    def complete(tx: Any, table: Any, rows: Any) -> None:
        from citybrain.store.bulk import update_rows

        ended = [{**{name: row[name] for name in row if name != "fence"}, "lease_until": 0} for row in rows]
        update_rows(tx, table, ("id",), ended)

    return complete


def _committed_late(original: Any) -> Any:
    def transact(self: Any, do: Any) -> Any:
        if do.__qualname__ != "file.<locals>.record":
            return original(self, do)
        answer: Future[Any] = Future()

        def write() -> None:
            try:
                with self.write() as tx:
                    answer.set_result(do(tx))
                    time.sleep(LATE_SECONDS)
            except Exception as error:
                if not answer.done():
                    answer.set_exception(error)

        threading.Thread(target=write).start()
        return answer.result()

    return transact


def _sent_late(original: Any) -> Any:
    async def send(self: Any, *message: Any, **more: Any) -> Any:
        from citybrain.dispatch.sender import Outcome

        async def later() -> None:
            await asyncio.sleep(10 * LATE_SECONDS)
            await original(self, *message, **more)

        _kept.add(asyncio.ensure_future(later()))
        return Outcome("delivered", 204, None, None, 0.0)

    return send


_kept: set[Any] = set()  # a loop holds its tasks weakly


def _always_new(_original: Any) -> Any:
    def write_receipts(_tx: Any, rows: Any, hashes: Any) -> Any:
        from citybrain.intake.receipts import Known, source_id

        return {source_id(row): Known(row["id"], hashes[row["id"]], row["domain"], row["place"]) for row in rows}

    return write_receipts


BUGS = {
    "no fence": Bug(
        "who has lost a claim completes it all the same",
        (("citybrain.store.claims", "complete", _without_fence),),
        ("worker frozen after its claim",),
        ("duplicated", "broken"),
    ),
    "no repair": Bug(
        "patrol does not ring for what was forgotten",
        (("workers.patrol", "waiting_queues", lambda _: lambda _here: []),),
        ("worker killed after its claim",),
        ("unsettled",),
    ),
    "acknowledge before commit": Bug(
        "the sender is answered while the transaction is still open",
        (("citybrain.store.database", "Store.transact", _committed_late),),
        ("API killed right after an answer",),
        ("lost",),
    ),
    "record before sending": Bug(
        "a delivery is recorded as done and sent a second later",
        (("citybrain.dispatch.sender", "Sender.send", _sent_late),),
        ("worker killed",),
        ("undelivered",),
    ),
    "no idempotency": Bug(
        "a report that is sent again is a new event",
        (("citybrain.intake.filing", "write_receipts", _always_new),),
        ("API killed before it answers",),
        ("duplicated",),
    ),
    "gives up": Bug(
        "a message that was not taken is not sent again",
        (("citybrain.dispatch.delivery", "backoff", lambda _: lambda *_given: None),),
        ("receiver answers 500",),
        ("undelivered",),
    ),
}
