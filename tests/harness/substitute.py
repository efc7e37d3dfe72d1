"""Small stand-ins for the stack's own processes, so that tests of the stack need no product.

`python substitute.py http PORT` answers every request with 200; `python substitute.py worker` touches
WORKER_READY_FILE and waits. Both end at SIGTERM.
"""

import http.server
import os
import signal
import sys
import threading
from pathlib import Path


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{os.getpid()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet."""


def _serve(port: int) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(arguments: list[str]) -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if arguments[0] == "http":
        _serve(int(arguments[1]))
    else:
        Path(os.environ["WORKER_READY_FILE"]).touch()
        sys.stdout.write("worker started\n")
        sys.stdout.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
