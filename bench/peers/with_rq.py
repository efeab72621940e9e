"""Naive on RQ: a job an event, and `python -m bench.peers.with_rq`, one worker that forks for each job with all modules
and the city loaded before."""

import redis
from rq import Queue, Worker

from bench.peers.work import BROKER, app_for, city_map, departments, dispatch

queue = Queue("naive", connection=redis.Redis.from_url(BROKER))


def serve() -> object:
    return app_for(lambda event_id: queue.enqueue(dispatch, event_id, result_ttl=0))


if __name__ == "__main__":
    city_map(), departments()
    Worker([queue], connection=queue.connection).work(logging_level="WARNING")
