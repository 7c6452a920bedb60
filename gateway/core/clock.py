"""Instants as people write them. No clock is read here."""

from datetime import datetime, timedelta, timezone
from functools import lru_cache

from gateway.core.programme import ZONE_OFFSETS_H, Zone

_OFFSETS = {zone: timezone(timedelta(hours=hours), zone) for zone, hours in ZONE_OFFSETS_H.items()}


def local(instant_us: int, zone: Zone) -> datetime:
    """Return an instant as a clock in ``zone`` shows it."""
    return datetime.fromtimestamp(instant_us / 1_000_000, _OFFSETS[zone])


@lru_cache(maxsize=64)  # a batch has one instant
def iso(instant_us: int, zone: Zone) -> str:
    """Return an instant in ISO 8601 with its offset, to the millisecond."""
    return local(instant_us, zone).isoformat(timespec="milliseconds")
