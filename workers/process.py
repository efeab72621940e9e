"""What the jobs of one worker process share: the queues it hears, the installation it works for, opened once."""

from functools import cache

from citybrain.broker import command
from citybrain.config import Config
from citybrain.installation import Installation, open_installation

heard: set[str] = set()


@cache
def installation() -> Installation:
    config = Config.load()
    here = open_installation(config, command(config.data, config.redis_url).url)
    here.go_by_the_store()
    return here
