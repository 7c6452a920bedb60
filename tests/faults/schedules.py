"""What goes wrong, when, where and for how long? A schedule follows from its seed alone.

Each seed leads with one kind of fault, in turn, so that a run of consecutive seeds reaches all of them;
more faults follow at random, may overlap, and heal in another order than they began.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Store(StrEnum):
    """What a run keeps its registrations in."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class Kind(StrEnum):
    """One way of going wrong (section 2.1 of the promises)."""

    KILL_SERVE = "kill-serve"
    KILL_DELIVER = "kill-deliver"
    KILL_VALKEY = "kill-valkey"
    STOP_SERVE = "stop-serve"
    STOP_DELIVER = "stop-deliver"
    STOP_VALKEY = "stop-valkey"
    PAUSE_VALKEY = "pause-valkey"  # CLIENT PAUSE
    SLEEP_VALKEY = "sleep-valkey"  # DEBUG SLEEP
    LINK_SLOW = "link-slow"
    LINK_HANG = "link-hang"
    LINK_CUT = "link-cut"  # both ways
    LINK_DEAF = "link-deaf"  # what the process says does not arrive
    LINK_CUT_REPLIES = "link-cut-replies"  # the command has run, its answer is lost
    ANSWERS_LOST = "answers-lost"  # the same between a client and its front door
    STORE_LOCKED = "store-locked"
    STORE_DOWN = "store-down"
    STORE_ERRS = "store-errs"  # after it has committed
    STORE_REFUSES = "store-refuses"  # every row
    DELIVER_DIES = "deliver-dies"  # between commit and acknowledgement
    POWER_LOSS = "power-loss"
    FSYNC_STALL = "fsync-stall"
    DISK_FULL = "disk-full"
    DESCRIPTORS = "descriptors"
    CLOCK_FORWARD = "clock-forward"
    CLOCK_BACK = "clock-back"
    EMPTIED = "emptied"
    ROLLED_BACK = "rolled-back"
    KILL_STORE = "kill-store"  # the server and all its processes at once
    STOP_STORE = "stop-store"


LOSSES = frozenset({Kind.EMPTIED, Kind.ROLLED_BACK})  # Redis forgets what it had acknowledged
LINKS = frozenset({Kind.LINK_SLOW, Kind.LINK_HANG, Kind.LINK_CUT, Kind.LINK_DEAF,
                   Kind.LINK_CUT_REPLIES})  # fmt: skip
CLOCKS = frozenset({Kind.CLOCK_FORWARD, Kind.CLOCK_BACK})
CLOCKS_EARLIER_S = 0.7  # than other faults: some steps come before the opening
SERVED = frozenset({Kind.KILL_STORE, Kind.STOP_STORE})  # where the store is a server
LENGTHS_S = {  # where a length other than this one means something else
    Kind.LINK_SLOW: (0.5, 1.5),
    Kind.STORE_REFUSES: (3.5, 5.0),  # longer than five tries take: dead letters
    Kind.STORE_LOCKED: (0.5, 2.5),
    Kind.STOP_VALKEY: (0.2, 2.5),
    Kind.STOP_STORE: (0.2, 2.5),
    Kind.EMPTIED: (0.0, 0.0),
    Kind.ROLLED_BACK: (0.6, 1.5),  # whoever lives has ticked since the copy
    Kind.POWER_LOSS: (0.0, 0.2),
}
LOAD_S = 3.6  # in which applicants arrive and faults begin
POWER_LOSSES = 8  # of a schedule that leads with them
AGAIN_S = 3.0  # from one to the next: a room is confirmed, and there is something to lose again


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Times are seconds from the moment the system was ready."""

    at_s: float
    kind: Kind
    target: int  # which process of its sort, modulo how many there are
    length_s: float


@dataclass(frozen=True, slots=True)
class Terms:
    """What the wave allows, and who comes."""

    applicants: int = 36
    quota: int = 60
    rate_per_s: float = 12.0
    burst: int = 3
    pass_ttl_s: int = 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run: what is there, and what becomes of it."""

    seed: int
    terms: Terms
    faults: Sequence[Fault]
    delivers: int = 1
    bug: str = ""  # a seeded bug that the checker must find
    unsafe: bool = False  # Valkey with appendfsync everysec
    store: Store = Store.SQLITE
    kinds: frozenset[Kind] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(fault.kind for fault in self.faults))


def kinds_of(store: Store) -> Sequence[Kind]:
    """Return what can go wrong with a store of that sort."""
    return [kind for kind in Kind if store is Store.POSTGRESQL or kind not in SERVED]


def make(seed: int, only: Sequence[Kind] = (), store: Store = Store.SQLITE) -> Schedule:
    """Return the schedule of a seed; ``only`` keeps to some kinds."""
    dice = Random(f"faults/{seed}")
    # What everything else rests on leads twice as often.
    leads = only or (*kinds_of(store), Kind.POWER_LOSS)
    lead = leads[seed % len(leads)]
    faults = [_fault(dice, lead, dice.uniform(0.7, 2.0))]
    if lead is Kind.POWER_LOSS:
        first_s = faults[0].at_s
        faults += [_fault(dice, lead, first_s + AGAIN_S * n) for n in range(1, POWER_LOSSES)]
        # What is recorded already cannot be lost: the store stays away meanwhile.
        faults.append(Fault(round(first_s - 0.5, 2), Kind.STORE_DOWN, 0, AGAIN_S * POWER_LOSSES))
    others = tuple(only or (kind for kind in kinds_of(store) if kind not in LOSSES))
    for _ in range(dice.choice((0, 1, 1, 2))):
        faults.append(_fault(dice, dice.choice(others), dice.uniform(0.5, LOAD_S)))
    terms = Terms(
        applicants=dice.randint(28, 40),
        quota=dice.choice((16, 60, 60)),
        rate_per_s=float(dice.choice((8, 12, 16))),
        burst=dice.choice((1, 3, 6)),
        pass_ttl_s=dice.choice((3, 60, 60)),
    )
    faults.sort(key=lambda fault: fault.at_s)
    return Schedule(seed, terms, tuple(faults), delivers=dice.choice((1, 2)), store=store)


def _fault(dice: Random, kind: Kind, at_s: float) -> Fault:
    if kind in CLOCKS:
        at_s = max(0.0, at_s - CLOCKS_EARLIER_S)
    low_s, high_s = LENGTHS_S.get(kind, (0.1, 1.5))
    length_s = dice.uniform(low_s, high_s)
    return Fault(round(at_s, 2), kind, dice.randrange(2), round(length_s, 2))
