"""Which instant is it, for sure, and how do people write it? No clock is read here.

What time does for good, it does by two clocks: the server's, and that of a process which ticks. Twin of
``confirmed_us``: ``redis/scripts/step.lua``.
"""

from datetime import datetime, timedelta, timezone
from functools import lru_cache

from gateway.core.programme import ZONE_OFFSETS_H, Zone

_OFFSETS = {zone: timezone(timedelta(hours=hours), zone) for zone, hours in ZONE_OFFSETS_H.items()}

APART_US_MAX = (
    5_000_000  # a process's clock and the server's, for the one to confirm the other (F-19)
)


def agree(one_us: int, other_us: int) -> bool:
    """Whether two clocks show the same time, as far as it matters."""
    return abs(one_us - other_us) <= APART_US_MAX


def confirmed_us(now_us: int, agreed_us: int) -> int:
    """Return the server's time as far as a process has confirmed it, which was at ``agreed_us``."""
    return now_us if agree(now_us, agreed_us) else agreed_us


def local(instant_us: int, zone: Zone) -> datetime:
    """Return an instant as a clock in ``zone`` shows it."""
    return datetime.fromtimestamp(instant_us / 1_000_000, _OFFSETS[zone])


@lru_cache(maxsize=64)  # a batch has one instant
def iso(instant_us: int, zone: Zone) -> str:
    """Return an instant in ISO 8601 with its offset, to the millisecond."""
    return local(instant_us, zone).isoformat(timespec="milliseconds")
