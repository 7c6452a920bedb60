"""The room keeps its promises through a random life and a guided one; every seeded bug breaks its own."""

import os
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from gateway.core import bucket, calling, checkpoint, pacing, passes, room
from tests.core.room_machine import RoomMachine
from tests.core.seeding import seed
from tests.core.tour import tour

LIFE = settings(
    max_examples=int(os.environ.get("ROOM_EXAMPLES", "100")),
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_a_room_keeps_its_promises_whatever_happens() -> None:
    run_state_machine_as_test(RoomMachine, settings=LIFE)


def test_a_room_keeps_its_promises_in_every_rare_state() -> None:
    tour(RoomMachine())


SEEDED_BUGS: dict[str, tuple[ModuleType, str, str]] = {
    "I-9 the person is not looked for": (passes, "earlier = registry.by_person.get(proposed.person)", "earlier = None"),
    "I-36 any pass of a number will do": (passes, '    if held is None or held.serial != serial:\n        return Answer("pass-ended")', '    if held is None:\n        return Answer("pass-ended")'),
    "I-11 quota read without reservations": (room, "self.policy.quota - self.accepted - len(self.passes)", "self.policy.quota - self.accepted"),
    "I-12 an expired pass is kept": (room, "        del room.passes[number]\n", ""),
    "I-12 a pass is extended for ever": (passes, "held.extensions >= EXTENSIONS_MAX", "False"),
    "I-12 a repeat uses up another extension": (passes, "held.extensions > seen", "False"),
    "I-12 expiry gives two places back": (room, "        del room.passes[number]\n", "        del room.passes[number]\n        room.accepted -= 1\n"),
    "I-13 a lower quota takes passes back": (room, "    room.last_us = now_us\n", "    room.last_us = now_us\n    if room.places_free < 0:\n        room.passes.clear()\n"),
    "I-13 closing takes passes back": (room, "    _expire(room)\n    if", "    _expire(room)\n    if room.phase is Phase.CLOSED:\n        room.passes.clear()\n    if"),
    "I-13 a pause refuses registrations": (passes, "        if room.is_full(now_us):", "        if room.frozen:"),
    "I-14 passes age while paused": (room, "if not room.frozen:\n        room.clock_us", "if room.backlog < room.policy.intake_cap:\n        room.clock_us"),
    "I-14 passes age while the backlog is full": (room, "or recovering or self.is_full(self.last_us)", "or recovering"),
    "I-16 the bucket has no bottom": (passes, "    room.level -= bucket.TOKEN\n", ""),
    "I-16 the bucket has no rim": (bucket, "min(level + rate_milli_per_s * step_us, burst * TOKEN)", "level + rate_milli_per_s * step_us"),
    "I-17 a forward step counts whole": (bucket, "min(max(now_us - last_us, 0), STEP_US_MAX)", "max(now_us - last_us, 0)"),
    "I-17 a backward step counts": (bucket, "max(now_us - last_us, 0)", "now_us - last_us"),
    "I-17 a backward step is waited for": (room, "    room.last_us = now_us\n", "    room.last_us = max(room.last_us, now_us)\n"),
    "I-18 every call refills": (bucket, "max(now_us - last_us, 0)", "max(now_us - last_us, 100_000)"),
    "I-20 form cap forgotten": (passes, "or len(room.passes) >= room.policy.form_cap", ""),
    "I-21 the bucket starts full": (room, "room.level = 0  # a pause", "room.level = room.policy.burst * bucket.TOKEN  # a pause"),
    "I-21 a pause is overlooked": (passes, "if room.policy.paused:", "if False:"),
    "I-21 the phase is not looked at": (passes, "if room.phase is not Phase.OPEN:", "if room.near == 0:"),
    "F-19 phases go by the server's clock alone": (room, "confirmed_us(now_us, room.agreed_us)", "now_us"),
    "F-19 whoever ticks confirms the clock": (room, "if agree(now_us, wall_us):", "if True:"),
    "F-19 the furthest goes back with the clock": (room, "max(now_us, room.furthest_us + elapsed_us)", "now_us"),
    "I-22 whoever is behind is served first": (passes, "if room.level < asked * bucket.TOKEN:", "if room.level < bucket.TOKEN * (1 + room.present.count(position + 1, room.called)):"),
    "J-2 joins are never paused": (passes, " or room.policy.joins_paused", ""),
    "I-23 a number is given twice": (passes, "room.issued += 1", "room.issued += number % 2 == 0"),
    "I-23 a restored room does not jump ahead": (checkpoint, "known.issued + MARGIN + round(known.joins_per_s * MARGIN_S)", "known.issued - 1"),
    "I-25 another commitment takes the place of the first": (room, "room.commitment or commitment", "commitment or room.commitment"),
    "I-25 the cohort is not frozen": (room, "room.cohort = room.issued", "room.cohort = 0"),
    "I-25 the cohort is who joined by the clock": (room, "    if not room.admitting:\n", "    room.cohort = room.issued if room.near else 0\n    if not room.admitting:\n"),
    "I-26 a pass above called": (passes, "if position >= room.called:", "if False:"),
    "I-26 called follows the stock both ways": (calling, "    if wanted <= 0:\n        return called", "    if wanted <= 0:\n        return called + wanted"),
    "I-26 recovery from the older checkpoint": (checkpoint, "name: max(", "name: (min if name == 'called' else max)("),
    "I-27 each process counts for itself": (pacing, "min(position - called, shown)", "position - called"),
    "I-29 a turn expires with the poll": (passes, "if position >= room.called:", "if position >= room.called or position not in room.present:"),
    "I-30 missed turns return for ever": (room, "room.lost.set(number)", "pass"),
    "I-30 nobody returns": (room, "if number not in room.missed:", "if False:"),
    "I-32 leaving keeps the pass": (passes, "    room.passes.pop(number, None)\n", ""),
    "I-32 leaving keeps the turn": (passes, "    room.left.set(number)\n", ""),
    "I-32 leaving twice is two leavings": (passes, "    if ending:\n        return Answer(ending)\n    room.passes.pop", "    if ending == 'registered':\n        return Answer(ending)\n    room.passes.pop"),
}  # fmt: skip


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_a_seeded_bug_breaks_its_promise(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(monkeypatch, *SEEDED_BUGS[bug])
    assert bug.split(maxsplit=1)[0] in tour(RoomMachine(), lenient=True)
