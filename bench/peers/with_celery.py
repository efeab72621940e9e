"""Naive on Celery: `celery -A bench.peers.with_celery worker`, prefork."""

from celery import Celery

from bench.peers import work

queue = Celery(broker=work.BROKER.replace("unix://", "redis+socket://"))
queue.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@queue.task
def dispatch(event_id: str) -> None:
    work.dispatch(event_id)


def serve() -> object:
    return work.app_for(dispatch.delay)
