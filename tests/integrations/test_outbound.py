"""Delivering one signed webhook: what is sent, and what each answer comes to."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks import Webhook

from domain.errors import InvalidInput
from integrations.outbound import DeliveryResult, OutboundHttp, parse_retry_after, sign
from integrations.webhook_verification import verify_standard
from tests.integrations.conftest import EVENT_SECRET, PAYOUT_SECRET
from tests.lms.processes import Recorder

BODY = '{"id":"evt_1","type":"order.paid","data":{"name":"Zoë"}}'.encode()


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[OutboundHttp]:
    client = OutboundHttp(allow_private=True, timeout_seconds=1.0)
    yield client
    await client.aclose()


async def test_a_delivery_is_signed_so_that_the_library_accepts_it(
    http: OutboundHttp, recorder: Recorder
) -> None:
    now = datetime.now(UTC)
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], now)
    assert (result.status_code, result.error, result.response_excerpt) == (200, None, "ok")
    assert result.delivered
    assert result.duration_ms >= 0
    (request,) = recorder.requests
    assert request.body == BODY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "evt_1"
    assert request.headers["webhook-timestamp"] == str(int(now.timestamp()))
    Webhook(EVENT_SECRET).verify(request.body, request.headers)


async def test_while_a_secret_rotates_both_sign(http: OutboundHttp, recorder: Recorder) -> None:
    await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET, PAYOUT_SECRET], datetime.now(UTC))
    (request,) = recorder.requests
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (EVENT_SECRET, PAYOUT_SECRET):
        Webhook(secret).verify(request.body, request.headers)


def test_the_time_is_signed_right_in_every_time_zone() -> None:
    moment = datetime(2027, 1, 1, 12, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    signature = sign("evt_1", BODY, [EVENT_SECRET], elsewhere)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
    }
    assert verify_standard(BODY, headers, [EVENT_SECRET], int(moment.timestamp()))
    with pytest.raises(InvalidInput):
        sign("evt_1", BODY, [EVENT_SECRET], moment.replace(tzinfo=None))


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], ["whsec_canar"], [EVENT_SECRET, "whsec_canar"]])
async def test_without_a_usable_secret_nothing_is_sent(
    http: OutboundHttp, recorder: Recorder, secrets: list[str]
) -> None:
    result = await http.deliver(recorder.url, "evt_1", BODY, secrets, datetime.now(UTC))
    assert result.status_code is None
    assert result.error
    assert "canar" not in result.error
    assert recorder.connections == 0


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_delivered(http: OutboundHttp, recorder: Recorder, status: int) -> None:
    recorder.statuses = [status]
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert (result.delivered, result.status_code, result.error) == (True, status, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_anything_else_is_not(http: OutboundHttp, recorder: Recorder, status: int) -> None:
    recorder.statuses = [status]
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert (result.delivered, result.status_code) == (False, status)
    assert len(recorder.requests) == 1
    assert bool(result.error) == (300 <= status < 400)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("2.5", 2.5),
        ("-5", 0.0),
        ("99999999", 86400.0),
        ("inf", None),
        ("nan", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Fri, 01 Jan 2027 12:01:30 GMT", 90.0),
        ("Fri, 01 Jan 2027 11:00:00 GMT", 0.0),
        ("Fri, 01 Jan 9999 99:99:99 GMT", None),
        ("Mon, 99 Foo 2027", None),
        ("\0", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=datetime(2027, 1, 1, 12, tzinfo=UTC)) == seconds


async def test_retry_after_is_handed_on(http: OutboundHttp, recorder: Recorder) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(503)
        handler.send_header("Retry-After", "42")
        handler.send_header("content-length", "0")
        handler.end_headers()

    recorder.answer = answer
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert (result.status_code, result.retry_after_seconds) == (503, 42.0)


def _raw(content: bytes, pause_seconds: float = 0.0) -> object:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(content)
        handler.wfile.flush()
        time.sleep(pause_seconds)

    return answer


async def test_an_endless_answer_is_cut_at_4_kb(http: OutboundHttp, recorder: Recorder) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 500 x\r\n\r\n")
        for _ in range(2000):
            handler.wfile.write(b"x" * 65536)

    recorder.answer = answer
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert result.status_code == 500
    assert result.response_excerpt == "x" * 4096


async def test_an_answer_that_is_no_text_can_still_be_stored(http: OutboundHttp, recorder: Recorder) -> None:
    recorder.answer = _raw(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\0a\xff\xfe\0b")
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert result.delivered
    assert "\0" not in result.response_excerpt
    result.response_excerpt.encode()


async def test_a_compressed_answer_is_not_unpacked(http: OutboundHttp, recorder: Recorder) -> None:
    recorder.answer = _raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nbomb")
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert (result.delivered, result.response_excerpt) == (True, "bomb")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
        b"\x16\x03\x01\x00",
    ],
)
async def test_an_answer_that_is_not_http_is_an_error(
    http: OutboundHttp, recorder: Recorder, content: bytes
) -> None:
    recorder.answer = _raw(content)
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert result.status_code is None
    assert result.error
    assert not result.delivered


async def test_silence_ends_at_the_total_timeout(http: OutboundHttp, recorder: Recorder) -> None:
    recorder.answer = _raw(b"", pause_seconds=1.5)
    started = time.monotonic()
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert 0.9 < time.monotonic() - started < 5
    assert (result.status_code, result.error) == (None, "no answer within 1 s")
    assert result.duration_ms >= 900


async def test_headers_that_drip_end_at_the_total_timeout(http: OutboundHttp, recorder: Recorder) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(8):
            handler.wfile.write(f"x-{number}: y\r\n".encode())
            handler.wfile.flush()
            time.sleep(0.2)

    recorder.answer = answer
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert result.status_code is None
    assert result.duration_ms < 1400


async def test_a_body_that_never_ends_does_not_undo_the_status(recorder: Recorder) -> None:
    patient = OutboundHttp(allow_private=True, timeout_seconds=10)
    recorder.answer = _raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthanks", pause_seconds=3)
    result = await patient.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    await patient.aclose()
    assert (result.delivered, result.response_excerpt) == (True, "thanks")
    assert result.duration_ms < 2900


@pytest.mark.parametrize("status", [200, 410])
async def test_a_body_that_is_open_at_the_total_timeout_does_not_undo_the_status(
    http: OutboundHttp, recorder: Recorder, status: int
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        time.sleep(0.6)
        handler.wfile.write(f"HTTP/1.1 {status} x\r\ncontent-length: 100\r\n\r\nthanks".encode())
        handler.wfile.flush()
        time.sleep(1.5)

    recorder.answer = answer
    result = await http.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert (result.status_code, result.error) == (status, None)
    assert result.delivered == (status == 200)


async def test_silent_name_servers_of_others_delay_no_receiver(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up can't be ended: it holds its thread for longer than the request that asked for it."""
    answered, asked, ask = threading.Event(), Counter[str](), socket.getaddrinfo

    def silent(host: str, *args: Any, **options: Any) -> Any:
        if host.endswith(".dead.example") and not options.get("flags"):
            asked[host] += 1
            answered.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return ask(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    http = OutboundHttp(allow_private=True, timeout_seconds=1.0)
    dead = [f"http://{number % 8}.dead.example/" for number in range(64)]

    async def send(url: str) -> DeliveryResult:
        return await http.deliver(url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))

    try:
        results = await asyncio.gather(*map(send, dead))
        assert {result.error for result in results} == {"no answer within 1 s"}
        results = [await send(recorder.url), await send(recorder.url.replace("127.0.0.1", "localhost"))]
        assert [result.error for result in results] == [None, None]
        assert set(asked.values()) == {1}
    finally:
        answered.set()
        await http.aclose()


async def test_a_receiver_that_is_down_is_an_error_with_a_reason(http: OutboundHttp) -> None:
    result = await http.deliver("http://127.0.0.1:9/", "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    assert result.status_code is None
    assert "ConnectError" in (result.error or "")


async def test_a_name_that_is_none_is_an_error(http: OutboundHttp) -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    client = OutboundHttp(allow_private=True, resolver=nowhere)
    result = await client.deliver("http://gone.example/", "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))
    await client.aclose()
    assert "gone.example can't be resolved" in (result.error or "")


@pytest.mark.parametrize("webhook_id", ["evt\r\nx: y", "evt\0", ""])
async def test_an_id_can_smuggle_no_header(http: OutboundHttp, recorder: Recorder, webhook_id: str) -> None:
    await http.deliver(recorder.url, webhook_id, BODY, [EVENT_SECRET], datetime.now(UTC))
    assert all("x" not in request.headers for request in recorder.requests)


async def test_no_proxy_of_the_environment_is_used(
    http: OutboundHttp, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    client = OutboundHttp(allow_private=True)
    assert (await client.deliver(recorder.url, "evt_1", BODY, [EVENT_SECRET], datetime.now(UTC))).delivered
    await client.aclose()


async def test_many_deliveries_at_once_share_no_connection(http: OutboundHttp, recorder: Recorder) -> None:
    now = datetime.now(UTC)
    results = await asyncio.gather(
        *(http.deliver(recorder.url, f"evt_{number}", BODY, [EVENT_SECRET], now) for number in range(20))
    )
    assert all(result.delivered for result in results)
    assert recorder.connections == 20
    assert {request.headers["webhook-id"] for request in recorder.requests} == {
        f"evt_{number}" for number in range(20)
    }
