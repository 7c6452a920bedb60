"""Instants as people write them. No clock is read here."""

from datetime import UTC, datetime, timedelta, timezone

from gateway.core.programme import ZONE_OFFSETS_H, Zone


def local(instant_us: int, zone: Zone) -> datetime:
    """Return an instant as a clock in ``zone`` shows it."""
    offset = timezone(timedelta(hours=ZONE_OFFSETS_H[zone]), zone)
    return datetime.fromtimestamp(instant_us / 1_000_000, UTC).astimezone(offset)


def iso(instant_us: int, zone: Zone) -> str:
    """Return an instant in ISO 8601 with its offset, to the millisecond."""
    return local(instant_us, zone).isoformat(timespec="milliseconds")
