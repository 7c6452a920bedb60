"""What tests share: waiting for a condition instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def wait_until(
    predicate: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = 10.0, what: str = ""
) -> None:
    """Return as soon as ``predicate`` holds; fail with ``what`` when it never does."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = predicate()
        if answer if isinstance(answer, bool) else await answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {timeout_s} s: {what or predicate}")
        await asyncio.sleep(0.02)


def wait_for(predicate: Callable[[], bool], *, timeout_s: float = 10.0, what: str = "") -> None:
    """Do the same outside an event loop."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {timeout_s} s: {what or predicate}")
        time.sleep(0.02)
