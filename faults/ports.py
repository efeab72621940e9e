"""Free ports of this machine, below those that the system gives to whoever connects: a part that is killed finds its
own again."""

import random
import socket
from contextlib import suppress


def free_port() -> int:
    while True:
        port = random.randrange(10_000, 32_000)
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port
