"""Wrong values of the environment are told all at once, before anything begins, and nothing secret is shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from citybrain.commands.environment import check_environment

RIGHT = {
    "CITYBRAIN_DATA": "/tmp/not/yet/there",
    "CITYBRAIN_CITY": str(Path(__file__).parent),
    "CITYBRAIN_HOST": "0.0.0.0",  # noqa: S104
    "CITYBRAIN_PORT": "8001",
    "CITYBRAIN_DATABASE_URL": "postgresql://city:secret@db/city",
    "CITYBRAIN_REDIS_URL": "redis://:secret@broker:6379/1",
    "CITYBRAIN_PUBLIC_URL": "https://events.example.org/brain",
    "CITYBRAIN_WEBHOOK_ALLOW": "10.20.0.0/16, 127.0.0.1:9301",
    "CITYBRAIN_ADMIN_KEY": "cb12.34",
    "CITYBRAIN_CHROMIUM": "/usr/bin/chromium",
}


def test_right_values_and_none_are_right() -> None:
    assert check_environment(RIGHT) == []
    assert check_environment(dict.fromkeys(RIGHT, "")) == []
    assert check_environment({}) == []


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("DATA", f"{__file__}/data", "test_environment.py is a file"),
        ("CITY", "/nowhere", "'/nowhere': a folder that is there"),
        ("HOST", "http://here", "an address or a name"),
        ("PORT", "80x", "'80x': a port, 1 to 65535"),
        ("PORT", "70000", "a port"),
        ("DATABASE_URL", "mysql://city:secret@db/city", "'…@db/city': postgresql://"),
        ("DATABASE_URL", "city.db", "sqlite:///FILE"),
        ("REDIS_URL", "localhost:6379", "redis://HOST:PORT"),
        ("REDIS_URL", "redis://", "redis://HOST:PORT"),
        ("PUBLIC_URL", "events.example.org", "such as https://events.example.org"),
        ("PUBLIC_URL", "http://here:99999", "such as https://"),
        ("WEBHOOK_ALLOW", "10.20.0.1/16", "did you mean 10.20.0.0/16?"),
        ("ADMIN_KEY", "two secret words", "CITYBRAIN_ADMIN_KEY: its value: ASCII"),
        ("WEBHOOKS_ALLOW", "10.20.0.0/16", "did you mean CITYBRAIN_WEBHOOK_ALLOW?"),
    ],
)
def test_wrong_value_is_told_with_what_was_expected(variable: str, value: str, told: str) -> None:
    (mistake,) = check_environment(RIGHT | {f"CITYBRAIN_{variable}": value})
    assert mistake.file == f"CITYBRAIN_{variable}"
    assert told in str(mistake)
    assert "secret" not in str(mistake)


@pytest.mark.parametrize("command", [("up",), ("check",), ("keys", "list")])
def test_every_command_refuses_and_tells_all_of_them(command: tuple[str, ...]) -> None:
    wrong = {"CITYBRAIN_PORT": "no", "CITYBRAIN_WEBHOOK_ALLOW": "intranet", "CITYBRAIN_REDIS_URL": "here"}
    argv = [sys.executable, "-m", "citybrain", *command]
    done = subprocess.run(argv, env=os.environ | wrong, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    head, *lines = done.stderr.splitlines()
    assert head == "Error: the environment cannot be used"
    assert {line.split(":")[0] for line in lines} == set(wrong)
