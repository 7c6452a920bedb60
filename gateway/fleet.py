"""In which order do the children start and end? No stage ends before those that use it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway.children import Child

Stage = Sequence[Child]


class Fleet:
    """All children of one system, and the wish to stop them."""

    def __init__(
        self, starts: Sequence[Stage], stops: Sequence[Stage], renewed: Stage = ()
    ) -> None:
        self._starts = starts
        self._stops = stops
        self._renewed = renewed  # those that can follow themselves, in this order
        self._wanted_down = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        """Begin to drain; said again, end everything at once."""
        if self._wanted_down.is_set():
            for stage in self._stops:
                for child in stage:
                    child.kill()
        self._wanted_down.set()

    async def renew(self) -> bool:
        """Have one child after the other followed by a new process; stops at the first that is not."""
        for child in self._renewed:
            if self._wanted_down.is_set() or not await child.renew():
                return False
        return True

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start all stages, call ``on_ready``, and keep them running until ``stop``.

        Raises:
            GaveUpError: a child ended for good; the others have been stopped.

        """
        down = asyncio.create_task(self._wanted_down.wait())
        try:
            for stage in self._starts:
                if not await self._start(stage, down):
                    return
            on_ready()
            await self._first(down)
        finally:
            down.cancel()
            await self._drain()

    async def _start(self, stage: Stage, down: asyncio.Task[bool]) -> bool:
        """Start one stage and wait until it is ready; False when a stop was wanted meanwhile."""
        self._tasks += [child.start() for child in stage]
        ready = asyncio.create_task(_all_ready(stage))
        try:
            await self._first(down, ready)
        finally:
            ready.cancel()
        return not down.done()

    async def _first(self, *awaited: asyncio.Future[Any]) -> None:
        """Wait for the first of these, or for the first child that gives up."""
        await asyncio.wait([*awaited, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()

    async def _drain(self) -> None:
        for stage in self._stops:
            await asyncio.gather(*(child.stop() for child in stage))
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _all_ready(stage: Stage) -> None:
    for child in stage:
        await child.was_ready.wait()
