"""The least of an HTTP client: small questions to our own servers, without loading a library for it."""

import asyncio

from devstack.ports import LOOPBACK

_TIMEOUT_SECONDS = 3.0


async def ask(port: int, path: str, body: str | None = None) -> tuple[int, str]:
    """GET, or with a JSON `body` POST, on a loopback port; status and content, 0 when nobody answers."""
    content = b"" if body is None else body.encode()
    head = (
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(head.encode() + content)
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return 0, ""
    status_line, _, rest = answer.partition(b"\r\n")
    words = status_line.split(b" ")
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return status, rest.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
