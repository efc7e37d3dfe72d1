"""Real stand-in processes for tests, and a small HTTP server that records what is sent to it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).parents[2]
_START_WITHIN_SECONDS = 10.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class StandinProcess:
    """One `python -m devstack...`, which can be stopped, killed and started again with its data."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", module, "--port", str(self.port), *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until it is healthy; returns the seconds that took."""
        started = time.monotonic()
        self._process = subprocess.Popen(self._command, cwd=REPOSITORY)
        with httpx.Client(base_url=self.base_url, trust_env=False, verify=False) as http:
            while time.monotonic() - started < _START_WITHIN_SECONDS:
                assert self._process.poll() is None, f"{self._command} ended with {self._process.returncode}"
                try:
                    if http.get("/healthz").is_success:
                        return time.monotonic() - started
                except httpx.TransportError:
                    time.sleep(0.05)
        raise AssertionError(f"{self._command} was not healthy within {_START_WITHIN_SECONDS} s")

    def stop(self) -> float:
        """SIGTERM; returns the seconds it took to end."""
        return self._end(signal.SIGTERM)

    def kill(self) -> float:
        """Kill -9."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> float:
        assert self._process is not None
        started = time.monotonic()
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        self._process.wait(timeout=10)
        return time.monotonic() - started


@dataclass(frozen=True)
class Recorded:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Recorder:
    """Answers 200 unless told otherwise, and remembers every request."""

    requests: list[Recorded] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Statuses to answer first, one each."""
    answer: Answer | None = None
    """Writes the whole answer itself."""
    connections: int = 0

    def __post_init__(self) -> None:
        """Listen on a free port."""
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                recorder.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                recorder.requests.append(Recorded(self.path, headers, body))
                if recorder.answer is not None:
                    recorder.answer(self)
                    return
                self.send_response(recorder.statuses.pop(0) if recorder.statuses else 200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST  # noqa: N815 - the base class's name

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hung up early is none of the recorder's business."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self.port}/hook"

    def reset(self) -> None:
        """Forget the requests, answer 200."""
        self.requests.clear()
        self.statuses.clear()
        self.answer = None
        self.connections = 0

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
