"""The stand-in as a process of its own, and a receiver of its webhooks."""

import asyncio
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

SECRET = "whsec_configured_on_the_command_line"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Standin:
    """One server on a data directory; it can be killed and started again."""

    data_dir: Path
    webhook_url: str | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start it; returns the seconds until it was ready."""
        argv = [sys.executable, "-m", "devstack.stripe_standin", "--port", str(self.port)]
        argv += ["--data-dir", str(self.data_dir)]
        if self.webhook_url is not None:
            argv += ["--webhook-url", self.webhook_url, "--webhook-secret", SECRET]
        began = time.monotonic()
        self.process = subprocess.Popen(argv, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        while time.monotonic() - began < 20:
            assert self.process.poll() is None, "the stand-in ended at once"
            try:
                if httpx.get(f"{self.url}/healthz", trust_env=False, timeout=2).is_success:
                    return time.monotonic() - began
            except httpx.HTTPError:
                time.sleep(0.02)
        raise AssertionError("the stand-in did not become ready")

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """Ask it to end; returns the seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        return time.monotonic() - began


async def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until it is true."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not become true")


@dataclass(frozen=True)
class Received:
    """One delivery as it came."""

    payload: bytes
    signature: str
    at: float

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.payload))


class Receiver:
    """An HTTP server in a thread that stores deliveries and answers as told."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status = 200
        self.failures_left = 0
        self.slow_type: bytes | None = None
        """An event type that takes a moment to be noted."""
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.take_status()
                if receiver.slow_type is not None and receiver.slow_type in payload:
                    time.sleep(0.2)
                signature = self.headers["stripe-signature"]
                receiver.received.append(Received(payload, signature, time.time()))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by its base
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take_status(self) -> int:
        """The next answer: failures first."""
        if self.failures_left > 0:
            self.failures_left -= 1
            return 500
        return self.status

    def about(self, object_id: str) -> list[Received]:
        """Deliveries about an object, in order of arrival."""
        return [one for one in list(self.received) if object_id.encode() in one.payload]

    def types_about(self, object_id: str) -> list[str]:
        """Event types about an object itself, in order of arrival."""
        return [
            one.event["type"]
            for one in self.about(object_id)
            if one.event["data"]["object"]["id"] == object_id
        ]

    async def wait_for(self, object_id: str, event_type: str, seconds: float = 5) -> Received:
        """The first delivery of this type about this object."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for one in self.about(object_id):
                if one.event["type"] == event_type:
                    return one
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {event_type} about {object_id}: {self.types_about(object_id)}")

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
