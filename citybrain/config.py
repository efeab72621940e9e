"""Where this installation keeps its data and finds its city, store and broker: flags first, then the environment."""

import os
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

BUILTIN_CITY = Path(__file__).parent / "cities" / "meizhou"


@dataclass(frozen=True, slots=True)
class Config:
    data: Path
    city: Path
    database_url: str
    redis_url: str | None  # None: the embedded server of `citybrain up`
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    demo: bool = False
    demo_port: int = 0  # of the demonstration's receiver, which alone may be reached although local
    webhook_allow: tuple[str, ...] = ()
    bodies_mib: int = 64  # that an API process holds of bodies at once
    api_processes: int = 1  # among which a key's rate is shared

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Reads CITYBRAIN_* and lets every flag that is not None win over it."""
        env = os.environ
        given = {name: value for name, value in flags.items() if value is not None}
        data = Path(given.pop("data", None) or env.get("CITYBRAIN_DATA") or "citybrain-data").resolve()
        allow = env.get("CITYBRAIN_WEBHOOK_ALLOW", "")
        config = cls(
            data=data,
            city=Path(env.get("CITYBRAIN_CITY") or BUILTIN_CITY).resolve(),
            database_url=database_url(env.get("CITYBRAIN_DATABASE_URL"), data),
            redis_url=env.get("CITYBRAIN_REDIS_URL") or None,
            host=env.get("CITYBRAIN_HOST") or "127.0.0.1",
            port=int(env.get("CITYBRAIN_PORT") or 8000),
            demo=env.get("CITYBRAIN_DEMO") == "1",
            demo_port=int(env.get("CITYBRAIN_DEMO_PORT") or 0),
            webhook_allow=tuple(part.strip() for part in allow.split(",") if part.strip()),
            bodies_mib=int(env.get("CITYBRAIN_BODIES_MIB") or 64),
            api_processes=int(env.get("CITYBRAIN_API_PROCESSES") or 1),
        )
        return replace(config, **given)

    @property
    def public_url(self) -> str:
        """Where departments reach this installation; behind a proxy, set CITYBRAIN_PUBLIC_URL."""
        return os.environ.get("CITYBRAIN_PUBLIC_URL", f"http://{self.host}:{self.port}").rstrip("/")

    def make_data(self) -> None:
        """For this user's eyes only: reports name people."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)

    def with_demonstration(self) -> Self:
        """Gives the demonstration's receiver a free port and lets webhooks reach it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return replace(self, demo_port=port, webhook_allow=(*self.webhook_allow, f"127.0.0.1:{port}"))

    def environment(self) -> dict[str, str]:
        """The environment that gives a child process this same configuration."""
        env = {
            **os.environ,
            "CITYBRAIN_DATA": str(self.data),
            "CITYBRAIN_CITY": str(self.city),
            "CITYBRAIN_DATABASE_URL": self.database_url,
            "CITYBRAIN_HOST": self.host,
            "CITYBRAIN_PORT": str(self.port),
            "CITYBRAIN_DEMO": "1" if self.demo else "0",
            "CITYBRAIN_DEMO_PORT": str(self.demo_port),
            "CITYBRAIN_WEBHOOK_ALLOW": ",".join(self.webhook_allow),
        }
        if self.redis_url:
            env["CITYBRAIN_REDIS_URL"] = self.redis_url
        return env


def database_url(url: str | None, data: Path) -> str:
    """As SQLAlchemy reads it; without one, SQLite in the data folder."""
    if not url:
        return f"sqlite:///{data / 'citybrain.db'}"
    return re.sub("^postgres(ql)?://", "postgresql+psycopg://", url)
