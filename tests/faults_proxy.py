"""A relay between a client and a server on Unix sockets, whose faults can be changed while it runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Faults:
    """What the relay does to the bytes that pass."""

    delay_s: float = 0.0  # on the way back
    hang: bool = False  # nothing passes any more on the way back
    cut_replies: bool = False  # the connection is cut instead of passing a reply
    cut_reply_to: bytes = b""  # once: it is cut instead of passing the reply to what holds this
    down: bool = False  # nobody listens
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Cut all connections and take no new ones."""
        self.down = True
        for writer in self.writers:
            writer.close()
        yield
        self.down = False


@asynccontextmanager
async def relay(front: Path, back: Path) -> AsyncIterator[Faults]:  # noqa: C901  two directions, side by side
    """Listen on ``front`` and pass everything to ``back``."""
    faults = Faults()
    tasks: set[asyncio.Task[None]] = set()

    async def back_to_front(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await asyncio.sleep(faults.delay_s)
            if faults.hang:
                continue
            if faults.cut_replies:
                faults.cut_replies = not faults.cut_reply_to
                faults.cut_reply_to = b""
                break
            writer.write(data)
        writer.close()

    async def front_to_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if faults.cut_reply_to and faults.cut_reply_to in data:
                faults.cut_replies = True
            writer.write(data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if faults.down:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_unix_connection(str(back))
        faults.writers |= {writer, far_writer}
        for work in (front_to_back(reader, far_writer), back_to_front(far_reader, writer)):
            tasks.add(asyncio.create_task(work))

    server = await asyncio.start_unix_server(connected, str(front))
    try:
        yield faults
    finally:
        server.close()
        for writer in faults.writers:
            writer.close()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task
