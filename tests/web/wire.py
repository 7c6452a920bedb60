"""A client that says anything: bytes in, answers out, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from gateway.web.listener import Site, start_site

PATIENCE_S = 5.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    cookies: tuple[str, ...]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["content-type"].startswith("application/problem+json"), self
        assert self.json["status"] == self.status
        return str(self.json["type"]).rpartition("/")[2]


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes, *, head: bool = False) -> Answer:
        self.writer.write(data)
        return await self.answer(head=head)

    async def answer(self, *, head: bool = False) -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in lines[1:-2]]
            headers = {name.lower(): value for name, value in pairs}
            cookies = tuple(value for name, value in pairs if name.lower() == "set-cookie")
            length = 0 if head else int(headers.get("content-length", "0"))
            body = await self.reader.readexactly(length)
        return Answer(int(lines[0].split(" ")[1]), headers, cookies, body)

    async def is_closed(self) -> bool:
        """Say whether the other side ends it without another word."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


@asynccontextmanager
async def wire(site: Site) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


async def ask(site: Site, data: bytes) -> Answer:
    """Ask once, on a connection of its own."""
    async with wire(site) as client:
        return await client.ask(data, head=data.startswith(b"HEAD"))


def request(
    target: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str | None] = {},
    **more: str | None,
) -> bytes:
    """Return the bytes of an honest request; ``None`` leaves a header out."""
    fields = {"Host": "localhost"} | {
        name.replace("_", "-"): value for name, value in {**headers, **more}.items()
    }
    if body is not None:
        fields.setdefault("Content-Length", str(len(body)))
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1") + (
        body or b""
    )


@asynccontextmanager
async def serving(app: web.Application, **settings: Any) -> AsyncIterator[Site]:
    site = await start_site(app, "127.0.0.1", 0, reuse_port=False, **settings)
    try:
        yield site
    finally:
        await site.close(drain_s=1.0)
