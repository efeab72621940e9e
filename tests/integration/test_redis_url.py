"""A broker that others run: with TLS, and with Sentinels that name another master when the first one dies."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from brokers import MASTER_PASSWORD, SENTINEL_PASSWORD, Certificates, Watched, behind_tls, make_certificates
from ports import free_port
from serving import wait_until

from citybrain import broker
from citybrain.queue import DISPATCH, Bells, queue_name
from citybrain.redis_url import client, redacted
from workers.worker import work

GRID = queue_name("grid")
heard: list[str] = []


def handle(domain: str) -> None:
    heard.append(domain)


def deliver() -> None:
    heard.append(DISPATCH)


def bells_for(url: str) -> Bells:
    return Bells(url, handle=f"{__name__}.handle", deliver=f"{__name__}.deliver")


@contextmanager
def listener(url: str) -> Iterator[None]:
    """A worker that hears the bells there."""
    heard.clear()
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(url, [GRID, DISPATCH], stop, bells_for(url)))
    worker.start()
    yield
    stop.set()
    worker.join(120)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_port(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[int]:
    port = free_port()
    argv = [*broker.find_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    server = subprocess.Popen(argv, cwd=tmp_path_factory.mktemp("tls"))
    assert broker.wait_ready(f"redis://127.0.0.1:{port}", 120)
    with behind_tls(port, certificates) as secure:
        yield secure
    server.kill()
    server.wait()


def test_bells_ring_through_tls_with_certificates_by_url(certificates: Certificates, tls_port: int) -> None:
    url = (
        f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={certificates.server}"
        f"&ssl_certfile={certificates.client}&ssl_keyfile={certificates.client_key}"
    )
    bells = bells_for(url)
    with listener(url):
        assert bells.ring([GRID, DISPATCH])
        wait_until(lambda: {"grid", DISPATCH} <= set(heard))
    bells.close()


def test_without_the_right_certificates_there_is_no_connection(certificates: Certificates, tls_port: int) -> None:
    mine = f"&ssl_certfile={certificates.client}&ssl_keyfile={certificates.client_key}"
    for address, options in (
        ("127.0.0.1", f"ssl_ca_certs={certificates.client}{mine}"),  # the server's was issued by another authority
        ("localhost", f"ssl_ca_certs={certificates.server}{mine}"),  # and for 127.0.0.1
        ("127.0.0.1", f"ssl_ca_certs={certificates.server}"),  # it wants to know its clients
    ):
        bells = bells_for(f"rediss://{address}:{tls_port}/0?{options}")
        assert not bells.ring([GRID])
        assert isinstance(bells.error, redis.ConnectionError)
        bells.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "frozen"])
def test_bells_ring_through_the_new_master_when_the_old_one_is(how: int, watched: Watched) -> None:
    bells = bells_for(watched.url)
    with listener(watched.url):
        assert bells.ring([GRID])
        wait_until(lambda: heard)
        watched.servers["master"].send_signal(how)
        assert not bells.ring([GRID])
        heard.clear()
        wait_until(lambda: bells.ring([GRID]))
        wait_until(lambda: heard)
    bells.close()


# Urls


def test_a_url_of_sentinels_says_everything() -> None:
    url = "rediss+sentinel://city:p%40ss@10.0.0.1:26380,[fd00::2],third/mymaster/3?ssl_ca_certs=/ca&sentinel_password=s"
    pool = client(url, socket_timeout=7).connection_pool
    told = {name: pool.connection_kwargs[name] for name in ("username", "password", "db", "ssl_ca_certs")}
    assert told == {"username": "city", "password": "p@ss", "db": 3, "ssl_ca_certs": "/ca"}
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == [
        ("10.0.0.1", 26380),
        ("fd00::2", 26379),
        ("third", 26379),
    ]
    assert {(each["password"], each["ssl_ca_certs"]) for each in asked} == {("s", "/ca")}
    assert pool.service_name == "mymaster"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one,two",
        "redis+sentinel://one:x/mymaster",
        "http://one",
        "redis://one/0?ssl_ca=/x",
        "redis://h:x",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_before_anything_starts(url: str, tmp_path: Path) -> None:
    with pytest.raises(broker.BrokerError, match="CITYBRAIN_REDIS_URL"):
        broker.command(tmp_path, url)


@pytest.mark.parametrize(
    "url",
    [
        f"redis+sentinel://:{MASTER_PASSWORD}@one,two/mymaster?sentinel_password={SENTINEL_PASSWORD}",
        f"rediss://:{MASTER_PASSWORD}@one?ssl_password={SENTINEL_PASSWORD}",
        f"redis://:{MASTER_PASSWORD}?{SENTINEL_PASSWORD}@one/0",
    ],
)
def test_messages_do_not_show_passwords(url: str) -> None:
    shown = redacted(url)
    assert MASTER_PASSWORD not in shown
    assert SENTINEL_PASSWORD not in shown
    assert shown.startswith(url.split("://")[0])
