"""Encryption of what Temporal keeps: arguments, results, memos, summaries and failures.

Histories are read by everybody who may open the Temporal UI, and kept for weeks; the keys stay here.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from integrations.sealing import Sealer

_ENCODING = b"binary/encrypted"
_CONTEXT = "temporal payload"


class SealingCodec(PayloadCodec):
    """AES-256-GCM under the first key of `SECRETS_KEY`; what any of its keys sealed can be read.

    Payloads that were written before encryption was switched on are read as they are.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each payload whole, its metadata too."""
        return list(self.sealed(payloads))

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open what was sealed; ValueError for a key that is gone or data that was tampered with."""
        return list(self.opened(payloads))

    def sealed(self, payloads: Iterable[Payload]) -> Iterable[Payload]:
        """The payloads, each sealed."""
        for payload in payloads:
            data = self._sealer.seal(payload.SerializeToString(), _CONTEXT)
            yield Payload(metadata={"encoding": _ENCODING}, data=data)

    def opened(self, payloads: Iterable[Payload]) -> Iterable[Payload]:
        """The payloads as they were before they were sealed."""
        for payload in payloads:
            if payload.metadata.get("encoding") == _ENCODING:
                yield Payload.FromString(self._sealer.open(payload.data, _CONTEXT))
            else:
                yield payload


def sealing_converter(sealer: Sealer) -> DataConverter:
    """The usual JSON, sealed; messages and stack traces of failures are sealed with their details."""
    return dataclasses.replace(
        DataConverter.default,
        payload_codec=SealingCodec(sealer),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
