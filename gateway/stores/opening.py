"""Which store does a URL mean? The one table of schemes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.ports import ArchivePort, StorePort
from gateway.stores.http import HttpStore
from gateway.stores.ledger import Ledger
from gateway.stores.outbound import Outbound
from gateway.stores.sqlite import SqliteStore

SCHEMES = "sqlite:///path/to/file.db, postgresql://… or https://…"


class StoreUrlError(ValueError):
    """The URL must be changed; the message tells how and repeats no credentials."""


class Store(StorePort, ArchivePort, Protocol):
    """Registrations, and what recovery needs of them."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What a URL does not say."""

    ledger: Path  # where an HTTP store's own record lies
    content: Callable[[bytes], bytes]  # keyed digest of a form
    deadline_s: float
    credential: str = field(default="", repr=False)
    singly: bool = False
    allow_private: bool = False


def open_store(url: str, options: StoreOptions) -> Store:
    """Return the store behind ``url``. Nothing is opened yet: ``probe`` tells whether it is there.

    Raises:
        StoreUrlError: no such store is known.
    """
    scheme, separator, place = url.partition("://")
    if separator and scheme == "sqlite" and place.startswith("/"):
        return _sqlite(place[1:])
    if separator and place and scheme in ("http", "https"):
        return _http(url, options)
    if separator and place and scheme == "postgresql":
        return _postgres(url, options)
    named = url.partition(":")[0]
    raise StoreUrlError(f"{named!r} names no store; use {SCHEMES}")


def _sqlite(place: str) -> Store:
    if not place or place.startswith(":") or "\0" in place:  # ":memory:" keeps nothing
        raise StoreUrlError("names no file; use sqlite:///path/to/file.db")
    return SqliteStore(Path(place), now_us=_now_us)


def _http(url: str, options: StoreOptions) -> Store:
    service = Outbound(
        url,
        deadline_s=options.deadline_s,
        allow_private=options.allow_private,
        credential=options.credential,
    )
    ledger = Ledger(options.ledger, now_us=_now_us, content=options.content)
    return HttpStore(service, ledger, singly=options.singly, deadline_s=options.deadline_s)


def _postgres(url: str, options: StoreOptions) -> Store:
    try:
        from gateway.stores.postgres import PostgresStore  # noqa: PLC0415  its driver is an extra
    except ModuleNotFoundError:
        raise StoreUrlError("needs the extra [postgres], which is not installed") from None
    return PostgresStore(
        url, now_us=_now_us, deadline_s=options.deadline_s, password=options.credential
    )


def _now_us() -> int:
    return time.time_ns() // 1_000
