"""What commands share: how they come to the installation, and how they say what went wrong."""

import json
import os
import sys
from typing import Any

import click
import orjson

from citybrain.config import Config
from geo.mistake import Mistakes


def opened(config: Config) -> Any:
    from citybrain.broker import BrokerError, command
    from citybrain.installation import open_installation

    config.make_data()
    try:
        return open_installation(config, command(config.data, config.redis_url).url)
    except BrokerError as error:
        raise click.ClickException(str(error)) from None


def run(do: Any) -> None:
    """With the installation, whose tables are this version's."""
    from citybrain.commands.prepare import prepare_store

    def start() -> None:
        config = Config.load()
        prepare_store(config)
        do(opened(config))

    told(start)


def answer(ask: Any) -> None:
    """Of the store only which edition is in use, where there is a store: wherever a pack is, a dry run works."""
    told(lambda: click.echo(json.dumps(ask(opened(Config.load())), ensure_ascii=False, indent=2)))


def in_a_line(value: Any) -> None:
    """On standard output at once: what comes after may wait for it."""
    try:
        sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # who reads has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(1) from None


def told(do: Any, *own: type[Exception]) -> Any:
    """What `do` answers; what went wrong as one line, without a trace; `own` are the errors of this command alone."""
    from citybrain.broker import BrokerError
    from citybrain.commands.supervisor import AlreadyRunning
    from citybrain.problem import Problem
    from citybrain.store.database import StoreUnavailable
    from citybrain.store.roots import WrongRoots

    known: tuple[type[Exception], ...] = (
        Mistakes, StoreUnavailable, AlreadyRunning, BrokerError, WrongRoots, OSError, *own,
    )  # fmt: skip
    try:
        return do()
    except Problem as problem:
        raise click.ClickException("; ".join([problem.detail, *(each.remedy for each in problem.errors)])) from None
    except known as error:
        raise click.ClickException(str(error)) from None
