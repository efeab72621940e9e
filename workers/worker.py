"""Hears the bells: one in-process rq worker over several queues in turn, which outlives whatever the broker does.

`citybrain.queue` rings; the jobs (`workers.handle`, `workers.deliver`) do one batch each and ring again when work is
left. Nothing here decides whether an event is done: the store does, and patrol rings for what was forgotten.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from threading import Event
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.worker import DequeueStrategy

from citybrain.queue import Bells
from citybrain.redis_url import client, redacted

log = logging.getLogger(__name__)

POP_SECONDS = 1  # how long a blocking pop may hold up a stop
ANSWER_SECONDS = 2.0  # beyond the pop: a broker that is silent for longer is taken for frozen
WORKER_TTL = 45
HEARTBEAT_SECONDS = 10.0
MAINTENANCE_SECONDS = 30
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class HardLimit(BaseDeathPenalty):
    """Ends the process when a job exceeds its timeout, after writing all stacks to standard error.

    rq would raise an exception wherever the job happens to be, even between a commit and its answer, and cannot
    interrupt C code at all. An ended process is the case that leases and fences are made for: the database has the
    whole transaction or nothing of it, the supervisor starts another worker, and the third such death quarantines.
    The signal's default ends the process; a thread of faulthandler's own costs a hundred times as much to stop.
    """

    def setup_death_penalty(self) -> None:
        faulthandler.register(signal.SIGALRM, file=sys.__stderr__ or sys.stderr, chain=True)
        signal.setitimer(signal.ITIMER_REAL, self._timeout)

    def cancel_death_penalty(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Listener(SimpleWorker):
    """rq's in-process worker with a loop of its own: rq's quits on any error, installs signal handlers that raise
    inside a job, and starts a thread for remote commands."""

    death_penalty_class = HardLimit

    def __init__(self, bells: Bells, connection: Redis, names: Sequence[str]) -> None:
        super().__init__(
            [bells.queue(name, connection) for name in names], connection=connection, serializer=JSONSerializer,
            worker_ttl=WORKER_TTL, maintenance_interval=MAINTENANCE_SECONDS, job_monitoring_interval=10,
            log_job_description=False,
        )  # fmt: skip
        self.bells = bells
        self._dequeue_strategy = DequeueStrategy.ROUND_ROBIN
        self._beat_at = 0.0

    @property
    def connection_timeout(self) -> int:
        return 1  # rq would raise our client's socket timeout to this, never lower it

    def listen(self, stop: Event, heard: Callable[[], None]) -> None:
        """Take jobs until `stop` is set, calling `heard` after each round; raises what redis and rq raise."""
        self.register_birth()  # type: ignore[no-untyped-call]
        while not stop.is_set():
            self._keep_registered()
            if taken := self._take():
                self.execute_job(*taken)
            heard()

    def _keep_registered(self) -> None:
        if time.monotonic() - self._beat_at < HEARTBEAT_SECONDS:
            return
        self.heartbeat()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
        self._beat_at = time.monotonic()

    def _take(self) -> tuple[Job, Queue] | None:
        """The next bell, the queues in turn. What is no bell is dropped, and its queue rung: it may have kept a bell
        out. (rq would skip a job that redis has forgotten, and choke on one that cannot be read.)"""
        keys = [queue.key for queue in self._ordered_queues]
        try:
            key, raw = Queue.lpop(keys, POP_SECONDS, connection=self.connection)
        except DequeueTimeout:
            return None
        queue = next(queue for queue in self.queues if queue.key == key.decode())
        self.reorder_queues(queue)
        job_id = raw.decode(errors="replace")
        job = self._fetch(job_id)
        if job is not None and self.bells.is_bell(job, queue):
            job.redis_server_version = self.get_redis_server_version()  # type: ignore[no-untyped-call]
            return job, queue
        log.warning("dropped job %s from queue %s: it is no bell", job_id, queue.name)
        self.connection.delete(Job.key_for(job_id))
        self.bells.ring([self.bells.name_of(queue)])
        return None

    def _fetch(self, job_id: str) -> Job | None:
        try:
            return Job.fetch(job_id, connection=self.connection, serializer=JSONSerializer)
        except RedisError:
            raise
        except Exception:  # forgotten (NoSuchJobError), or rq raises whatever its parsing of a foreign hash raises
            return None


def work(url: str, queue_names: Sequence[str], stop: Event, bells: Bells | None = None) -> None:
    """Hear the queues until `stop` is set (looked at once a second and after each job), whatever the broker does.

    Jobs run in the calling thread, one at a time. `bells` says which namespace and functions; it must not be shared
    with another thread.
    """
    logging.getLogger("rq").setLevel(logging.WARNING)  # rq tells every job at INFO, several lines each
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    bells = bells or Bells(url)
    outage = Outage(redacted(url))
    while not stop.is_set():
        connection = client(url, POP_SECONDS + ANSWER_SECONDS)
        try:
            listener = Listener(bells, connection, queue_names)
            listener.listen(stop, outage.over)
            listener.register_death()  # type: ignore[no-untyped-call]
        except Exception as error:  # rq raises its own errors too when keys vanish under it
            outage.begins(error)
            outage.wait(stop)
        finally:
            connection.close()
    bells.close()


class Outage:
    """Tells a trouble with the broker once when it begins and once when it is over, and paces the attempts."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._since: float | None = None
        self._pause = SHORTEST_PAUSE

    def begins(self, error: Exception) -> None:
        if self._since is None:
            self._since = time.monotonic()
            broken = isinstance(error, RedisError | OSError)
            log.warning("worker lost the broker %s (%r); trying again", self._where, error, exc_info=not broken)

    def over(self) -> None:
        if self._since is not None:
            log.warning("worker hears the broker again after %.1f s", time.monotonic() - self._since)
            self._since, self._pause = None, SHORTEST_PAUSE

    def wait(self, stop: Event) -> None:
        until = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))  # never stop.wait(): a signal handler that sets it could meet its own lock


def stop_on_signals() -> Event:
    """SIGTERM and Ctrl-C let the present job end; a second one changes nothing (the supervisor has SIGKILL)."""
    stop = Event()

    def request(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request)
    return stop
