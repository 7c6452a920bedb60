"""What a neighbour does wrong, one call at a time, before or after the effect."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto

from gateway.ports import PortUnavailableError

HANG_S = 3_600.0


class Fault(Enum):
    """One call's fate."""

    NONE = auto()
    SLOW = auto()  # 5 s late
    BEFORE = auto()  # fails, nothing done
    AFTER = auto()  # fails, all done
    HANG_BEFORE = auto()
    HANG_AFTER = auto()


def no_fault() -> Fault:
    return Fault.NONE


@asynccontextmanager
async def suffering(draw: Callable[[], Fault]) -> AsyncIterator[None]:
    """Surround an effect with the faults of one call; yields to the loop before and after it."""
    fault = draw()
    await asyncio.sleep(5.0 if fault is Fault.SLOW else 0.001)
    await _fail_if(fault, Fault.BEFORE, Fault.HANG_BEFORE)
    yield
    await asyncio.sleep(0.001)
    await _fail_if(fault, Fault.AFTER, Fault.HANG_AFTER)


async def _fail_if(fault: Fault, failing: Fault, hanging: Fault) -> None:
    if fault is hanging:
        await asyncio.sleep(HANG_S)
    if fault in (failing, hanging):
        raise PortUnavailableError(f"{fault.name} was ordered")
