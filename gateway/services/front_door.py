"""Joining, looking and leaving: what a visitor can do before it is admitted.

Round trips: a join shares one with its batch. A board costs none, a place costs none until the visitor
is called, and shares one with its batch from then on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.core import pacing
from gateway.core.clock import iso
from gateway.core.snapshot import Phase, Snapshot
from gateway.core.tickets import Credential, Keyring, Kind, sign
from gateway.ports import Ended, Ending, NotOpen, RoomPort
from gateway.services.rooms import CHECK_IN_MARGIN, LiveRoom, is_over, share_of

EXTENSIONS_MAX = 2
Place = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Welcome:
    """A visitor's ticket, new or held already."""

    ticket: str
    number: int
    phase: Phase
    poll_s: float
    new: bool


class FrontDoor:
    """The room's entrance."""

    def __init__(
        self, port: RoomPort, ticket_keys: Keyring, token_bytes: Callable[[int], bytes]
    ) -> None:
        self._port = port
        self._keys = ticket_keys
        self._token_bytes = token_bytes

    async def join(self, room: LiveRoom, held: Credential | None) -> Welcome | NotOpen:
        """Give a ticket; whoever shows a valid one gets that one again, unless its place has ended."""
        if held is not None and not await self._has_ended(room, held):
            snapshot = room.current()
            text = sign(self._keys, held)
            poll_s = self._poll_s(room, snapshot, held.number)
            return Welcome(text, held.number, snapshot.phase, poll_s, new=False)
        joined = await self._port.join(room.wave)
        if isinstance(joined, NotOpen):
            return joined
        ticket = Credential(
            kind=Kind.TICKET,
            programme_id=room.programme.id,
            wave_id=room.wave.id,
            epoch=joined.epoch,
            number=joined.number,
            serial=0,
            issued_at_us=joined.at_us,
            nonce=self._token_bytes(8),
        )
        position = room.position(joined.number)
        if position is not None:
            room.check_in(position)
        poll_s = self._poll_s(room, room.current(), joined.number)
        return Welcome(sign(self._keys, ticket), joined.number, joined.phase, poll_s, new=True)

    async def _has_ended(self, room: LiveRoom, held: Credential) -> bool:
        """Ask Redis: a place left a moment ago through another process is not known here yet."""
        standing = await self._port.look(room.wave, held.number, room.position(held.number))
        return standing.state in {"left", "missed"}

    def board(self, room: LiveRoom) -> dict[str, Any]:
        """Return the public document: the same for everybody."""
        snapshot = room.current()
        room.polls += 1
        zone = room.programme.zone
        per_s = room.pace_per_s(pacing.LONG_US)  # steadier: a page has no other
        return {
            "programme": room.programme.id,
            "wave": room.wave.id,
            "phase": snapshot.phase,
            "opens_at": iso(snapshot.opens_at_us, zone),
            "closes_at": iso(snapshot.closes_at_us, zone),
            "issued": snapshot.issued,
            "cohort": snapshot.cohort,
            "called": snapshot.called,
            "near": snapshot.near,
            "advance_per_s": None if per_s is None else round(per_s, 2),
            "approach_per_s": round(room.approach_per_s, 2),
            "admitted": snapshot.admitted,
            "quota": room.policy.quota,
            "places_left": places_left(room, snapshot),
            "draw": _draw_document(room, snapshot),
            "message": room.policy.message,
            "poll_s": round(board_poll_s(room, snapshot), 1),
            "stretch": round(room.stretch, 2),
            "stale": room.stale,
            "at": iso(room.now_us(), zone),
        }

    async def place(self, room: LiveRoom, ticket: Credential, shown: int | None = None) -> Place:
        """Return a visitor's own document, and note that it is there.

        ``shown`` is the ``ahead`` that it was last shown: by this process, or by one that knew more.
        """
        snapshot = room.current()
        room.polls += 1
        position = room.position(ticket.number)
        if room.has_left(ticket.number):
            return self._document(room, snapshot, ticket, "left")
        if position is None:
            waiting = "paused" if snapshot.phase is Phase.PAUSED else "prequeue"
            state = "closed" if snapshot.phase is Phase.CLOSED else waiting
            return self._document(room, snapshot, ticket, state)
        if position < snapshot.called:
            return await self._called_place(room, snapshot, ticket, position)
        if position < snapshot.near:
            room.check_in(position)
        state = "waiting" if snapshot.phase is Phase.OPEN else snapshot.phase.value
        document = self._document(room, snapshot, ticket, state)
        return document | _wait(room, snapshot, position, shown)

    async def leave(self, room: LiveRoom, ticket: Credential) -> Ended:
        """End the ticket and give its place back."""
        ended = await self._port.leave(room.wave, ticket.number, room.position(ticket.number))
        if ended.why is Ending.LEFT:
            room.note_left(ticket.number)
        return ended

    async def _called_place(
        self, room: LiveRoom, snapshot: Snapshot, ticket: Credential, position: int
    ) -> Place:
        standing = await self._port.look(room.wave, ticket.number, position)
        state = standing.state
        if state == "called" and (is_over(snapshot.phase) or snapshot.phase is Phase.PAUSED):
            state = snapshot.phase.value
        document = self._document(room, snapshot, ticket, state)
        document |= {"position": position, "ahead": 0}
        if state == "admitted":
            document["expires_at"] = iso(standing.expires_at_us, room.programme.zone)
            document["extensions_left"] = EXTENSIONS_MAX - standing.extensions
        if state == "registered":
            document["receipt"] = standing.receipt
        return document

    def _document(
        self, room: LiveRoom, snapshot: Snapshot, ticket: Credential, state: str
    ) -> Place:
        return {
            "state": state,
            "number": ticket.number,
            "position": None,
            "ahead": None,
            "eta_s": None,
            "outlook": None,
            "poll_s": round(self._poll_s(room, snapshot, ticket.number), 1),
            "message": room.policy.message,
            "at": iso(room.now_us(), room.programme.zone),
        }

    def _poll_s(self, room: LiveRoom, snapshot: Snapshot, number: int) -> float:
        """Return when this visitor should ask again."""
        position = room.position(number)
        check_in_s = room.policy.check_in_s * CHECK_IN_MARGIN
        if position is None:
            return _opening_poll_s(room, snapshot, share_of(number))
        if is_over(snapshot.phase):
            return 60.0
        if position < snapshot.near:
            # A newcomer in an empty room is called within a tick or two.
            return 1.0 if position < snapshot.called else check_in_s
        far_s = room.wait_s(position - snapshot.near)
        return max(check_in_s, pacing.poll_s(far_s, room.stretch))


def _eta(room: LiveRoom, ahead: int) -> tuple[int, int] | None:
    return pacing.eta_s(ahead, room.pace_per_s(), room.pace_per_s(pacing.LONG_US))


def _wait(room: LiveRoom, snapshot: Snapshot, position: int, shown: int | None) -> Place:
    """Return what a waiting visitor is told of its wait."""
    ahead = pacing.ahead(position, snapshot.called, shown)
    eta = None if snapshot.phase is Phase.PAUSED else _eta(room, ahead)
    if eta:
        now_us = snapshot.now_us
        room.promises.make(position, now_us + eta[0] * 1_000_000, now_us + eta[1] * 1_000_000)
    completion = snapshot.accepted / snapshot.admitted if snapshot.admitted >= 50 else 1.0
    return {
        "position": position,
        "ahead": ahead,
        "eta_s": list(eta) if eta else None,
        "outlook": pacing.outlook(ahead, places_left(room, snapshot), completion),
    }


def places_left(room: LiveRoom, snapshot: Snapshot) -> int:
    """Return how many registrations the quota still has room for, reservations not counted."""
    return max(0, room.policy.quota - snapshot.accepted)


def board_poll_s(room: LiveRoom, snapshot: Snapshot) -> float:
    """Return when to ask for the board again; the page spreads it by its own jitter."""
    if is_over(snapshot.phase):
        return 60.0
    if not snapshot.opened:
        return _opening_poll_s(room, snapshot, share=0.0)
    # Pages keep to it while the pace is unknown or nobody is called: all of them at once.
    crowd_s = (snapshot.issued - snapshot.called) / room.policy.poll_budget_per_s
    return min(pacing.POLL_S_MAX, max(10.0 * room.stretch, crowd_s))


def _opening_poll_s(room: LiveRoom, snapshot: Snapshot, share: float) -> float:
    to_opening_s = (snapshot.opens_at_us - room.now_us()) / 1_000_000
    budget_per_s = room.policy.poll_budget_per_s
    return pacing.opening_poll_s(to_opening_s, snapshot.issued, budget_per_s, share)


def _draw_document(room: LiveRoom, snapshot: Snapshot) -> dict[str, str | None]:
    """Return the draw as far as it may be known: the secret only once the cohort is frozen."""
    opened = snapshot.opened
    return {
        "commitment": room.commitment(),
        "secret": room.draw_secret.hex() if opened else None,
        "beacon": snapshot.beacon or None,
        "seed": room.seed(snapshot).hex() if opened else None,
    }
