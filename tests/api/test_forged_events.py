"""Inbound events over HTTP, 500 times spoiled: none is taken for another, none is a 5xx."""

import base64
import json
import random
import time
import uuid
from datetime import UTC, datetime

import pytest
import stripe
from sqlalchemy import text
from standardwebhooks import Webhook

from tests.api.callers import Gateway
from tests.api.conftest import SECRET

SEED = 20270301
OTHER = "whsec_" + base64.b64encode(b"some other secret of the tests").decode()
MUTATIONS = 500


def stripe_headers(body: bytes, secret: str = SECRET, at: int = 0) -> dict[str, str]:
    stamp = int(time.time()) + at
    header = stripe.WebhookSignature.generate_signature_header(body.decode("latin-1"), secret, stamp)
    return {"stripe-signature": header}


def standard_headers(body: bytes, secret: str = SECRET, at: int = 0) -> dict[str, str]:
    stamp = int(time.time()) + at
    moment, webhook_id = datetime.fromtimestamp(stamp, UTC), f"evt_{uuid.uuid4().hex}"
    signature = Webhook(secret).sign(webhook_id, moment, body.decode("latin-1"))
    return {"webhook-id": webhook_id, "webhook-timestamp": str(stamp), "webhook-signature": signature}


SOURCES = {"stripe": stripe_headers, "lms": standard_headers, "payout": standard_headers}


def event() -> bytes:
    """An event that nothing here acts on."""
    return json.dumps(
        {
            "id": f"evt_{uuid.uuid4().hex}",
            "type": "something.else",
            "data": {"object": {"id": "x", "object": "x", "metadata": {}}},
        }
    ).encode()


async def stored(gateway: Gateway) -> int:
    async with gateway.services.database.transaction() as session:
        return int((await session.execute(text("SELECT count(*) FROM inbound_event"))).scalar_one())


def spoil_bytes(source: random.Random, value: bytes) -> bytes:
    """Bits flipped, pieces cut, doubled or put in."""
    spoiled = bytearray(value)
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(spoiled) + 1)
        act = source.choice(("flip", "cut", "insert", "double", "drop"))
        if act == "flip" and spoiled:
            spoiled[place - 1] ^= 1 << source.randrange(8)
        elif act == "cut":
            del spoiled[place:]
        elif act == "insert":
            spoiled[place:place] = source.randbytes(source.randint(1, 5))
        elif act == "double":
            spoiled += spoiled[place:]
        elif spoiled:
            del spoiled[place - 1]
    return bytes(spoiled)


def spoil_header(source: random.Random, value: str) -> str:
    """What a header may carry over the wire: no line ends, no NUL."""
    spoiled = spoil_bytes(source, value.encode()).decode("latin-1")
    return "".join(character for character in spoiled if character.isprintable()).strip()


@pytest.mark.parametrize("name", SOURCES)
async def test_500_spoiled_events_are_refused(gateway: Gateway, name: str) -> None:
    source = random.Random(f"{SEED}/{name}")
    sign, path = SOURCES[name], f"/v1/webhooks/{name}"
    accepted, before = 0, await stored(gateway)
    for number in range(MUTATIONS):
        body = event()
        headers = sign(body)
        sent, kind = body, source.choice(("body", "header", "secret", "old", "early", "none"))
        if kind == "body":
            sent = spoil_bytes(source, body)
        elif kind == "header":
            header = source.choice(list(headers))
            headers[header] = spoil_header(source, headers[header])
        elif kind == "secret":
            headers = sign(body, OTHER)
        elif kind in ("old", "early"):
            headers = sign(body, at=-301 if kind == "old" else 305)
        else:
            headers = {}
        untouched = sent == body and headers == sign(body)
        raw = {header.encode(): value.encode("latin-1") for header, value in headers.items()}
        answer = await gateway.http.post(path, content=sent, headers=raw)
        # Junk beside an intact signature is allowed by both formats; the event is then the signed one.
        if answer.status_code == 200 and (untouched or kind == "header") and sent == body:
            accepted += 1
            continue
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature"), (number, kind)
    assert accepted < 25
    assert await stored(gateway) == before + accepted
    body = event()
    assert (await gateway.http.post(path, content=body, headers=sign(body))).status_code == 200


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe\x00", 400),
        (b"null", 400),
        (b"[" * 100_000, 400),
        (b'{"id": "evt_\\u0000", "type": "t"}', 400),
        (b" " * (1024 * 1024), 400),
        (b" " * (1024 * 1024 + 1), 413),
    ],
    ids=["empty", "not UTF-8", "null", "deep", "NUL", "1 MB", "more than 1 MB"],
)
async def test_well_signed_nonsense_is_refused(gateway: Gateway, name: str, body: bytes, status: int) -> None:
    before = await stored(gateway)
    answer = await gateway.http.post(f"/v1/webhooks/{name}", content=body, headers=SOURCES[name](body))
    assert answer.status_code == status, answer.text
    assert await stored(gateway) == before


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("at", "status"), [(-301, 400), (-297, 200), (297, 200), (304, 400)])
async def test_five_minutes_either_way(gateway: Gateway, name: str, at: int, status: int) -> None:
    """The exact second is tried at the verifier; here the clock runs on between signing and reading."""
    body = event()
    answer = await gateway.http.post(f"/v1/webhooks/{name}", content=body, headers=SOURCES[name](body, at=at))
    assert answer.status_code == status
