"""What Temporal keeps is sealed, with keys that rotate; failures too."""

import base64
import secrets

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from integrations.payload_codec import SealingCodec, sealing_converter
from integrations.sealing import Sealer


def key(name: str) -> str:
    return f"{name}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"


OLD, NEW = key("old"), key("new")
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"email": "ada@example.com"}')


def codec(*keys: str) -> SealingCodec:
    return SealingCodec(Sealer(",".join(keys)))


async def test_a_payload_is_sealed_whole_and_comes_back_as_it_was() -> None:
    (sealed,) = await codec(NEW).encode([PLAIN])
    assert sealed.metadata == {"encoding": b"binary/encrypted"}
    assert b"ada" not in sealed.data
    assert b"json" not in sealed.data
    assert await codec(NEW).decode([sealed]) == [PLAIN]


async def test_the_same_payload_is_never_sealed_to_the_same_bytes() -> None:
    first, second = await codec(NEW).encode([PLAIN, PLAIN])
    assert first.data != second.data


async def test_an_old_key_still_opens_while_the_new_one_seals() -> None:
    (sealed,) = await codec(OLD).encode([PLAIN])
    assert await codec(NEW, OLD).decode([sealed]) == [PLAIN]
    (fresh,) = await codec(NEW, OLD).encode([PLAIN])
    assert fresh.data.startswith(b"new:")
    with pytest.raises(ValueError, match="no longer has"):
        await codec(OLD).decode([fresh])


async def test_a_changed_payload_is_refused() -> None:
    (sealed,) = await codec(NEW).encode([PLAIN])
    sealed.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
    with pytest.raises(ValueError, match="does not verify"):
        await codec(NEW).decode([sealed])


async def test_payloads_from_before_encryption_are_read_as_they_are() -> None:
    assert await codec(NEW).decode([PLAIN]) == [PLAIN]


async def test_a_failure_keeps_its_message_to_itself() -> None:
    converter = sealing_converter(Sealer(NEW))
    failure = Failure()
    await converter.encode_failure(ApplicationError("card of Ada declined", "Ada", type="declined"), failure)
    assert "Ada" not in str(failure)
    error = await converter.decode_failure(failure)
    assert isinstance(error, ApplicationError)
    assert (error.message, error.type, list(error.details)) == ("card of Ada declined", "declined", ["Ada"])
