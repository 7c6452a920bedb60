"""Who asks too often? A ticket or a pass for itself first; an address only for those who show neither.

Who holds a ticket is a person, and is counted as one: nothing that others do from the same address
can slow it. Strangers share what their address may do: new tickets, and requests that show nothing of
ours. The public document and the pages are not counted: they cost no more than a refusal.

One person needs one new ticket for each wave, so a connection that asks for one after the other is
stopped by itself, before it uses up what its address may do; a proxy's connections are not, since it
speaks for many. This machine is never counted by address.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from gateway.core.flood import HOLD_S_MAX, MINUTE_S, Throttled, burst_of, next_may_s
from gateway.core.shedding import Rank
from gateway.core.tickets import Credential, Kind
from gateway.web.clients import Peer, Proxies
from gateway.web.cookies import Shown
from gateway.web.gate import Gate
from gateway.web.limits import Pace
from gateway.web.problems import DEFAULT_BASE, Problem
from gateway.web.refusals import Refusals

JOINS_PER_MIN, POLLS_PER_MIN = 300, 3_000
JOINS_BURST_S = 2_000.0  # 10,000 may come in one second: 5,000 people and as many who are none
POLLS_BURST_S = 60.0
CONNECTION_INTERVAL_S, CONNECTION_BURST = 60.0, 3  # new tickets on one connection
TICKET_INTERVAL_S, TICKET_BURST = 0.1, 50  # of one ticket, whatever it asks: five tabs that poll
HELD_MAX = 256  # requests that wait on purpose, of all addresses
_TICKET_FIRST, _PASS_FIRST = (Kind.TICKET, Kind.PASS), (Kind.PASS, Kind.TICKET)
_WAVE = re.compile(r"/(?:v1/)?waves/([a-z0-9-]{1,64})(?:/|$)")


class Holders(Protocol):
    """Reads tickets and passes."""

    def held(self, shown: Shown, kind: Kind, wave_id: str) -> Credential | None:
        """Return a verified one, or None when none is shown; raise Problem for any other."""


class Throttle:
    """Counts who asks, and makes them wait."""

    def __init__(
        self,
        holders: Holders,
        proxies: Proxies = Proxies(),  # noqa: B008  trusts nobody
        problem_base: str = DEFAULT_BASE,
        gate: Gate | None = None,
        joins_per_min: int = JOINS_PER_MIN,
        polls_per_min: int = POLLS_PER_MIN,
    ) -> None:
        self.refused: Counter[Throttled] = Counter()  # since the last `take_refused`
        self.held = 0
        self.refusals = Refusals("too-many-requests", problem_base)
        self._holders, self._proxies, self._gate = holders, proxies, gate
        self._paces = {
            Throttled.JOIN: (joins_per_min, JOINS_BURST_S, Pace()),
            Throttled.POLL: (polls_per_min, POLLS_BURST_S, Pace()),
        }
        self._tickets = Pace()

    def refuses_join(self, peer: Peer, forwarded_for: str, now_s: float) -> bool:
        """Say whether a request for a new ticket would be refused now. Counts nothing."""
        key = self._proxies.key(peer, forwarded_for)
        if not key:
            return False
        line_s = self._paces[Throttled.JOIN][2].wait_s(key, now_s=now_s)
        return line_s > HOLD_S_MAX or (not peer.trusted and peer.joins_may_at_s > now_s)

    async def join(self, shown: Shown) -> None:
        """Count a request for a new ticket, and have it wait where its address has gone over its pace.

        Raises:
            Problem: 429 ``too-many-requests``.

        """
        peer, now_s = shown.peer, _now_s()
        key = self._proxies.key(peer, shown.forwarded_for)
        if not key:
            return
        if not peer.trusted:
            if peer.joins_may_at_s > now_s:
                raise self.refusal(Throttled.JOIN, peer.joins_may_at_s - now_s)
            peer.joins_may_at_s = next_may_s(
                peer.joins_may_at_s, now_s, interval_s=CONNECTION_INTERVAL_S, burst=CONNECTION_BURST
            )
        await self._stand_in_line(Throttled.JOIN, key, now_s)

    async def poll(
        self, shown: Shown, wave_ids: Sequence[str], rank: Rank = Rank.NEAR_POLL
    ) -> None:
        """Count any other request that costs a handler: of its ticket or pass, or else of its address.

        Raises:
            Problem: 429 ``too-many-requests``.

        """
        now_s, found = _now_s(), self._find(shown, wave_ids, rank)
        if found is None:
            key = self._proxies.key(shown.peer, shown.forwarded_for)
            if key:
                await self._stand_in_line(Throttled.POLL, key, now_s)
            return
        own = (found.kind, found.wave_id, found.number, found.serial)
        wait_s = self._tickets.wait_s(own, now_s=now_s)
        if wait_s > 0:
            raise self.refusal(Throttled.TICKET, wait_s)
        self._tickets.count(own, TICKET_INTERVAL_S, now_s=now_s, burst=TICKET_BURST)

    def refusal(self, why: Throttled, wait_s: float) -> Problem:
        """Count a refusal, and return how it is told."""
        self.refused[why] += 1
        return Problem("too-many-requests", retry_after_s=wait_s)

    def take_refused(self) -> Counter[Throttled]:
        """Return how many of each class were refused since the last call."""
        refused, self.refused = self.refused, Counter()
        return refused

    async def _stand_in_line(self, why: Throttled, key: str, now_s: float) -> None:
        per_min, burst_s, pace = self._paces[why]
        wait_s = pace.wait_s(key, now_s=now_s)
        if wait_s > HOLD_S_MAX or (wait_s and self.held >= HELD_MAX):
            raise self.refusal(why, wait_s)
        pace.count(key, MINUTE_S / per_min, now_s=now_s, burst=burst_of(per_min, burst_s))
        if wait_s:
            self._set_aside(1)
            try:
                await asyncio.sleep(wait_s)
            finally:
                self._set_aside(-1)

    def _set_aside(self, change: int) -> None:
        """Note how many more wait on purpose, or fewer: they take no room from those who do not."""
        self.held += change
        if self._gate is not None:
            self._gate.pending -= change

    def _find(self, shown: Shown, wave_ids: Sequence[str], rank: Rank) -> Credential | None:
        """Return a ticket or pass of ours that is shown; which is right is its handler's to say."""
        if not shown.cookies and not shown.authorizations:
            return None
        # What the act is about to verify comes first: who shows both is verified once.
        kinds = _PASS_FIRST if rank is Rank.REGISTRATION else _TICKET_FIRST
        for wave_id in wave_ids:
            for kind in kinds:
                with suppress(Problem):
                    if (found := self._holders.held(shown, kind, wave_id)) is not None:
                        return found
        return None


def waves_of(path: str, wave_ids: Sequence[str]) -> Sequence[str]:
    """Return the wave that a path names; all of them where it names none."""
    named = _WAVE.match(path)
    return (named[1],) if named else wave_ids


def _now_s() -> float:
    """Return the time on the clock by which the lane goes."""
    return asyncio.get_running_loop().time()
