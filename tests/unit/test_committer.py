"""One commit shared by concurrent requests: of a request that was cancelled meanwhile nothing is written."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from serving import wait_until

from citybrain.intake.committer import Committer


def test_what_was_cancelled_while_it_waited_is_not_written() -> None:
    written, goes_on = list[list[Any]](), threading.Event()

    def file(filings: Sequence[Any]) -> list[Any]:
        written.append(list(filings))
        goes_on.wait()
        return [f"receipt of {each}" for each in filings]

    async def story() -> list[Any]:
        committer = Committer(file)
        first = asyncio.create_task(committer.commit(["first"]))
        await asyncio.to_thread(wait_until, lambda: written)
        others = [asyncio.create_task(committer.commit([name])) for name in ("second", "third")]
        await asyncio.sleep(0)
        others[0].cancel()
        await asyncio.wait([others[0]])
        goes_on.set()
        answers = [*await first, *await others[1]]
        committer.close()
        return answers

    assert asyncio.run(story()) == ["receipt of first", "receipt of third"]
    assert written == [["first"], ["third"]]
