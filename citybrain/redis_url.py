"""What a broker's url means, and a client for it: one server, with TLS or a unix socket, or whichever server a group
of Sentinels calls the master at the moment.

    redis://[user:password@]host:port/db        rediss://… with TLS        unix:///path
    redis+sentinel://[user:password@]sentinel1:26379,sentinel2:26379/mymaster/db        rediss+sentinel://… with TLS

User and password are the master's; `sentinel_username` and `sentinel_password` in the query are the Sentinels'. Every
other option is one of redis-py, such as `ssl_ca_certs=/path`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname`.
"""

import re
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

SENTINEL_PORT = 26379
_SENTINELS = re.compile(r"(rediss?)\+sentinel://(?:([^@/]*)@)?([^@/?]+)/([^/?]+)(/\d*)?(\?.*)?")
_HOST = re.compile(r"(\[[^]]+]|[^:,\[\]]+)(?::(\d+))?")


def client(url: str, socket_timeout: float = 2.0) -> redis.Redis:
    """A client that never repeats a command by itself: after an error the caller does not know what has happened.
    Raises ValueError when the url cannot be read."""
    options = {"socket_connect_timeout": 1.0, "socket_timeout": socket_timeout, "retry": Retry(NoBackoff(), 0)}
    options |= {"protocol": 2}
    if "+sentinel://" not in url:
        return redis.Redis.from_url(url, **options)
    return _master(url, options)


def redacted(url: str) -> str:
    """The url without passwords, for messages."""
    scheme, _, rest = url.partition("://")
    place = rest.partition("?")[0]
    _, secret, host = place.rpartition("@")
    if "@" in rest and not secret:
        return f"{scheme}://…"  # a password with a question mark in it
    return f"{scheme}://…@{host}" if secret else f"{scheme}://{place}"


def _master(url: str, options: dict[str, Any]) -> redis.Redis:
    """Each new connection asks the Sentinels, so that the next one after a failover goes to the new master."""
    found = _SENTINELS.fullmatch(url)
    hosts = [_HOST.fullmatch(host) for host in found[3].split(",")] if found else []
    if found is None or not all(hosts):
        raise ValueError("a url of Sentinels is redis+sentinel://[user:password@]host:port,host:port/master-name/db")
    scheme, credentials, _, name, database, query = found.groups(default="")
    given: dict[str, Any] = parse_url(f"{scheme}://{credentials}@master{database}{query}")  # type: ignore[no-untyped-call]
    login = {word: given.pop(f"sentinel_{word}", None) for word in ("username", "password")}
    for placeholder in ("host", "connection_class"):
        given.pop(placeholder, None)
    secure = {word: text for word, text in given.items() if word.startswith("ssl_")} | {"ssl": scheme == "rediss"}
    addresses = [(host[1].strip("[]"), int(host[2] or SENTINEL_PORT)) for host in hosts if host]
    asked = Sentinel(addresses, sentinel_kwargs=options | secure | login, **options | given | secure)  # type: ignore[no-untyped-call]
    master: redis.Redis = asked.master_for(name)  # type: ignore[no-untyped-call]
    return master
