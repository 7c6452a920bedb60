"""A relay between a client and a server whose faults can be changed while it runs.

What it holds back it passes on later, as a network does: a command may arrive long after its sender has
given up on it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

HELD_LOOK_S = 0.01

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Faults:
    """What the relay does to the bytes that pass."""

    delay_s: float = 0.0  # on the way back
    hang: bool = False  # nothing passes on the way back
    deaf: bool = False  # nothing passes on the way there
    cut_replies: bool = False  # the connection is cut instead of passing a reply
    cut_reply_to: bytes = b""  # once: it is cut instead of passing the reply to what holds this
    down: bool = False  # nobody listens
    replies_cut: int = 0  # how often it was
    port: int = 0  # where a TCP relay listens
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Cut all connections and take no new ones."""
        self.down = True
        for writer in self.writers:
            writer.close()
        yield
        self.down = False

    async def _passing(self, held: str) -> None:
        """Wait while the relay holds back what it has read; there is no event: faults are plain flags."""
        while getattr(self, held):  # noqa: ASYNC110
            await asyncio.sleep(HELD_LOOK_S)

    async def back_to_front(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            await asyncio.sleep(self.delay_s)
            await self._passing("hang")
            if self.cut_replies:
                self.cut_replies = not self.cut_reply_to
                self.cut_reply_to = b""
                self.replies_cut += 1
                break
            writer.write(data)
        writer.close()

    async def front_to_back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            await self._passing("deaf")
            if self.cut_reply_to and self.cut_reply_to in data:
                self.cut_replies = True
            writer.write(data)
        writer.close()


@asynccontextmanager
async def relay(front: Path, back: Path) -> AsyncIterator[Faults]:
    """Listen on the Unix socket ``front`` and pass everything to ``back``."""
    faults = Faults()
    connected = _connecting(faults, lambda: asyncio.open_unix_connection(str(back)))
    async with _running(await asyncio.start_unix_server(connected, str(front)), faults):
        yield faults


@asynccontextmanager
async def relay_tcp(port: int) -> AsyncIterator[Faults]:
    """Listen on a free port of this machine and pass everything to ``port``."""
    faults = Faults()
    connected = _connecting(faults, lambda: asyncio.open_connection("127.0.0.1", port))
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    faults.port = server.sockets[0].getsockname()[1]
    async with _running(server, faults):
        yield faults


def _connecting(
    faults: Faults, connect: Callable[[], Awaitable[Streams]]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if faults.down:
                raise ConnectionRefusedError
            far_reader, far_writer = await connect()
        except OSError:
            writer.close()
            return
        faults.writers |= {writer, far_writer}
        for work in (
            faults.front_to_back(reader, far_writer),
            faults.back_to_front(far_reader, writer),
        ):
            task = asyncio.create_task(work)
            faults.tasks.add(task)
            task.add_done_callback(_retrieved)

    return connected


def _retrieved(task: asyncio.Task[None]) -> None:
    """Take note of how it ended: a connection that breaks is what the relay is for."""
    if not task.cancelled():
        task.exception()


@asynccontextmanager
async def _running(server: asyncio.AbstractServer, faults: Faults) -> AsyncIterator[None]:
    try:
        yield
    finally:
        server.close()
        for writer in faults.writers:
            writer.close()
        for task in faults.tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
