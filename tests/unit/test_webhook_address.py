"""Which addresses a webhook may have, at registration and for each connection."""

import errno
import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.dispatch.address import AddressRefused, AllowList

NOBODY = AllowList()


def _connect(allow: AllowList, host: str, port: int = 443) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockaddr = (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)
    try:
        allow.open_socket((family, socket.SOCK_STREAM, 0, "", sockaddr)).close()
    except OSError as error:  # a machine without IPv6 has no such sockets
        if error.errno != errno.EAFNOSUPPORT:
            raise


PUBLIC = ["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "169.253.0.1", "223.255.255.255",
          "2400:3200::1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]  # fmt: skip
REFUSED = [str(IPv4Address(0)), "0.1.2.3", "10.1.2.3", "100.64.0.1",
           "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
           "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "203.0.113.9", "224.0.0.1",
           "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "::7f00:1", "::ffff:127.0.0.1",
           "::ffff:169.254.169.254", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "fe80::1",
           "fec0::1", "fd00:ec2::254", "ff02::1", "2001:0:4136:e378::1", "2001:db8::1", "3fff::1", "4000::1",
           "100::1", "::a9fe:a9fe", "0:0:0:0:0:ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
           "::ffff:0:127.0.0.1", "2606:4700::5efe:a9fe:a9fe", "2606:4700::200:5efe:a00:1", "5f00::1",
           "64:ff9b:1:a9fe:a9fe::"]  # fmt: skip


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_may_be_called(host: str) -> None:
    NOBODY.check_url(f"https://[{host}]/hook" if ":" in host else f"https://{host}/hook")
    _connect(NOBODY, host)


@pytest.mark.parametrize("host", REFUSED)
def test_private_and_special_addresses_are_refused_at_registration_and_at_connection(host: str) -> None:
    with pytest.raises(AddressRefused):
        NOBODY.check_url(f"https://[{host}]/hook" if ":" in host else f"https://{host}/hook")
    with pytest.raises(AddressRefused):
        _connect(NOBODY, host)


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_called(address: IPv4Address | IPv6Address) -> None:
    carries_v4 = address.version == 6 and (address.ipv4_mapped or address.sixtofour)
    if carries_v4 or address.is_global:
        return
    with pytest.raises(AddressRefused):
        NOBODY.check(address, 443)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/", "http://LOCALHOST:80/", "http://localhost./", "http://a.localhost/",
        "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/",
        "http://127.0.0.1./", "http://１２７.０.０.１/", "http://127。0。0。1/", "http://①②⑦.0.0.1/",
        "http://[::ffff:7f00:1]/", "http://[fe80::1%25eth0]/", "http://256.1.1.1/", "http://[::1",
        "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:1", "", "example.com/hook",
        "//example.com/", "http://", "http:///hook", "http://user@example.com/", "http://u:p@example.com/",
        "http://:p@example.com/", "http://example.com\\@127.0.0.1/", "http://example.com:0/",
        "http://example.com:65536/", "http://example.com:x/", "http://exam ple.com/", "http://example.com/\r\nx: y",
        "http://exa\nmple.com/", "http://-a.example/", "http://a..b/", "http://%31%32%37.0.0.1/",
        "http://example.com/" + "a" * 2048, f"http://{'a' * 64}.com/", f"http://{'a.' * 130}com/",
    ],
)  # fmt: skip
def test_addresses_that_are_none_or_trick_a_parser_are_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        NOBODY.check_url(url)
    assert refused.value.reason
    assert refused.value.remedy


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://gw.intranet:8080/hook?a=1#x",
        "https://例子.中国/钩子",
        "http://gw_1/",
        "https://a.b./",
    ],
)
def test_names_are_accepted_and_judged_when_they_are_resolved(url: str) -> None:
    NOBODY.check_url(url)


@given(st.text(max_size=60))
def test_any_text_is_accepted_or_refused_and_nothing_else(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/"):
        try:
            NOBODY.check_url(url)
        except AddressRefused:
            continue


def test_a_port_of_another_protocol_is_called_only_where_the_allow_list_says_so() -> None:
    for port in (22, 25, 110, 143, 587, 6379, 11211):
        with pytest.raises(AddressRefused):
            NOBODY.check_url(f"http://8.8.8.8:{port}/")
        AllowList.parse(f"8.8.8.8:{port}").check_url(f"http://8.8.8.8:{port}/")
    for port in (80, 443, 3000, 8000, 8080, 8443, 9301):
        NOBODY.check_url(f"http://8.8.8.8:{port}/")


def test_an_allowed_network_is_reached_and_its_neighbour_is_not() -> None:
    allow = AllowList.parse("10.20.0.0/16, fd12::/16")
    allow.check_url("http://10.20.255.1:8443/")
    _connect(allow, "fd12::5")
    _connect(allow, "::ffff:10.20.0.1")
    for other in ("10.21.0.1", "fd13::5", "127.0.0.1"):
        with pytest.raises(AddressRefused):
            _connect(allow, other)


def test_an_entry_with_a_port_allows_that_port_alone() -> None:
    allow = AllowList.parse(["127.0.0.1:9301", "[::1]:9302"])
    allow.check_url("http://127.0.0.1:9301/hook")
    allow.check_url("http://localhost:9301/hook")
    allow.check_url("http://localhost:9302/hook")
    _connect(allow, "::1", 9302)
    for host, port in (("127.0.0.1", 9302), ("127.0.0.1", 6379), ("127.0.0.2", 9301), ("::1", 9301)):
        with pytest.raises(AddressRefused):
            _connect(allow, host, port)
    with pytest.raises(AddressRefused):
        allow.check_url("http://localhost:9303/hook")


def test_every_entry_that_cannot_be_read_is_listed() -> None:
    with pytest.raises(ValueError, match=r"'intranet'.*'10\.1\.2\.3/8'.*did you mean 10\.0\.0\.0/8.*'1\.2\.3\.4:0'"):
        AllowList.parse("intranet, 10.1.2.3/8, 127.0.0.1, 1.2.3.4:0,,")


def test_an_empty_allow_list_allows_no_private_network() -> None:
    for empty in (AllowList.parse(" , "), AllowList.parse(()), AllowList()):
        with pytest.raises(AddressRefused):
            _connect(empty, "10.0.0.1")


def test_a_link_local_zone_does_not_hide_an_address() -> None:
    with pytest.raises(AddressRefused):
        _connect(NOBODY, "fe80::1%lo")
