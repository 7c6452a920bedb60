"""The public application with real services on scripted ports."""

import secrets
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from aiohttp import web

from gateway.core.form import Field
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Programme, Wave
from gateway.core.snapshot import Phase, Snapshot
from gateway.core.tickets import Credential, Key, Keyring, Kind, sign
from gateway.ports import Claimed, Ended, Ending, Joined, NotYet, Standing
from gateway.services.admission import Admission, pass_credential
from gateway.services.front_door import FrontDoor
from gateway.services.intake import Intake
from gateway.services.rooms import Rooms
from gateway.web.clients import Proxies
from gateway.web.cookies import Cookies
from gateway.web.problems import ProblemStyle
from gateway.web.public import PublicServices, public_app
from gateway.web.rendering import Pages
from gateway.web.site import page_routes
from gateway.web.throttle import Throttle
from tests.adapters.ports import ScriptedIntake, ScriptedRoom

NOW_US = 1_586_595_600_000_000  # 11 April 2020, 16:00 WIB
MINUTE_US = 60_000_000
EPOCH = "0123456789abcdef"
NIK = "3201010101010001"
VALUES = {"nik": NIK, "name": "Dewi Ayu"}


def texts(text: str) -> dict[str, str]:
    return {"id": text, "en": text}


def a_field(name: str, kind: Any, **other: Any) -> Field:
    bounds: dict[str, Any] = {"required": True, "min_length": 1, "max_length": 200, "choices": ()}
    return Field(name=name, kind=kind, label=texts(name), hint=texts(""), **(bounds | other))


def a_wave(wave_id: str) -> Wave:
    return Wave(
        id=wave_id,
        programme_id="prakerja",
        ordinal=1,
        prequeue_at=Moment(NOW_US - 30 * MINUTE_US),
        opens_at=Moment(NOW_US - MINUTE_US),
        closes_at=Moment(NOW_US + 60 * MINUTE_US),
        policy=Policy(),
    )


PROGRAMME = Programme(
    id="prakerja",
    name=texts("Kartu Prakerja"),
    zone="WIB",
    selection="lottery",
    person_field="nik",
    help_line=texts("0800"),
    prepare=texts("NIK"),
    fields=(
        a_field("nik", "nik", min_length=16, max_length=16),
        a_field("name", "text"),
        a_field("email", "email", required=False),
    ),
    waves=(a_wave("wave-1"), a_wave("wave-2")),
)

OPEN = Snapshot(
    epoch=EPOCH,
    phase=Phase.OPEN,
    now_us=NOW_US,
    agreed_us=NOW_US,
    furthest_us=NOW_US,
    clock_us=NOW_US,
    prequeue_at_us=NOW_US - 30 * MINUTE_US,
    opens_at_us=NOW_US - MINUTE_US,
    closes_at_us=NOW_US + 60 * MINUTE_US,
    revision=1,
    issued=100,
    cohort=0,  # every position is its number
    called=10,
    near=20,
    stock=0,
    admitted=0,
    outstanding=0,
    accepted=0,
    recorded=0,
    ended=0,
    missing=0,
    backlog=0,
    rate_milli_per_s=10_000,
    oldest_us=0,
    form_us=0,
    beacon="",
    commitment="",
)


@dataclass
class House:
    """Everything behind the public listener, with the ports in the test's hands."""

    room: ScriptedRoom = field(default_factory=ScriptedRoom)
    intake: ScriptedIntake = field(default_factory=ScriptedIntake)
    ticket_keys: Keyring = field(default_factory=lambda: Keyring(Key(1, secrets.token_bytes(32))))
    pass_keys: Keyring = field(default_factory=lambda: Keyring(Key(1, secrets.token_bytes(32))))

    proxies: Proxies = field(default_factory=Proxies)
    joins_per_min: int = 300

    def __post_init__(self) -> None:
        self.rooms = Rooms({"prakerja": PROGRAMME}, bytes(32), time.monotonic)
        cookies = Cookies(self.ticket_keys, self.pass_keys)
        self.services = PublicServices(
            rooms=self.rooms,
            front_door=FrontDoor(self.room, self.ticket_keys, secrets.token_bytes),
            admission=Admission(self.room, self.pass_keys),
            intake=Intake(self.intake, ("prakerja",), bytes(32), secrets.token_bytes),
            cookies=cookies,
            throttle=Throttle(cookies, self.proxies, joins_per_min=self.joins_per_min),
        )
        self.room.answers = {
            "join": Joined(50, EPOCH, Phase.OPEN, NOW_US),
            "claim": Claimed(1, NOW_US + 10 * MINUTE_US, new=True),
            "look": Standing("called"),
            "leave": Ended(Ending.LEFT),
            "extend": NOW_US + 20 * MINUTE_US,
        }
        self.see(OPEN)

    def app(self) -> web.Application:
        return public_app(self.services, ProblemStyle("https://gateway.example/problems"))

    def app_with_pages(self) -> web.Application:
        pages = Pages((PROGRAMME,))
        style = ProblemStyle("https://gateway.example/problems", pages.problem)
        services = replace(self.services, receipt_page=pages.receipt)
        return public_app(services, style, partial(page_routes, pages=pages))

    def see(self, snapshot: Snapshot, **changes: Any) -> None:
        """Have every room look so."""
        for room in self.rooms:
            room.observe(replace(snapshot, **changes))

    @property
    def asked(self) -> list[str]:
        return self.room.asked + self.intake.asked

    def ticket(self, number: int = 5, wave_id: str = "wave-1") -> str:
        return sign(self.ticket_keys, self.credential(number, wave_id))

    def pass_(self, number: int = 5, serial: int = 1, wave_id: str = "wave-1") -> str:
        ticket = self.credential(number, wave_id)
        return sign(self.pass_keys, pass_credential(ticket, serial))

    def credential(self, number: int = 5, wave_id: str = "wave-1") -> Credential:
        return Credential(
            kind=Kind.TICKET,
            programme_id="prakerja",
            wave_id=wave_id,
            epoch=EPOCH,
            number=number,
            serial=0,
            issued_at_us=NOW_US,
            nonce=bytes(8),
        )


NOT_YET = NotYet("called", 1_500_000)
