"""May one more connection come in? So many a process, so many an IPv4 address or IPv6 /64.

Carriers put thousands of people behind one address, and between two polls a kept connection is of no
use to anybody: where all places are taken, one on which nothing has happened for a while gives way,
the longest unmoved first (as nginx reuses idle connections). Only where nobody is quiet the new one is
closed at once. Connections from this machine and from trusted proxies count towards the process alone:
they speak for everybody.
"""

from collections import Counter, OrderedDict
from typing import Protocol

CONNECTIONS_MAX = 10_000  # a process
PER_ADDRESS_MAX = 200
QUIET_S = 0.5  # longer than a head takes to come
LOOKS = 8  # at the oldest, for one that is quiet; the others go to the end


class Member(Protocol):
    """A connection."""

    def is_quiet(self, since_s: float) -> bool:
        """Say whether it waits for its client since then, dripping or not, and no answer is under way."""

    def abort(self) -> None:
        """End; it has left the crowd already."""


class Crowd:
    """Counts who is connected. As many keys as there are connections, at most."""

    def __init__(
        self, connections_max: int = CONNECTIONS_MAX, per_address_max: int = PER_ADDRESS_MAX
    ) -> None:
        self.connections_max = connections_max
        self.per_address_max = per_address_max
        self.by_address: dict[str, OrderedDict[Member, None]] = {}
        self.closed: Counter[str] = Counter()  # full: at once, quiet: to make room; until taken
        self._all: OrderedDict[Member, str] = OrderedDict()

    @property
    def present(self) -> int:
        """How many are connected."""
        return len(self._all)

    def enter(self, member: Member, key: str, *, now_s: float) -> bool:
        """Count one connection of a subscriber (empty: of nobody in particular); False: it must not stay."""
        mine = self.by_address.get(key)
        if (mine and len(mine) >= self.per_address_max and not self._make_room(mine, now_s)) or (
            len(self._all) >= self.connections_max and not self._make_room(self._all, now_s)
        ):
            self.closed["full"] += 1
            return False
        self._all[member] = key
        if key:
            self.by_address.setdefault(key, OrderedDict())[member] = None
        return True

    def leave(self, member: Member) -> None:
        """Count one connection less, if it was let in and has not left."""
        key = self._all.pop(member, "")
        if key:
            mine = self.by_address[key]
            del mine[member]
            if not mine:
                del self.by_address[key]

    def take_closed(self) -> Counter[str]:
        """Return how many were closed, and why, since the last call."""
        closed, self.closed = self.closed, Counter()
        return closed

    def _make_room(
        self, members: OrderedDict[Member, str] | OrderedDict[Member, None], now_s: float
    ) -> bool:
        for _ in range(min(LOOKS, len(members))):
            oldest = next(iter(members))
            if oldest.is_quiet(now_s - QUIET_S):
                self.leave(oldest)
                self.closed["quiet"] += 1
                oldest.abort()
                return True
            members.move_to_end(oldest)
        return False
