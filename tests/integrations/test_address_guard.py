"""Outbound webhooks reach no private address, however it is written, resolved or redirected to."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integrations import outbound
from integrations.name_lookups import NameLookups
from integrations.outbound import DeliveryResult, OutboundHttp, UnsafeTarget, check_target, is_public
from tests.integrations.conftest import EVENT_SECRET
from tests.lms.processes import Recorder

NOW = datetime.datetime(2027, 1, 1, tzinfo=UTC)

PRIVATE_ADDRESSES = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_a_private_address_is_private(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


class Connections:
    """Stands where the network is: notes each address that is dialled, and connects to none."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def connect_tcp(self, host: str, port: int, *rest: object) -> None:
        """Note it."""
        self.dialled.append(host)
        raise outbound.httpcore.ConnectError("no network in this test")


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    network = Connections()
    monkeypatch.setattr(outbound.httpcore, "AnyIOBackend", lambda: network)
    return network


@pytest.fixture(scope="module")
def system_certificates() -> ssl.SSLContext:
    """Loaded once; it takes a while."""
    return ssl.create_default_context()


def _resolver(answers: dict[str, Sequence[str]]) -> outbound.Resolver:
    async def resolver(host: str, port: int) -> Sequence[str]:
        if host in answers:
            return answers[host]
        return await NameLookups()(host, port)

    return resolver


async def _deliver(http: OutboundHttp, url: str) -> DeliveryResult:
    result = await http.deliver(url, "evt_1", b"{}", [EVENT_SECRET], NOW)
    await http.aclose()
    return result


_NAMES = {
    "internal.example": ["10.0.0.5"],
    "mixed.example": ["93.184.216.34", "127.0.0.1"],
    "mixed6.example": ["2606:4700:4700::1111", "::1"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "cgnat.example": ["100.64.1.1"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "garbage.example": ["not an address"],
    "empty.example": [],
    "localhost": ["127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "xn--nternal-o2a.example": ["192.168.1.1"],
}
UNSAFE_URLS = [
    *(f"https://{f'[{a}]' if ':' in a else a}/hook" for a in PRIVATE_ADDRESSES if "%" not in a),
    "https://localhost/",
    "https://app.localhost/",
    "https://a.b.LOCALHOST./",
    "https://ip6-localhost/",
    "https://LOCALHOST./",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://3232235777/",
    "https://0xa9fea9fe/",
    "https://2852039166/",
    "https://169.254.43518/",
    "https://0300.0250.1.1/",
    "https://127.0.0.1:8443/",
    "https://127.0.0.1.:443/",
    "https://[::1]:8443/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:a9fe:a9fe]/latest/meta-data/",
    "https://[fe80::1%251]/",
    "https://１２７.０.０.１/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://ïnternal.example/",
    *(f"https://{name}/" for name in _NAMES),
    "https://user@internal.example/",
    "https://93.184.216.34@127.0.0.1/",
    "https://127.0.0.1#@93.184.216.34/",
    "https://127.0.0.1?@93.184.216.34/",
    "https://127.0.0.1\\@93.184.216.34/",
    "http://93.184.216.34/",
    "http://example.com/",
    "HTTP://93.184.216.34/",
    "ftp://93.184.216.34/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "//93.184.216.34/",
    "93.184.216.34",
    "/hook",
    "https://",
    "https:///hook",
    "https:93.184.216.34",
    "",
    " ",
    "https://93.184.216.34:99999/",
    "https://93.184.216.34:-1/",
    "https://93.184.216.34:0/",
    "https://xn--nternal-rfa.example/",
    "https://[::1/",
    "https://[nonsense]/",
    "https://127.0.0.1\r\nHost: x/",
    "https://\0/",
    "https://" + "a" * 70_000 + "/",
]


@pytest.mark.parametrize("url", UNSAFE_URLS, ids=lambda url: ascii(url)[:60])
async def test_no_connection_is_made_for_an_unsafe_url(
    connections: Connections, system_certificates: ssl.SSLContext, url: str
) -> None:
    http = OutboundHttp(resolver=_resolver(_NAMES), ssl_context=system_certificates)
    result = await _deliver(http, url)
    assert connections.dialled == []
    assert result.status_code is None
    assert result.error
    assert not result.delivered


def test_there_are_more_than_sixty_unsafe_urls() -> None:
    assert len(set(UNSAFE_URLS)) > 60


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
async def test_the_very_address_that_was_checked_is_dialled(
    connections: Connections, system_certificates: ssl.SSLContext, address: str
) -> None:
    resolver = _resolver({"receiver.example": [address]})
    http = OutboundHttp(resolver=resolver, ssl_context=system_certificates)
    result = await _deliver(http, "https://receiver.example/hook")
    assert connections.dialled == [address]
    assert result.error == "ConnectError: no network in this test"


async def test_a_name_that_changes_its_mind_gains_nothing(
    connections: Connections, system_certificates: ssl.SSLContext
) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"], ["93.184.216.35"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    http = OutboundHttp(resolver=rebinding, ssl_context=system_certificates)
    for _ in range(3):
        await http.deliver("https://rebinding.example/", "evt_1", b"{}", [EVENT_SECRET], NOW)
    await http.aclose()
    # One look-up for each attempt, and what it gave is what was dialled.
    assert connections.dialled == ["93.184.216.34", "93.184.216.35"]
    assert answers == []


async def test_the_next_address_is_tried_when_the_first_does_not_answer(
    connections: Connections, system_certificates: ssl.SSLContext
) -> None:
    resolver = _resolver({"two.example": ["2606:4700:4700::1111", "93.184.216.34"]})
    await _deliver(OutboundHttp(resolver=resolver, ssl_context=system_certificates), "https://two.example/")
    assert connections.dialled == ["2606:4700:4700::1111", "93.184.216.34"]


async def test_a_redirect_inside_is_not_followed(recorder: Recorder) -> None:
    secret_service = Recorder()

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("location", secret_service.url)
        handler.send_header("content-length", "0")
        handler.end_headers()

    recorder.answer = redirect
    try:
        result = await _deliver(OutboundHttp(allow_private=True), recorder.url)
        assert (result.status_code, result.delivered) == (302, False)
        assert "redirect" in (result.error or "")
        assert secret_service.connections == 0
    finally:
        secret_service.close()


async def test_a_real_server_on_loopback_is_reached_only_in_development(recorder: Recorder) -> None:
    refused = await _deliver(OutboundHttp(), recorder.url.replace("http:", "https:"))
    assert refused.error == "unsafe_url: 127.0.0.1 is not a public address"
    refused = await _deliver(OutboundHttp(), recorder.url.replace("http://127.0.0.1", "https://localhost"))
    assert "not a public address" in (refused.error or "")
    assert recorder.connections == 0
    allowed = await _deliver(OutboundHttp(allow_private=True), recorder.url)
    assert allowed.delivered
    assert recorder.connections == 1


def test_check_target_tells_an_operator_at_once() -> None:
    assert check_target("https://example.com/hook?x=1").host == "example.com"
    assert check_target("http://127.0.0.1:8091/", allow_private=True).port == 8091
    for url in ("https://2130706433/", "https://0x7f.1/", "https://0300.0250.1.1/", "https://x.localhost/"):
        with pytest.raises(UnsafeTarget):
            check_target(url)
    for url in ("http://example.com/", "https://10.0.0.1/", "https://u:p@example.com/", "ftp://x/", "x", ""):
        with pytest.raises(UnsafeTarget):
            check_target(url)
    for url in ("https://u:p@example.com/", "ftp://127.0.0.1/", "file:///etc/passwd", ""):
        with pytest.raises(UnsafeTarget):
            check_target(url, allow_private=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for receiver.example, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.now(UTC) - datetime.timedelta(days=1))
        .not_valid_after(datetime.datetime.now(UTC) + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class TlsReceiver:
    """Speaks just enough HTTPS to record server name and head of a request."""

    def __init__(self, certificate: Path) -> None:
        self.names: list[str | None] = []
        self.heads: list[bytes] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request with 204."""
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    """Trusts the one certificate."""
    return ssl.create_default_context(cafile=str(certificate))


async def test_pinning_keeps_name_and_certificate_in_force(
    certificate: Path, trusting: ssl.SSLContext
) -> None:
    receiver = TlsReceiver(certificate)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=receiver.context)
    port = server.sockets[0].getsockname()[1]
    names = {"receiver.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
    http = OutboundHttp(allow_private=True, resolver=_resolver(names), ssl_context=trusting)
    try:
        good = await http.deliver(f"https://receiver.example:{port}/a?b", "evt_1", b"{}", [EVENT_SECRET], NOW)
        assert good.status_code == 204
        assert receiver.names == ["receiver.example"]
        assert receiver.heads[0].startswith(b"POST /a?b HTTP/1.1\r\n")
        assert f"Host: receiver.example:{port}\r\n".encode() in receiver.heads[0]
        # The same address under a name that the certificate does not have.
        bad = await http.deliver(f"https://other.example:{port}/", "evt_1", b"{}", [EVENT_SECRET], NOW)
        assert bad.status_code is None
        assert "certificate" in (bad.error or "")
        assert len(receiver.heads) == 1
    finally:
        await http.aclose()
        server.close()
        await server.wait_closed()
