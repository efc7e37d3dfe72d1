"""The Temporal dev server with its UI from the wheel, as our own child process."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import StackError
from devstack.loopback import ask
from devstack.ports import LOOPBACK
from devstack.processes import Command, find_program

NAMESPACE = "default"
SEARCH_ATTRIBUTES = ("OrderStatus", "OrderNumber", "LmsUserId", "CourseId", "PaymentIntentId")
RETENTION_SECONDS = 7 * 24 * 3600

SPEED = {
    # The dev server has one shard, and 20 polls a second on it would make each step cost 50 ms.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
}
# Timers are read a second ahead, for hosts whose clocks differ; one that falls due in that second fires at
# its end. Here there is one clock.
_ONE_HOST = {"history.timerProcessorMaxTimeShift": '"20ms"'}
_TIME_SKIPPING = {"frontend.WorkflowTimeSkippingEnabled": "true"}


@dataclass(frozen=True)
class Temporal:
    """How the dev server is started and reached."""

    home: Path
    port: int
    # Temporal's HTTP API, which we look after the server with: its client library costs the launcher half
    # a second, and may abort the process at its end.
    http_port: int
    # None: without the UI.
    ui_port: int | None
    # Where the UI has payloads decrypted.
    codec_url: str | None = None
    time_skipping: bool = False

    @property
    def address(self) -> str:
        """Host and port of the frontend."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Command:
        """The server, on a database file that outlives it."""
        dynamic = SPEED | _ONE_HOST | (_TIME_SKIPPING if self.time_skipping else {})
        ui = (
            ("--headless",)
            if self.ui_port is None
            else ("--ui-port", str(self.ui_port), "--ui-disable-news-fetch")
        )
        codec = () if self.codec_url is None else ("--ui-codec-endpoint", self.codec_url)
        arguments = [
            *("server", "start-dev", "--ip", LOOPBACK, "--port", str(self.port), *ui, *codec),
            *("--http-port", str(self.http_port)),
            *("--db-filename", str(self.home / "temporal.db")),
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"),
            *("--log-level", "error"),
            *(
                item
                for name, value in dynamic.items()
                for item in ("--dynamic-config-value", f"{name}={value}")
            ),
            *(item for name in SEARCH_ATTRIBUTES for item in ("--search-attribute", f"{name}=Keyword")),
        ]
        return Command(
            name="temporal",
            argv=(find_program("temporal"), *arguments),
            # Memory for time: the server takes most of the processor's work of the whole stack.
            env={"GOGC": "800"}
            | {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ},
            cwd=self.home,
            stop_grace_seconds=3.0,
        )

    async def is_ready(self) -> bool:
        """Whether the namespace can be used."""
        return (await ask(self.http_port, f"/api/v1/namespaces/{NAMESPACE}"))[0] == 200

    async def bootstrap(self) -> None:
        """Keep closed workflows for a week; the dev server's own choice is a day."""
        body = json.dumps({"config": {"workflowExecutionRetentionTtl": f"{RETENTION_SECONDS}s"}})
        status, answer = await ask(self.http_port, f"/api/v1/namespaces/{NAMESPACE}/update", body)
        if status != 200:
            raise StackError(f"Temporal refused to keep closed workflows for a week: {status} {answer}")
