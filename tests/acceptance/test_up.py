"""`citybrain up`: ready, watched, stopped and started again."""

import http.client
import time
from pathlib import Path
from typing import Any

import pytest
from serving import Service
from test_nothing_is_lost import _part


def test_it_stops_within_ten_seconds_with_open_streams(new_service: Any) -> None:
    service: Service = new_service()
    service.start()
    streams = []
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        connection.request("GET", "/api/v1/stream", headers={"Authorization": f"Bearer {service.admin_key}"})
        answer = connection.getresponse()
        assert answer.readline().startswith(b"id:")
        streams.append((connection, answer))
    assert service.stop() < 10 + 20  # on a slow machine


@pytest.mark.parametrize("part", ["citybrain serve", "citybrain work", "citybrain patrol", "valkey-server"])
def test_what_dies_is_started_again(service: Service, part: str) -> None:
    import os
    import signal

    before = _part(service, part)
    os.kill(before, signal.SIGKILL)
    ends = time.monotonic() + 120
    while True:
        try:
            after = _part(service, part)
            if after != before and service.call("GET", "/readyz").body == {
                "status": "ok",
                "store": "ok",
                "broker": "ok",
            }:
                return
        except OSError:
            pass
        assert time.monotonic() < ends, service.log()[-2000:]
        time.sleep(0.1)


def test_a_second_start_on_the_same_data_says_so(service: Service) -> None:
    done = service.command("up", "--data", str(service.data), "--port", "1")
    assert done.returncode == 1
    assert "another `citybrain up` runs" in done.stderr


def test_an_address_that_another_program_has_is_not_taken_for_its_own(
    service: Service, tmp_path: Path, editions: Path
) -> None:
    (tmp_path / "editions").symlink_to(editions)
    done = service.command("up", "--data", str(tmp_path), "--port", str(service.port))
    assert done.returncode == 1
    assert f"127.0.0.1:{service.port} cannot be listened at" in done.stderr
