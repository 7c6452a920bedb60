"""Has anybody edited the record of who did what? Each record holds the hash of the one before.

A record is a list of (name, value), in the order in which it was written; its last member is ``hash``, of
all before it, and one of these is ``previous``. So an edit shows in its own record, a gap in the next, and
the head, kept apart, shows when the newest are missing. SHA-1 is what scripts have inside Redis; to forge a
record it would take a second preimage, which nobody can find.

Twin: ``note`` in ``redis/scripts/prelude.lua``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Record = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Chain:
    """What checking the records one after the other, oldest first, has shown so far."""

    head: str = ""  # hash of the last record
    count: int = 0
    broken_at: int | None = None  # which record does not follow, counted from 1; None: all do

    def add(self, record: Record) -> None:
        """Check the next record."""
        self.count += 1
        said = dict(record)
        follows = self.count == 1 or said.get("previous") == self.head
        whole = said.get("hash") == link(pair for pair in record if pair[0] != "hash")
        if self.broken_at is None and not (follows and whole):
            self.broken_at = self.count
        self.head = said.get("hash", "")

    def end(self, head: str) -> None:
        """Compare with the head: whoever took the newest records away is found out."""
        if self.broken_at is None and self.head != head:
            self.broken_at = self.count + 1


def link(record: Iterable[tuple[str, str]]) -> str:
    """Return the hash of a record: lengths stand before its parts, so that none runs into the next."""
    parts = [part.encode() for pair in record for part in pair]
    text = b"".join(b"%d:%s" % (len(part), part) for part in parts)
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()
