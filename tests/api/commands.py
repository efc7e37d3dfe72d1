"""The `commerce` command, as an operator of the machine runs it."""

import asyncio
import json
from typing import Any

from typer.testing import CliRunner

from cli import app


class Commands:
    """The `commerce` command with the gateway's settings."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What it prints, when it ends as it should."""
        found = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=self._environment)
        assert found.exit_code == code, found.output
        return found.output

    async def create(self, scopes: str, *more: str) -> dict[str, Any]:
        output = await self.run("apikey", "create", "--name", "ERP", "--scopes", scopes, "--json", *more)
        made: dict[str, Any] = json.loads(output)
        return made
