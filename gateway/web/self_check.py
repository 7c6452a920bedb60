"""Does every limit bite? Tried at start over a loopback socket, before anybody is let in.

A release of aiohttp, or one misspelt keyword, can remove a limit in silence. What is tried here is the
same listener that serves, around an application that would answer everything.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web

from gateway.web.body import LIMIT_BYTES, discard
from gateway.web.deadlines import Deadlines
from gateway.web.listener import UnfitRuntimeError, start_site
from gateway.web.parsing import FIELDS_MAX, PART_BYTES_MAX, TARGET_BYTES_MAX
from gateway.web.problems import problem_middleware

QUICK = Deadlines(head_s=0.2, request_s=0.5, linger_s=0.1)
PATIENCE_S = 2.0
_START = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


def _fields(count: int, value_bytes: int) -> bytes:
    return b"".join(b"X%d: %b\r\n" % (number, b"a" * value_bytes) for number in range(count))


PROBES: Mapping[str, tuple[bytes, int]] = {  # limit -> what breaks it, and the status it must get
    "none": (_START + b"\r\n", 200),
    "length of the request line": (
        b"GET /" + b"a" * TARGET_BYTES_MAX + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        414,
    ),
    "length of a field": (_START + _fields(1, PART_BYTES_MAX + 1) + b"\r\n", 431),
    "number of fields": (_START + _fields(FIELDS_MAX, 1) + b"\r\n", 431),
    "sum of the fields": (_START + _fields(20, 1_000) + b"\r\n", 431),
    "length of a body": (_START + b"Content-Length: %d\r\n\r\n" % (LIMIT_BYTES + 1), 413),
    "ambiguous framing": (_START + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "deadline of a head": (_START, 0),
    "deadline of a silent connection": (b"", 0),
}


async def check_limits() -> None:
    """Try every limit.

    Raises:
        UnfitRuntimeError: one of them does not bite; it is named.

    """
    app = web.Application(middlewares=[problem_middleware])
    app.router.add_route("*", "/{path:.*}", _answer_everything)
    site = await start_site(app, "127.0.0.1", 0, reuse_port=False, deadlines=QUICK)
    try:
        found = await asyncio.gather(*(_status(site.port, data) for data, _ in PROBES.values()))
    finally:
        await site.close(drain_s=0.1)
    for (limit, (_, wanted)), status in zip(PROBES.items(), found, strict=True):
        if status != wanted:
            told = f"the limit does not bite: {limit} (status {status}, wanted {wanted}; 0: closed)"
            raise UnfitRuntimeError(f"{told}; install aiohttp in the version of uv.lock")


async def _answer_everything(request: web.Request) -> web.Response:
    await discard(request)
    return web.Response()


async def _status(port: int, data: bytes) -> int:
    """Return the status of the answer; 0 for a connection closed without one, -1 for silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            line = await reader.readline()
    except TimeoutError:
        return -1
    except ConnectionError:
        return 0
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return int(line.split()[1]) if line else 0
