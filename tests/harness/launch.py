"""A launcher to be killed: `python -m tests.harness.launch DATA_DIR` runs a stack of substitutes.

Once it is up, it prints one JSON line with what a test needs to know.
"""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from devstack.logs import LogSink
from devstack.settings import StackSettings
from devstack.stack import serve
from devstack.supervisor import Stack
from tests.harness.substitutes import SUBSTITUTED_PARTS, substitute_commands


async def main(data_dir: Path) -> int:
    """Serve until told to stop."""
    isolated = StackSettings.isolated(data_dir)
    settings = replace(isolated, commands=substitute_commands(isolated.ports))

    async def say(stack: Stack) -> None:
        state = {"pid": os.getpid(), "owner_url": stack.urls.owner_url, "gateway": stack.urls.gateway}
        sys.stdout.write(json.dumps(state) + "\n")
        sys.stdout.flush()

    return await serve(settings, log=LogSink(), story=say, parts=SUBSTITUTED_PARTS)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
