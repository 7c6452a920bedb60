"""What a room looks like from outside, at one tick: the value every process serves from.

``redis/scripts/tick.lua`` answers with these fields in this order, ``core/room`` makes the same value
in memory. Boards, places and polls are computed from it without asking Redis.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.clock import agree


class Phase(StrEnum):
    """Where a wave stands, as pages and boards say it."""

    SCHEDULED = "scheduled"
    PREQUEUE = "prequeue"
    OPEN = "open"
    FULL = "full"
    CLOSED = "closed"
    PAUSED = "paused"  # a policy laid over prequeue or open, not a point in time
    RECOVERING = "recovering"  # Redis holds less than it has acknowledged


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One room at one instant. Counters never decrease, except the stocks marked so."""

    epoch: str  # identity of the Redis data, 16 hex digits
    phase: Phase
    now_us: int  # Redis TIME: the clock of the three instants below
    agreed_us: int  # now_us when a process's own clock last agreed with it
    furthest_us: int  # now_us as if that clock had never been set back
    clock_us: int  # the wave clock: clamped steps, stands while the room cannot accept
    prequeue_at_us: int
    opens_at_us: int
    closes_at_us: int  # by the programme: `Policy.closes_us` says when it is
    revision: int  # of the policy in force
    issued: int  # numbers given
    cohort: int  # how many joined before opening; 0 until it is frozen
    called: int  # positions below it may claim
    near: int  # positions below it check in
    stock: int  # stock: called, present and not yet admitted
    admitted: int  # passes ever issued
    outstanding: int  # stock: passes neither spent, expired nor released
    accepted: int  # registrations acknowledged
    recorded: int  # registrations confirmed by the store
    ended: int  # tickets that left or missed their second turn
    backlog: int  # stock: accepted and not yet recorded, rejected or dead
    missing: int  # acknowledged registrations that recovery could not find again
    rate_milli_per_s: int  # stock: in force, thousandths per second
    oldest_us: int  # when the oldest of the backlog was accepted; 0: there is none
    form_us: int  # time on the form of all who registered, together
    beacon: str  # public value entered by the operator before the draw, or empty
    commitment: str  # of the draw, from the room's making on; empty: nobody has told it yet

    @property
    def unconfirmed_us(self) -> int:
        """How far the server's clock is from the last instant that a process's own has agreed with."""
        return abs(self.now_us - self.agreed_us)

    @property
    def is_confirmed(self) -> bool:
        """Whether a process's own clock agrees; else nothing opens or closes by time."""
        return agree(self.now_us, self.agreed_us)

    @property
    def opened(self) -> bool:
        """Whether the cohort is frozen and positions exist."""
        return self.near > 0
