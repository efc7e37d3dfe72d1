"""The product's processes, and its schema."""

import asyncio
from typing import Annotated

import typer

from commands.terminal import console, done


def api(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Run the gateway alone, from the environment."""
    import uvicorn

    uvicorn.run("api.main:create_app", factory=True, host=host, port=port, timeout_keep_alive=75)


def codec(
    gateway: Annotated[str, typer.Option(envvar="PUBLIC_URL", help="The gateway's address.")],
    username: Annotated[str, typer.Option(prompt=True, help="An operator, as the LMS knows them.")],
    ui: Annotated[
        list[str] | None, typer.Option(help="Where the Temporal UI's pages come from; may be repeated.")
    ] = None,
    host: str = "127.0.0.1",
    port: int = 8234,
) -> None:
    """Open histories for a Temporal UI without a sign-in: sign in here, and name this as its codec server."""
    import uvicorn

    from api.codec_relay import OperatorSession, make_codec_relay
    from integrations.http import make_http_client

    origins = tuple(ui or ("http://localhost:8233", "http://127.0.0.1:8233"))
    password = typer.prompt("Password", hide_input=True)

    async def serve() -> None:
        async with make_http_client() as http:
            session = OperatorSession(http, gateway)
            await session.sign_in(username, password)
            console.print(f"Payloads are opened at http://localhost:{port} for {' and '.join(origins)}.")
            relay = make_codec_relay(session, origins)
            config = uvicorn.Config(relay, host=host, port=port, log_level="warning", lifespan="off")
            await uvicorn.Server(config).serve()

    done(serve())


def worker() -> None:
    """Run the worker alone, from the environment."""
    import worker as product_worker

    asyncio.run(product_worker.main())


def migrate() -> None:
    """Bring the database to the newest schema, as its owner."""
    from config import OwnerSettings
    from migrations import upgrade

    upgrade(OwnerSettings().database_owner_url.get_secret_value())
    console.print("The database is up to date.")
