"""The parts that run on their own: a worker and a patrol, each until it is asked to stop."""

from collections.abc import Sequence

from citybrain.installation import keep_for_good
from citybrain.queue import DISPATCH, queue_name
from workers import deliver
from workers.patrol import patrol as patrol_until
from workers.process import heard, installation
from workers.worker import stop_on_signals
from workers.worker import work as work_until


def work(queues: Sequence[str]) -> None:
    """Hears the queues of the named domains and `dispatch`, or of all."""
    stop = stop_on_signals()
    here = installation()
    asked = queues or [*here.domains, DISPATCH]
    unknown = sorted(set(asked) - {*here.domains, DISPATCH})
    if unknown:
        raise SystemExit(f"no such queue: {', '.join(unknown)}; there are {', '.join([*here.domains, DISPATCH])}")
    names = [name if name == DISPATCH else queue_name(name) for name in asked]
    heard.update(names)
    keep_for_good()
    work_until(here.broker_url, names, stop)
    deliver.drain()
    here.ringer.close()


def patrol(_queues: Sequence[str]) -> None:
    stop = stop_on_signals()
    here = installation()
    patrol_until(here, stop)
    here.ringer.close()
