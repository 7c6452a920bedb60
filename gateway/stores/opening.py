"""Which store does a URL mean? The one table of schemes."""

import time
from pathlib import Path

from gateway.stores.sqlite import SqliteStore


class StoreUrlError(ValueError):
    """The URL must be changed; the message tells how and repeats no credentials."""


def open_store(url: str) -> SqliteStore:
    """Return the store behind ``url``. Nothing is opened yet: ``probe`` tells whether it is there.

    Raises:
        StoreUrlError: no such store is known.
    """
    scheme, separator, place = url.partition(":///")
    if not separator or scheme != "sqlite":
        named = url.partition(":")[0]
        raise StoreUrlError(f"scheme {named!r} is not served; use sqlite:///path/to/file.db")
    if not place or place.startswith(":") or "\0" in place:
        raise StoreUrlError(
            "names no file; use sqlite:///path/to/file.db"
        )  # ":memory:" keeps nothing
    return SqliteStore(Path(place), now_us=lambda: time.time_ns() // 1_000)
