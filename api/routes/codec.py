"""The codec server of the Temporal UI: opens sealed payloads for operators, in their browser only.

Protocol: docs.temporal.io/production-deployment/data-encryption (remote data encoding).
"""

from fastapi import APIRouter, Request, Response
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

from api.dependencies import ServicesDep, authenticate, recognize
from domain.errors import Forbidden, InvalidInput, NotFound
from integrations.payload_codec import SealingCodec

router = APIRouter(include_in_schema=False)


@router.post("/codec/decode")
async def decode(request: Request, services: ServicesDep) -> Response:
    """Open payloads for the UI; only operators, except in development."""
    await _admit(request, services)
    codec = SealingCodec(services.sealer)
    try:
        opened = Payloads(payloads=codec.opened(_parse(await request.body()).payloads))
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    return _answer(opened)


@router.post("/codec/encode")
async def encode(request: Request, services: ServicesDep) -> Response:
    """Seal what an operator sends from the UI: the input of a signal or an update."""
    await _admit(request, services)
    codec = SealingCodec(services.sealer)
    return _answer(Payloads(payloads=codec.sealed(_parse(await request.body()).payloads)))


async def _admit(request: Request, services: ServicesDep) -> None:
    if not services.temporal_ui_origins:
        raise NotFound("no Temporal UI is configured (TEMPORAL_UI_ORIGINS)")
    if services.is_development:
        return
    await recognize(request)
    if not authenticate(request).is_operator:
        raise Forbidden("only an operator may read histories")


def _parse(body: bytes) -> Payloads:
    try:
        return json_format.Parse(body, Payloads())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise InvalidInput("the body is not Temporal's JSON of payloads") from error


def _answer(payloads: Payloads) -> Response:
    return Response(json_format.MessageToJson(payloads), media_type="application/json")
