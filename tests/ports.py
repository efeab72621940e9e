"""Ports on which nobody listens, for servers that the tests start a moment later."""

import os
import random
import socket
from contextlib import suppress
from itertools import cycle

# Below those that the system gives to whoever connects, which might take one before it is listened at; each process of
# a run of the tests has its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_PORTS = cycle(range(12_000 + 1_000 * _WORKER, 13_000 + 1_000 * _WORKER))
for _ in range(random.randrange(1_000)):
    next(_PORTS)


def free_port() -> int:
    while True:
        port = next(_PORTS)
        with suppress(OSError), socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            free.bind(("127.0.0.1", port))
            return port
