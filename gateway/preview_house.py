"""What answers in a preview? The public application over a room and an intake that are made up.

Time stands still in it, so every state looks the same however long one looks at it.
"""

import secrets
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core import receipts
from gateway.core.draw import Draw
from gateway.core.programme import Programme, Wave
from gateway.core.snapshot import Snapshot
from gateway.core.tickets import Credential, Key, Keyring, Kind
from gateway.ports import (
    Accepted,
    Claimed,
    Ended,
    Ending,
    IntakeEntry,
    Joined,
    NotYet,
    ReceiptRecord,
    Registration,
    Settled,
    Standing,
)
from gateway.preview_states import (
    COHORT,
    EPOCH,
    ISSUED,
    MINUTE_US,
    OFFLINE,
    STATES,
    number_of,
    snapshots,
    staged,
)
from gateway.services.admission import Admission, pass_credential
from gateway.services.front_door import FrontDoor
from gateway.services.intake import Intake
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web.cookies import Cookies, Shown
from gateway.web.limits import BURST, Pace
from gateway.web.problems import Problem, ProblemStyle
from gateway.web.public import PublicServices, public_app
from gateway.web.rendering import Pages
from gateway.web.site import page_routes
from gateway.web.texts import LANGUAGES
from gateway.web.throttle import Throttle

TURN_US = 10 * MINUTE_US
RETRY_S = 20
HOME = ("open", "next")  # what the programme page lists: it has one wave open, and one to come
CALLED_US = 5_000_000  # until the pass that is being waited for is asked for again


def receipt_of(name: str) -> str:
    """Return the receipt of a state: always the same, so that it can be looked up."""
    return receipts.make(f"{name:>16}".encode()[:16])


class StagedRoom:
    """A room in which nothing ever changes."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    async def create(self, wave: Wave) -> bool:
        """Nothing to make."""
        return False

    async def tick(self, wave: Wave, present: Sequence[int]) -> Snapshot:
        return list(snapshots(STATES[wave.id], self._now_us))[-1]

    async def join(self, wave: Wave) -> Joined:
        return Joined(ISSUED, EPOCH, STATES[wave.id].phase, self._now_us)

    async def claim(self, wave: Wave, number: int, position: int) -> Claimed | NotYet:
        if wave.id == "called":
            return NotYet("called", CALLED_US)
        return Claimed(1, self._now_us + TURN_US, new=False)

    async def look(self, wave: Wave, number: int) -> Standing:
        standing = STATES[wave.id].standing or Standing("called")
        expires_at_us = self._now_us + TURN_US
        return replace(standing, expires_at_us=expires_at_us, receipt=receipt_of(wave.id))

    async def leave(self, wave: Wave, number: int, position: int | None) -> Ended:
        return Ended(Ending.LEFT)

    async def left(self, wave: Wave) -> bytes:
        return b""

    async def extend(self, wave: Wave, number: int, serial: int, seen: int) -> int:
        return self._now_us + 2 * TURN_US


class Patience(Pace):
    """Whoever looks at a preview may look as often as they like."""

    def count(self, key: Hashable, interval_s: float, *, now_s: float, burst: int = BURST) -> None:
        """Count nothing."""


class StagedIntake:
    """An intake that takes everything and keeps nothing."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    async def accept(self, wave: Wave, registration: Registration) -> Accepted:
        return Accepted(receipt_of("recorded"), self._now_us)

    async def find_receipt(self, programme_id: str, receipt: str) -> ReceiptRecord | None:
        found = [
            name for name, state in STATES.items() if state.receipt and receipt_of(name) == receipt
        ]
        if not found:
            return None
        state = STATES[found[0]].receipt
        return ReceiptRecord(receipt, found[0], state, self._now_us - MINUTE_US, self._now_us)

    async def read(
        self, wave: Wave, consumer: str, count: int, block_ms: int
    ) -> Sequence[IntakeEntry]:
        return ()

    async def reclaim(
        self, wave: Wave, consumer: str, count: int, idle_ms: int
    ) -> Sequence[IntakeEntry]:
        return ()

    async def settle(self, wave: Wave, settled: Sequence[Settled]) -> None:
        """Nothing to settle."""

    async def readmit(self, wave: Wave, entries: Sequence[IntakeEntry]) -> int:
        return 0


def preview_app(programme: Programme, now_us: int) -> web.Application:
    """Return the application that shows a programme in every state."""
    programme = staged(programme)
    room, keys = StagedRoom(now_us), Keyring(Key(1, secrets.token_bytes(32)))
    rooms = Rooms({programme.id: programme}, secrets.token_bytes(32), lambda: 0.0)
    for live in rooms:
        for snapshot in snapshots(STATES.get(live.wave.id, STATES["scheduled"]), now_us):
            live.observe(snapshot)
    inside = [live for live in rooms if live.wave.id in STATES and STATES[live.wave.id].inside]
    tickets = {live.wave.id: _ticket(live, now_us) for live in inside}
    shown = [wave for wave in programme.waves if wave.id in HOME]
    pages = Pages((replace(programme, waves=tuple(shown)),))
    cookies = StagedCookies(keys, keys, tickets=tickets)
    services = PublicServices(
        rooms=rooms,
        front_door=FrontDoor(room, keys, secrets.token_bytes),
        admission=Admission(room, keys),
        intake=Intake(StagedIntake(now_us), (programme.id,), bytes(32), secrets.token_bytes),
        cookies=cookies,
        throttle=Throttle(cookies),
        receipt_page=pages.receipt,
        polls=Patience(),
        attempts=Patience(),
    )
    style = ProblemStyle(render=pages.problem)
    app = public_app(services, style, partial(page_routes, pages=pages))
    app.router.add_get("/preview", _index(pages))
    app.middlewares.append(_trouble)
    return app


@dataclass(frozen=True, slots=True)
class StagedCookies(Cookies):
    """What the browser of each state's visitor would keep."""

    tickets: Mapping[str, Credential] = field(default_factory=dict)  # by wave id

    def held(self, shown: Shown, kind: Kind, wave_id: str) -> Credential | None:
        """Return the visitor's own where it has one."""
        ticket = self.tickets.get(wave_id)
        if ticket is None:
            return Cookies.held(self, shown, kind, wave_id)
        return ticket if kind is Kind.TICKET else pass_credential(ticket, 1)


def _ticket(room: LiveRoom, now_us: int) -> Credential:
    state, seen = STATES[room.wave.id], room.current()
    return Credential(
        kind=Kind.TICKET,
        programme_id=room.programme.id,
        wave_id=room.wave.id,
        epoch=EPOCH,
        number=number_of(state, Draw(room.seed(seen), COHORT)) if seen.opened else 0,
        serial=0,
        issued_at_us=now_us,
        nonce=bytes(8),
    )


@web.middleware
async def _trouble(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Stand in the way where that is what the state is about; the page itself always comes."""
    state = STATES.get(request.match_info.get("wave", ""))
    # Whoever has no ticket is told that, however busy it is.
    unknown = state is not None and not state.inside and request.path.endswith("/place")
    asks = request.path.startswith("/v1/") or request.path.endswith("/wait")
    if state is not None and state.trouble and asks and not unknown:
        if state.trouble != OFFLINE:
            raise Problem(state.trouble, retry_after_s=RETRY_S)
        if request.transport is not None:
            request.transport.abort()
    return await handler(request)


def _index(pages: Pages) -> Handler:
    """Return what lists every state, with script and without, and the pages beside them."""
    beside = [
        "/",
        "/receipts",
        "/waves/waiting/draw",
        "/waves/waiting/device",
        *(
            f"/v1/registrations/{receipt_of(name)}"
            for name, state in STATES.items()
            if state.receipt
        ),
    ]

    async def index(_request: web.Request) -> web.Response:
        body = pages.html(
            "preview.html",
            "en",
            title="Every state",
            states=STATES,
            languages=LANGUAGES,
            beside=beside,
        )
        return web.Response(body=body, content_type="text/html", charset="utf-8")

    return index
