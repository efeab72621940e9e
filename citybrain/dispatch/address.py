"""Where webhooks may go: the public internet, and of the private networks only what the allow-list names.

`check_url` judges an address when an endpoint is registered. `open_socket` judges again for every single connection of
the sender, with the address a name was resolved to, so that no answer of a name server (DNS rebinding) gets around it.
"""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self

from yarl import URL  # what aiohttp parses with: the host that is judged is the host that is called

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2048

# IANA's special-purpose registries, written out: `ipaddress.is_global` differs between patch releases of Python.
_REFUSED = {
    IPv4Network(network): kind
    for network, kind in {
        "0.0.0.0/8": "unspecified",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "shared (carrier-grade NAT)",
        "127.0.0.0/8": "loopback",
        "168.63.129.16/32": "a cloud platform's own",
        "169.254.0.0/16": "link-local (cloud metadata)",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "reserved",
        "192.0.2.0/24": "for documentation",
        "192.88.99.0/24": "reserved",
        "192.168.0.0/16": "private",
        "198.18.0.0/15": "for benchmarks",
        "198.51.100.0/24": "for documentation",
        "203.0.113.0/24": "for documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved or broadcast",
    }.items()
}
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = {
    IPv6Network("2001::/23"): "reserved (Teredo and other protocols)",
    IPv6Network("2001:db8::/32"): "for documentation",
    IPv6Network("3fff::/20"): "for documentation",
}
# What browsers do not call either (fetch.spec.whatwg.org, port blocking): mail servers and the like, which a request
# could be made to look like a command to.
_OTHER_PROTOCOLS = frozenset(
    [*range(1, 80), 87, 95, *range(101, 144), 161, 179, 389, 427, 465, *range(512, 516), 526, *range(530, 533), 540,
     548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000,
     6379, 6566, *range(6665, 6670), 6679, 6697, 10080, 11211]
)  # fmt: skip
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}  # before the last 32 bits
_NAT64 = IPv6Network("64:ff9b::/96")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\]:(?P<port6>\d{1,5})|(?P<v4>[^:\[\]]+):(?P<port4>\d{1,5})")


class AddressRefused(OSError):
    """Never retry: webhooks do not go there unless the allow-list changes.

    An OSError, because that is what aiohttp's connector carries from the socket to the caller. `reason` names no
    address, so that it reads alike for all addresses of a name; `remedy` does.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


@dataclass(frozen=True, slots=True)
class AllowList:
    """Private networks that may be reached, each with the one port that is meant or None for all of them."""

    entries: tuple[tuple[Network, int | None], ...] = ()

    @classmethod
    def parse(cls, text: str | Iterable[str]) -> Self:
        """`10.20.0.0/16, 127.0.0.1:9301, [::1]:9301`. Raises ValueError that lists every entry it cannot read."""
        parts = text.split(",") if isinstance(text, str) else list(text)
        entries, mistakes = [], []
        for part in filter(None, map(str.strip, parts)):
            try:
                entries.append(_entry(part))
            except ValueError as mistake:
                mistakes.append(f"{part!r}: {mistake}")
        if mistakes:
            raise ValueError("networks that webhooks may reach: " + "; ".join(mistakes))
        return cls(tuple(entries))

    def check(self, address: Address, port: int) -> None:
        """Raises AddressRefused unless `address` is public or allowed, and the port is none of another protocol. An
        IPv4 address inside an IPv6 one counts."""
        address = _innermost(address)
        kind = _kind(address)
        if self._names(address, port):
            return
        if kind is None and port not in _OTHER_PROTOCOLS:
            return
        if kind is None:
            raise AddressRefused(f"port {port} speaks another protocol", "use a port of HTTP, such as 443 or 8443")
        raise AddressRefused(
            "webhooks may not reach this address",
            f"{address} is {kind}: use a public address, or have its network added to CITYBRAIN_WEBHOOK_ALLOW",
        )

    def check_url(self, url: str) -> URL:
        """The parsed address. Raises AddressRefused when it can never be called; names are resolved when it is."""
        parsed = _parse(url)
        host, port = (parsed.raw_host or "").removesuffix("."), parsed.port or 0
        if ":" in host or re.fullmatch(r"\d+(\.\d+){3}", host):
            self.check(_literal(host), port)
        elif host == "localhost" or host.endswith(".localhost"):
            if not self._names(IPv6Address("::1"), port):
                self.check(IPv4Address("127.0.0.1"), port)
        else:
            _check_name(host)
        return parsed

    def open_socket(self, addr_info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """The `socket_factory` of aiohttp's connector, which calls it for literal and for resolved addresses alike."""
        family, kind, protocol, _, (host, port, *_rest) = addr_info
        self.check(ip_address(host), port)
        return socket.socket(family, kind, protocol)

    def _names(self, address: Address, port: int) -> bool:
        return any(address in network and only in (None, port) for network, only in self.entries)


def _entry(text: str) -> tuple[Network, int | None]:
    match = _WITH_PORT.fullmatch(text)
    network, port = (match["v6"] or match["v4"], int(match["port6"] or match["port4"])) if match else (text, None)
    if port is not None and not 0 < port < 65536:
        raise ValueError("a port is 1 to 65535")
    try:
        return ip_network(network), port
    except ValueError as error:
        meant = f", did you mean {ip_network(network, strict=False)}?" if "host bits" in str(error) else ""
        raise ValueError(f"expected a network such as 10.20.0.0/16 or 127.0.0.1:9301{meant}") from None


def _parse(url: str) -> URL:
    if len(url) > LONGEST_URL:
        raise AddressRefused("the address is too long", f"at most {LONGEST_URL} characters")
    if not url.isprintable() or " " in url:
        raise AddressRefused("the address has spaces or control characters", "remove or percent-encode them")
    try:
        parsed = URL(url)
        port = parsed.port
    except ValueError as error:
        raise AddressRefused("this is no address of the web", f"{error}") from None
    if parsed.scheme not in ("http", "https"):
        raise AddressRefused("only http and https can be called", "write https://host/path")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise AddressRefused(
            "user names and passwords are not sent", "remove what stands before @: messages are signed"
        )
    if not parsed.raw_host:
        raise AddressRefused("the address names no host", "write https://host/path")
    if not port:
        raise AddressRefused("the port cannot be called", "a port is 1 to 65535")
    return parsed


def _literal(host: str) -> Address:
    try:
        return ip_address(host)
    except ValueError:
        raise AddressRefused("this is no IP address", "write four numbers from 0 to 255, or [IPv6]") from None


def _check_name(host: str) -> None:
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # 2130706433, 127.1 and 0x7f.1 are 127.0.0.1 to some resolvers
        raise AddressRefused("the host is a number in a short form", "write an IP address as four numbers")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise AddressRefused("this is no host name", "letters, digits and hyphens, with full stops between")


def _innermost(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            carried = IPv4Address(int(address) & 0xFFFFFFFF)
            return carried if _kind(carried) else address
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _kind(address: Address) -> str | None:
    """What keeps an address from being public, None when it is."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _REFUSED.items() if address in network), None)
    if address not in _GLOBAL_V6:
        kinds = {"loopback": address.is_loopback, "link-local": address.is_link_local, "private": address.is_private}
        return next((kind for kind, holds in kinds.items() if holds), "reserved or multicast")
    return next((kind for network, kind in _REFUSED_V6.items() if address in network), None)
