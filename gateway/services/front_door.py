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
from gateway.services.moment import Moment
from gateway.services.rooms import LiveRoom, share_of

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
            moment = room.moment()
            text = sign(self._keys, held)
            poll_s = _poll_s(moment, held.number, room.position(held.number))
            return Welcome(text, held.number, moment.snapshot.phase, poll_s, new=False)
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
        poll_s = _poll_s(room.moment(), joined.number, position)
        return Welcome(sign(self._keys, ticket), joined.number, joined.phase, poll_s, new=True)

    async def _has_ended(self, room: LiveRoom, held: Credential) -> bool:
        """Ask Redis: a place left a moment ago through another process is not known here yet."""
        standing = await self._port.look(room.wave, held.number)
        return standing.state in {"left", "missed"}

    def board(self, room: LiveRoom) -> dict[str, Any]:
        """Return the public document: the same for everybody."""
        moment = room.moment()
        snapshot, zone = moment.snapshot, moment.zone
        room.polls += 1
        per_s = moment.long_per_s  # steadier: a page has no other
        return {
            "programme": room.programme.id,
            "wave": room.wave.id,
            "phase": snapshot.phase,
            "opens_at": iso(snapshot.opens_at_us, zone),
            "closes_at": iso(moment.policy.closes_us(snapshot.closes_at_us), zone),
            "issued": snapshot.issued,
            "cohort": snapshot.cohort,
            "called": snapshot.called,
            "near": snapshot.near,
            "advance_per_s": None if per_s is None else round(per_s, 2),
            "approach_per_s": round(moment.approach_per_s, 2),
            "admitted": snapshot.admitted,
            "quota": moment.policy.quota,
            "places_left": moment.places_left,
            "draw": _draw_document(room, snapshot),
            "joins_paused": moment.joins_paused,
            "message": moment.policy.message,
            "poll_s": round(moment.board_poll_s(), 1),
            "stretch": round(moment.stretch, 2),
            "stale": moment.stale,
            "at": moment.at,
        }

    async def place(self, room: LiveRoom, ticket: Credential, shown: int | None = None) -> Place:
        """Return a visitor's own document, and note that it is there.

        ``shown`` is the ``ahead`` that it was last shown: by this process, or by one that knew more.
        """
        waiting = self.waiting_place(room, ticket.number, shown)
        return await self._called_place(room, ticket) if waiting is None else waiting

    def waiting_place(self, room: LiveRoom, number: int, shown: int | None = None) -> Place | None:
        """Return the document of a visitor who is not called, and note that it is there.

        Arithmetic only. None: it is called, and how it stands is known to Redis alone.
        """
        moment, position = room.moment(), room.position(number)
        snapshot, left = moment.snapshot, room.has_left(number)
        if position is not None and not left:
            if position < snapshot.called:
                return None
            room.polls += 1
            if position < snapshot.near:
                room.check_in(position)
            return _waiting(room, moment, number, position, shown)
        room.polls += 1
        state = "left" if left else _state_before_draw(snapshot.phase)
        return _document(moment, number, position, state)

    async def leave(self, room: LiveRoom, ticket: Credential) -> Ended:
        """End the ticket and give its place back."""
        ended = await self._port.leave(room.wave, ticket.number, room.position(ticket.number))
        if ended.why is Ending.LEFT:
            room.note_left(ticket.number)
        return ended

    async def _called_place(self, room: LiveRoom, ticket: Credential) -> Place:
        moment, position = room.moment(), room.position(ticket.number)
        room.polls += 1
        standing = await self._port.look(room.wave, ticket.number)
        state = standing.state
        if state == "called" and (moment.is_over or moment.snapshot.phase is Phase.PAUSED):
            state = moment.snapshot.phase.value
        document = _document(moment, ticket.number, position, state)
        document |= {"position": position, "ahead": 0}
        if state == "admitted":
            document["expires_at"] = iso(standing.expires_at_us, moment.zone)
            document["extensions_left"] = EXTENSIONS_MAX - standing.extensions
        if state == "registered":
            document["receipt"] = standing.receipt
        return document


def _state_before_draw(phase: Phase) -> str:
    return phase.value if phase in (Phase.PAUSED, Phase.CLOSED) else "prequeue"


def _document(moment: Moment, number: int, position: int | None, state: str) -> Place:
    """Return a place without a wait: before the draw, after leaving, or once called."""
    return {
        "state": state,
        "number": number,
        "position": None,
        "ahead": None,
        "eta_s": None,
        "outlook": None,
        "poll_s": round(_poll_s(moment, number, position), 1),
        "message": moment.policy.message,
        "at": moment.at,
    }


def _waiting(
    room: LiveRoom, moment: Moment, number: int, position: int, shown: int | None
) -> Place:
    """Return the place of a waiting visitor, with what it is told of its wait."""
    ahead = pacing.ahead(position, moment.snapshot.called, shown)
    eta = moment.eta_s(ahead)
    if eta:
        now_us = moment.snapshot.now_us
        room.promises.make(position, now_us + eta[0] * 1_000_000, now_us + eta[1] * 1_000_000)
    return {
        "state": moment.waiting_state,
        "number": number,
        "position": position,
        "ahead": ahead,
        "eta_s": eta,
        "outlook": pacing.outlook(ahead, moment.places_left, moment.completion),
        "places_left": moment.places_left,
        "quota": moment.policy.quota,
        "poll_s": round(moment.poll_s(position), 1),
        "message": moment.policy.message,
        "at": moment.at,
    }


def _poll_s(moment: Moment, number: int, position: int | None) -> float:
    """Return when this visitor should ask again."""
    return moment.opening_poll_s(share_of(number)) if position is None else moment.poll_s(position)


def _draw_document(room: LiveRoom, snapshot: Snapshot) -> dict[str, str | None]:
    """Return the draw as far as it may be known: the secret only once the cohort is frozen."""
    opened = snapshot.opened
    return {
        "commitment": room.commitment(),
        "secret": room.draw_secret.hex() if opened else None,
        "beacon": snapshot.beacon or None,
        "seed": room.seed(snapshot).hex() if opened else None,
    }
