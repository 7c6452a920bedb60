"""The tick, and what follows from it: claims, passes and their extensions.

Round trips: one per wave and tick; a claim below ``called`` shares one with its batch, a claim above it
costs none.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Protocol

import structlog

from gateway.core.passes import EXTENSIONS_MAX
from gateway.core.snapshot import Phase
from gateway.core.tickets import Credential, Keyring, Kind, sign
from gateway.ports import (
    Claimed,
    Ended,
    ExtensionRefused,
    NotYet,
    PolicyPort,
    PortError,
    RoomPort,
)
from gateway.services.rooms import LiveRoom, Rooms

_log = structlog.get_logger("gateway.room")

IDLE_TICK_S = 0.8  # for waves that are closed or far from opening: a change still arrives in 1 s
NEAR_OPENING_US = 10_000_000


@dataclass(frozen=True, slots=True)
class PassIssued:
    """An admission: the signed pass and when it ends."""

    text: str
    expires_at_us: int
    new: bool  # False: the same pass, asked for again


class TickWitness(Protocol):
    """Who wants to know how ticks went."""

    def ticked(self, room: LiveRoom) -> None:
        """A tick has brought a snapshot."""

    def missed(self, room: LiveRoom, error: PortError) -> None:
        """A tick has failed; the old snapshot ages on."""


class Ticker:
    """Keeps every room's snapshot fresh, one tick per wave and interval."""

    def __init__(
        self,
        rooms: Rooms,
        port: RoomPort,
        policies: PolicyPort,
        witness: TickWitness,
        *,
        tick_s: float,
        rng: random.Random,
    ) -> None:
        self._rooms, self._port, self._policies = rooms, port, policies
        self._witness = witness
        self._tick_s = tick_s
        self._rng = rng

    async def run(self, stop: asyncio.Event) -> None:
        """Tick all rooms until told to stop."""
        async with asyncio.TaskGroup() as tasks:
            for room in self._rooms:
                tasks.create_task(self._run_room(room, stop))

    async def tick(self, room: LiveRoom) -> None:
        """Tick one room once: report who checked in, take in how the room stands."""
        present = room.take_present()
        snapshot, could_draw = await self._port.tick(room.wave, present), room.has_its_draw
        room.observe(snapshot)
        if could_draw and not room.has_its_draw:
            _log.error("this draw.key is not the wave's", wave=room.wave.id)
        if snapshot.revision != room.revision:
            read = await self._policies.read(room.wave)
            room.policy, room.revision = read.policy, read.revision
            room.timer, room.changed_at_us = read.timer, read.at_us
        if room.has_its_draw and room.wants_left():
            room.take_left(await self._port.left(room.wave))

    async def _run_room(self, room: LiveRoom, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.tick(room)
            except PortError as error:
                self._witness.missed(room, error)
            else:
                self._witness.ticked(room)
            try:
                async with asyncio.timeout(self._pause_s(room)):
                    await stop.wait()
            except TimeoutError:
                continue

    def _pause_s(self, room: LiveRoom) -> float:
        """Return the time to the next tick: half of it random, so that processes do not march in step."""
        busy_s = self._tick_s * self._rng.uniform(0.5, 1.5)
        snapshot = room.snapshot
        if snapshot is None:
            return busy_s
        idle = snapshot.phase is Phase.CLOSED and snapshot.outstanding == 0
        far = snapshot.prequeue_at_us - snapshot.now_us > NEAR_OPENING_US
        return IDLE_TICK_S if idle or far else busy_s


class Admission:
    """Claims and passes."""

    def __init__(self, port: RoomPort, pass_keys: Keyring) -> None:
        self._port = port
        self._keys = pass_keys

    async def claim(self, room: LiveRoom, ticket: Credential) -> PassIssued | NotYet | Ended:
        """Admit the visitor if it is its turn and a token is there."""
        snapshot = room.current()
        position = room.position(ticket.number)
        check_in_us = room.policy.check_in_s * 1_000_000
        if position is None:
            return NotYet(
                snapshot.phase, max(check_in_us, snapshot.opens_at_us - room.furthest_us())
            )
        if position >= snapshot.called and not room.has_left(ticket.number):
            room.check_in(position)
            state = "waiting" if snapshot.phase is Phase.OPEN else snapshot.phase.value
            return NotYet(state, check_in_us)
        answer = await self._port.claim(room.wave, ticket.number, position)
        if isinstance(answer, Claimed):
            text = sign(self._keys, pass_credential(ticket, answer.serial))
            return PassIssued(text, answer.expires_at_us, answer.new)
        return answer

    async def extend(
        self, room: LiveRoom, held: Credential, left: int | None
    ) -> int | ExtensionRefused:
        """Lengthen a pass by one life; answer its new expiry instant.

        Whoever says how many extensions were ``left`` may repeat it: one is used up, whatever became of the
        first answer. For others, nothing but the call to the room is safe to repeat.
        """
        if left is None:
            standing = await self._port.look(room.wave, held.number)
            seen = standing.extensions
        else:
            seen = EXTENSIONS_MAX - left
        return await self._port.extend(room.wave, held.number, held.serial, seen)


def pass_credential(ticket: Credential, serial: int) -> Credential:
    """Return the pass that belongs to a ticket: the same bytes whenever it is asked for again."""
    return Credential(
        kind=Kind.PASS,
        programme_id=ticket.programme_id,
        wave_id=ticket.wave_id,
        epoch=ticket.epoch,
        number=ticket.number,
        serial=serial,
        issued_at_us=ticket.issued_at_us,
        nonce=ticket.nonce,
    )
