"""Redis-protocol servers as a city with several machines runs them: behind TLS, or watched by a Sentinel."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ports import free_port
from serving import wait_until

from citybrain.broker import find_server, wait_ready
from citybrain.redis_url import client

MASTER_PASSWORD, SENTINEL_PASSWORD = "of-the-master", "of-the-sentinels"


@dataclass
class Watched:
    """A master, its replica, and a Sentinel that puts the replica in its place; in the url also one that is down."""

    folder: Path
    url: str = ""
    sentinel_url: str = ""
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        master, replica, sentinel, nobody = (free_port() for _ in range(4))
        secrets = ["--requirepass", MASTER_PASSWORD, "--masterauth", MASTER_PASSWORD]
        self._launch("master", "--port", str(master), *secrets)
        self._launch("replica", "--port", str(replica), "--replicaof", "127.0.0.1", str(master), *secrets)
        copy = f"redis://:{MASTER_PASSWORD}@127.0.0.1:{replica}"
        assert wait_ready(copy, 120)
        with client(copy) as connection:
            wait_until(lambda: connection.info("replication")["master_link_status"] == "up")
        conf = self.folder / "sentinel.conf"  # a Sentinel writes what it learns into its file
        conf.write_text(
            f"port {sentinel}\nbind 127.0.0.1\nrequirepass {SENTINEL_PASSWORD}\n"
            f"sentinel monitor mymaster 127.0.0.1 {master} 1\nsentinel auth-pass mymaster {MASTER_PASSWORD}\n"
            "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 3000\n"
        )
        self._launch("sentinel", str(conf), "--sentinel")
        self.url = (
            f"redis+sentinel://:{MASTER_PASSWORD}@127.0.0.1:{nobody},127.0.0.1:{sentinel}/mymaster/0"
            f"?sentinel_password={SENTINEL_PASSWORD}"
        )
        assert wait_ready(self.url, 120)
        self.sentinel_url = f"redis://:{SENTINEL_PASSWORD}@127.0.0.1:{sentinel}"
        with client(self.sentinel_url) as connection:
            wait_until(lambda: connection.sentinel_slaves("mymaster"))

    def end(self) -> None:
        for server in self.servers.values():
            server.kill()
            server.wait()

    def _launch(self, name: str, *argv: str) -> None:
        here = self.folder / name
        here.mkdir()
        log = (here / "log").open("wb")
        mode = [] if name == "sentinel" else ["--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0"]
        self.servers[name] = subprocess.Popen([*find_server(), *argv, *mode, "--dir", str(here)], stdout=log)


@dataclass(frozen=True)
class Certificates:
    """One for the server at 127.0.0.1 and one for its clients, each its own authority."""

    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    made = []
    for name in ("server", "client"):
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        argv = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt"]
        argv += ["ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*argv, "-out", certificate, "-keyout", key], check=True, capture_output=True)
        made += [certificate, key]
    return Certificates(*made)


@contextmanager
def behind_tls(port: int, certificates: Certificates) -> Iterator[int]:
    """The port under which the server at `port` is reached by TLS, by clients with a certificate. (The server that the
    tests have is built without TLS.)"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.load_verify_locations(certificates.client)
    context.verify_mode = ssl.CERT_REQUIRED
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(forward(reader, back), forward(there, writer), return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(relay, "127.0.0.1", 0, ssl=context), loop).result()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
