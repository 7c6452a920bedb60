"""What one visitor does to a room: join, claim, extend, leave, register. Decisions and their effects.

A pass is a reservation on the quota and in exactly one state: outstanding, spent, expired, released.
Only ``outstanding`` can change, once. Every call is idempotent for the same visitor.

Twins: ``redis/scripts/{join,claim,look,leave,extend,accept}.lua``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core import bucket
from gateway.core.calling import stock_target
from gateway.core.room import Pass, Room, hold, mark_absent, mark_present, step
from gateway.core.snapshot import Phase

EXTENSIONS_MAX = 2
PERSONS_PER_PASS_MAX = 3  # a pass is no instrument for asking who is registered


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call: a word, and the numbers that go with it."""

    word: str
    serial: int = 0  # of the pass
    instant_us: int = 0  # expiry or acceptance, server clock
    wait_us: int = 0  # until asking again makes sense
    extensions: int = 0
    receipt: str = ""


@dataclass(slots=True)
class Record:
    """An accepted registration, as far as Redis remembers it."""

    receipt: str
    person: bytes
    content: bytes
    accepted_at_us: int


@dataclass(slots=True)
class Registry:
    """Who is registered in the programme, over all its waves."""

    by_person: dict[bytes, Record] = field(default_factory=dict)
    by_receipt: dict[str, Record] = field(default_factory=dict)


def join(room: Room) -> Answer:
    """Give the next number while the wave takes people: before and during its opening."""
    if room.phase not in (Phase.PREQUEUE, Phase.OPEN) or room.policy.joins_paused:
        return Answer(room.phase)
    number = room.issued
    room.issued += 1
    return Answer("joined", serial=number)


def _ending(room: Room, number: int) -> str:
    if number in room.spent:
        return "registered"
    if number in room.left:
        return "left"
    return "missed" if number in room.lost else ""


def _instant(room: Room, held: Pass) -> int:
    """Return the expiry on the server's clock, if nothing stops the wave clock from here on."""
    return room.last_us + held.expires_us - room.clock_us


def claim(room: Room, now_us: int, number: int, position: int) -> Answer:
    """Answer one claim."""
    return claim_together(room, now_us, [(number, position)])[0]


def claim_together(room: Room, now_us: int, pairs: Sequence[tuple[int, int]]) -> list[Answer]:
    """Answer a batch of claims, given in order of position: whoever is in front is asked first."""
    step(room, now_us)
    return [_claim(room, number, position) for number, position in pairs]


def _claim(room: Room, number: int, position: int) -> Answer:
    """Issue a pass if phase, order, backlog, quota, form cap and bucket allow it, asked in this order."""
    ending = _ending(room, number)
    if ending:
        return Answer(ending)
    held = room.passes.get(number)
    if held:
        return Answer("held", serial=held.serial, instant_us=_instant(room, held))
    check_in_us = room.policy.check_in_s * 1_000_000
    if room.phase is not Phase.OPEN:
        return Answer(room.phase, wait_us=check_in_us)
    if room.policy.paused:
        return Answer("paused", wait_us=check_in_us)
    if position >= room.called:
        return Answer("waiting", wait_us=check_in_us)
    mark_present(room, position)
    if (
        room.backlog + len(room.passes) >= room.policy.intake_cap
        or room.is_late(room.last_us, 2)
        or room.places_free <= 0
        or len(room.passes) >= room.policy.form_cap
    ):
        return Answer("called", wait_us=check_in_us)
    rank, rate = room.present.count(0, position), room.rate_milli_per_s
    target = stock_target(rate, check_in_us)
    kept = bucket.kept_tokens(rate, room.policy.burst)
    asked = bucket.tokens_asked(rank, kept=kept, target=target)
    if room.level < asked * bucket.TOKEN:
        wait_us = bucket.wait_us(room.level, rank, rate_milli_per_s=rate)
        return Answer("called", wait_us=min(max(wait_us, bucket.RETRY_US_MIN), check_in_us))
    return _issue(room, number, position)


def _issue(room: Room, number: int, position: int) -> Answer:
    room.level -= bucket.TOKEN
    room.admitted += 1
    life_us = room.policy.pass_ttl_s * 1_000_000
    held = Pass(serial=room.admitted, expires_us=room.clock_us + life_us)
    hold(room, number, held)
    mark_absent(room, position)
    return Answer("issued", serial=held.serial, instant_us=_instant(room, held))


def look(room: Room, number: int) -> Answer:
    """Say how a visitor stands. Changes nothing: a place is kept free by claiming, not by looking."""
    ending = _ending(room, number)
    if ending:
        return Answer(ending, receipt=room.spent[number][0] if number in room.spent else "")
    held = room.passes.get(number)
    if held is None:
        return Answer("called")
    return Answer(
        "admitted", serial=held.serial, instant_us=_instant(room, held), extensions=held.extensions
    )


def leave(room: Room, number: int, position: int | None) -> Answer:
    """End a ticket and give its place back. Leaving twice is one leaving."""
    ending = _ending(room, number)
    if ending:
        return Answer(ending)
    room.passes.pop(number, None)
    room.left.set(number)
    room.ended += 1
    if position is not None:
        mark_absent(room, position)
    return Answer("left")


def extend(room: Room, number: int, serial: int, seen: int) -> Answer:
    """Lengthen a pass by one life, twice at most.

    Its holder says how many extensions it has ``seen``. Where there are more, the answer to one was lost:
    it is given again, and nothing is used up.
    """
    held = room.passes.get(number)
    if held is None or held.serial != serial:
        return Answer("ended")
    if held.extensions > seen:
        return Answer("extended", instant_us=_instant(room, held))
    if held.extensions >= EXTENSIONS_MAX:
        return Answer("exhausted")
    held.extensions += 1
    held.expires_us += room.policy.pass_ttl_s * 1_000_000
    hold(room, number, held)
    return Answer("extended", instant_us=_instant(room, held))


def accept(
    room: Room,
    registry: Registry,
    now_us: int,
    *,
    number: int,
    serial: int,
    proposed: Record,
) -> Answer:
    """Spend a pass on a registration. The pass is looked at before the person: no oracle.

    The same pass or the same person with the same content gets the first answer again.
    """
    if number in room.spent and room.spent[number][1] == serial:
        first = registry.by_receipt[room.spent[number][0]]
        same = (first.person, first.content) == (proposed.person, proposed.content)
        return _accepted(first) if same else Answer("pass-used")
    held = room.passes.get(number)
    if held is None or held.serial != serial:
        return Answer("pass-ended")
    if proposed.person not in held.persons:
        if len(held.persons) >= PERSONS_PER_PASS_MAX:
            return Answer("too-many-persons")
        held.persons.append(proposed.person)
    earlier = registry.by_person.get(proposed.person)
    if earlier and earlier.content != proposed.content:
        return Answer("already-registered")
    if not earlier:
        if room.is_full(now_us):
            return Answer("backlog-full")
        proposed.accepted_at_us = now_us
        registry.by_person[proposed.person] = earlier = proposed
        registry.by_receipt[proposed.receipt] = proposed
        room.accepted += 1
        room.accepted_us.append(now_us)
        room.backlog += 1
    life_us = (1 + held.extensions) * room.policy.pass_ttl_s * 1_000_000
    room.form_us += max(0, room.clock_us - held.expires_us + life_us)
    del room.passes[number]
    room.spent[number] = (earlier.receipt, serial)
    return _accepted(earlier)


def _accepted(record: Record) -> Answer:
    return Answer("accepted", receipt=record.receipt, instant_us=record.accepted_at_us)
