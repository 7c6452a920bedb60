"""Which bytes is an answer? The same that aiohttp sends for it on a connection that stays open.

For answers made before they are asked for. A differential test holds both ways together.
"""

from functools import lru_cache

from aiohttp import web

from gateway.web.body import JSON_TYPE
from gateway.web.security import HEADERS, HSTS, JSON_POLICY

NO_BODY = frozenset({204, 304})
_HSTS_LINE = b"\r\nStrict-Transport-Security: " + HSTS.encode()


def serialize(response: web.Response, date: bytes) -> bytes:
    """Return head and body, hardened as ``security.harden`` does it on plain HTTP."""
    body = response.body if isinstance(response.body, bytes) else b""
    headers = dict(response.headers) | dict(HEADERS)
    headers.setdefault("Content-Security-Policy", JSON_POLICY)
    if response.status not in NO_BODY:
        headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\nDate: " + date + b"\r\n\r\n" + body


@lru_cache(maxsize=16)
def json_head(status: int) -> tuple[bytes, bytes]:
    """Return the head of a personal answer in JSON: before its own fields, and behind them to its length."""
    headers = {"Cache-Control": "no-store"}
    response = web.Response(status=status, content_type=JSON_TYPE, headers=headers)
    head = serialize(response, b"").partition(b"Content-Length:")[0]
    own, mark, shared = head.partition(next(iter(HEADERS)).encode())
    return own, mark + shared + b"Content-Length: "


def closing(answer: bytes) -> bytes:
    """Return an answer that says it is the last one of its connection."""
    return answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def over_tls(answer: bytes) -> bytes:
    """Return the answer as it is where a proxy in front has been spoken to by TLS."""
    at = answer.find(b"\r\nContent-Length: ")
    at = answer.find(b"\r\nDate: ") if at < 0 else at
    return answer[:at] + _HSTS_LINE + answer[at:]
