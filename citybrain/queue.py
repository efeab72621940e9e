"""Rings the bells: makes sure that an rq queue whose rows wait in the store has one job waiting in redis.

Intake and patrol ring after their commits, workers when they leave work behind; `workers.worker` hears it. A bell
carries nothing but its queue's name, so a lost one costs time until patrol rings again, never an event.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from citybrain.redis_url import client, redacted

log = logging.getLogger(__name__)

DISPATCH: Final = "dispatch"
NAMESPACE: Final = "citybrain"
HANDLE: Final = "workers.handle.handle"  # by name only: citybrain never imports workers
DELIVER: Final = "workers.deliver.deliver"

JOB_SECONDS: Final = 60  # a batch takes one; a worker whose job runs longer than this is ended
BELL_SECONDS: Final = 300  # redis forgets what a killed worker had taken
FAILURE_SECONDS: Final = 60
GAP_SECONDS: Final = 0.02  # under load at most 50 rings a second; the first after a quiet moment goes at once
LONGEST_PAUSE: Final = 1.0


def queue_name(domain: str) -> str:
    """The queue of a domain's events; the prefix keeps a domain called `dispatch` apart from DISPATCH."""
    return f"events.{domain}"


def domain_of(name: str) -> str | None:
    """The domain whose events the queue `name` holds; None for DISPATCH."""
    return name.removeprefix("events.") if name.startswith("events.") else None


class Bells:
    """The queues of one installation in one redis. One instance per thread: it holds a connection.

    `handle` is called with the domain, `deliver` with nothing; both are names of functions, for the worker to import.
    """

    def __init__(self, url: str, *, namespace: str = NAMESPACE, handle: str = HANDLE, deliver: str = DELIVER) -> None:
        self.url = url
        self._prefix = f"{namespace}:"
        self._functions = {"handle": handle, "deliver": deliver}
        self._client = client(url)
        self.error: Exception | None = None

    def ring(self, names: Iterable[str]) -> bool:
        """Make sure that a job waits in each queue: True when it does, False when that is unknown (see `error`).

        Two processes that ring at the same moment may leave two, never more than one each. Judged by the list itself,
        since a flag would go stale when a worker dies or redis is wiped.
        """
        wanted = list(dict.fromkeys(names))
        try:
            silent = [name for name, length in zip(wanted, self._lengths(wanted), strict=True) if not length]
            if silent:
                self._enqueue(silent)
        except Exception as error:  # whatever it is, neither intake nor the ringer's thread may fall over a bell
            self.error = error
            return False
        self.error = None
        return True

    def waiting(self, names: Iterable[str]) -> dict[str, int] | None:
        """How many bells wait in each queue; None when the broker does not answer."""
        wanted = list(names)
        try:
            return dict(zip(wanted, self._lengths(wanted), strict=True))
        except (redis.RedisError, OSError) as error:
            self.error = error
            return None

    def queue(self, name: str, connection: redis.Redis | None = None) -> Queue:
        """The rq queue of that name; `connection` is the worker's own."""
        return Queue(self._prefix + name, connection=connection or self._client, serializer=JSONSerializer)

    def name_of(self, queue: Queue) -> str:
        return queue.name.removeprefix(self._prefix)

    def is_bell(self, job: Job, queue: Queue) -> bool:
        """Whether the job is what `ring` puts into that queue; anything else only stands in a bell's place."""
        try:
            return (job.func_name, list(job.args)) == self._call(self.name_of(queue))
        except Exception:  # whatever a foreign serialiser left in there
            return False

    def close(self) -> None:
        self._client.close()

    def _call(self, name: str) -> tuple[str, list[str]]:
        domain = domain_of(name)
        return (self._functions["deliver"], []) if domain is None else (self._functions["handle"], [domain])

    def _lengths(self, names: Sequence[str]) -> list[int]:
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(Queue.redis_queue_namespace_prefix + self._prefix + name)
            return [int(length) for length in pipeline.execute()]

    def _enqueue(self, names: Sequence[str]) -> None:
        with self._client.pipeline() as pipeline:  # all or nothing: no job without its id in the list
            for name in names:
                function, args = self._call(name)
                self.queue(name).enqueue_call(
                    function, args=args, timeout=JOB_SECONDS, result_ttl=0, ttl=BELL_SECONDS,
                    failure_ttl=FAILURE_SECONDS, description=f"bell {name}", pipeline=pipeline,
                )  # fmt: skip
            pipeline.execute()


class Ringer:
    """Rings in a thread of its own, so that no request waits for redis. Make it after forking."""

    def __init__(self, bells: Bells) -> None:
        self._bells = bells
        self._marked: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
        self._thread.start()

    def ring(self, *names: str) -> None:
        """Mark and return at once. What cannot be rung now is rung when the broker is back."""
        with self._lock:
            self._marked.update(names)
        self._wake.set()

    def close(self, timeout: float = 1.0) -> None:
        """Ring what is marked, if the broker answers, and end the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)

    def _take(self) -> set[str]:
        with self._lock:
            taken, self._marked = self._marked, set()
        return taken

    def _run(self) -> None:
        silent_since: float | None = None
        pause = GAP_SECONDS
        while True:
            self._wake.wait()
            self._wake.clear()
            if taken := self._take():
                if self._bells.ring(taken):
                    if silent_since is not None:
                        log.warning("broker takes bells again after %.1f s", time.monotonic() - silent_since)
                    silent_since, pause = None, GAP_SECONDS
                else:
                    if silent_since is None:
                        silent_since = time.monotonic()
                        where, error = redacted(self._bells.url), self._bells.error
                        log.warning("broker %s takes no bells (%r); events wait in the store", where, error)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    self.ring(*taken)
            if self._closing and (silent_since is not None or not self._marked):
                self._bells.close()
                return
            time.sleep(pause)
