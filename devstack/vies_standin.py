"""A stand-in for VIES, the EU's registry of VAT numbers: `python -m devstack.vies_standin --port PORT`.

Every number is valid unless `PUT /_test/numbers/{number}` gave it another answer: `invalid`, an error of VIES
such as `MS_UNAVAILABLE`, or `nonsense` for an answer that is not its protocol.
"""

import argparse
import itertools
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from devstack.lms_standin.server import run_server


def create_app() -> Starlette:
    """The registry; what it was told lasts as long as it runs."""
    told: dict[str, str] = {}
    asked: list[dict[str, Any]] = []
    serials = itertools.count(1)

    async def check(request: Request) -> Response:
        body = await request.json()
        asked.append(body)
        number = f"{body['countryCode']}{body['vatNumber']}"
        state = told.get(number, "valid")
        if state == "nonsense":
            return PlainTextResponse("<html>maintenance</html>", 502)
        if state not in ("valid", "invalid"):
            return JSONResponse({"actionSucceed": False, "errorWrappers": [{"error": state}]})
        requester = body.get("requesterNumber")
        return JSONResponse(
            {
                "countryCode": body["countryCode"],
                "vatNumber": body["vatNumber"],
                "requestDate": datetime.now(UTC).isoformat(),
                "valid": state == "valid",
                "requestIdentifier": f"WAPIAAAA{next(serials):08d}" if requester else "",
                "name": "---",
                "address": "---",
            }
        )

    async def tell(request: Request) -> Response:
        told[request.path_params["number"]] = (await request.json())["state"]
        return Response(status_code=204)

    async def log(request: Request) -> Response:
        del request
        return JSONResponse(asked)

    async def healthz(request: Request) -> Response:
        del request
        return PlainTextResponse("ok")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/check-vat-number", check, methods=["POST"]),
            Route("/_test/numbers/{number}", tell, methods=["PUT"]),
            Route("/_test/requests", log),
        ]
    )


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(description="A stand-in for VIES, on loopback only.")
    parser.add_argument("--port", type=int, required=True)
    run_server(create_app(), parser.parse_args().port)


if __name__ == "__main__":
    main()
