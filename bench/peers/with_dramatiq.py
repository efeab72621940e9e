"""Naive on dramatiq: `dramatiq bench.peers.with_dramatiq`, processes with threads."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers import work

dramatiq.set_broker(RedisBroker(url=work.BROKER))


@dramatiq.actor
def dispatch(event_id: str) -> None:
    work.dispatch(event_id)


def serve() -> object:
    return work.app_for(dispatch.send)
