"""What operators see, without HTTP."""

from dataclasses import fields, replace
from typing import Any

import pytest

from gateway.core.checkpoint import MARGIN
from gateway.core.snapshot import Phase, Snapshot
from gateway.ports import PortUnavailableError
from tests.operations_house import OPEN, OperatorsHouse

AWAY = PortUnavailableError("away")


@pytest.fixture
def house() -> OperatorsHouse:
    return OperatorsHouse()


def test_a_healthy_process_is_ready_and_accepting(house: OperatorsHouse) -> None:
    readiness = house.operations.readiness()
    assert (readiness.ready, readiness.accepting, readiness.reasons) == (True, True, ())


def seen(house: OperatorsHouse, **changes: Any) -> None:
    house.room().observe(replace(OPEN, **changes))


def unseen(house: OperatorsHouse) -> None:
    house.room().snapshot = None


def aged(house: OperatorsHouse) -> None:
    house.clock_s += 2.5


@pytest.mark.parametrize(
    ("happen", "reason"),
    [
        (unseen, "wave-1: not seen yet"),
        (aged, "wave-1: last seen 2.5 s ago"),
        (lambda house: seen(house, phase=Phase.RECOVERING), "wave-1: recovering"),
        (lambda house: seen(house, backlog=100_000), "wave-1: the intake is at its cap"),
        (lambda house: setattr(house.condition, "hazards", ("no fsync",)), "no fsync"),
    ],
)
def test_a_process_that_could_not_make_a_registration_durable_says_so_and_stays_ready(
    house: OperatorsHouse, happen: Any, reason: str
) -> None:
    happen(house)
    readiness = house.operations.readiness()
    assert readiness.ready
    assert not readiness.accepting
    assert reason in readiness.reasons


def test_of_a_room_that_is_being_put_back_a_process_tells_what_it_saw_before(
    house: OperatorsHouse,
) -> None:
    """I-51: told with its margin, each new try of a recovery would skip as many numbers again."""

    def told(given: int = 0) -> Any:
        return house.operations.seen(lambda _: given, lambda _: 0)["wave-1"]

    whole = told()
    seen(house, phase=Phase.RECOVERING, issued=OPEN.issued + MARGIN, epoch="another")
    assert told() == whole
    assert told(OPEN.issued + 1) == whole | {"issued": OPEN.issued + 1}
    seen(house, issued=OPEN.issued + MARGIN)
    assert told()["issued"] == OPEN.issued + MARGIN


def test_i_25_a_process_with_another_draw_key_is_not_ready(house: OperatorsHouse) -> None:
    seen(house, commitment="0" * 64)
    readiness = house.operations.readiness()
    assert (readiness.ready, readiness.accepting) == (False, False)
    assert "bound to another draw.key" in readiness.reasons[0]


def test_a_draining_or_unfit_process_is_not_ready(house: OperatorsHouse) -> None:
    house.condition.draining = True
    readiness = house.operations.readiness()
    assert (readiness.ready, readiness.accepting) == (False, False)
    assert readiness.reasons == ("this process is draining",)
    house.condition.draining, house.condition.faults = False, ("keys differ",)
    assert house.operations.readiness().reasons == ("keys differ",)
    assert not house.operations.readiness().ready


async def test_status_tells_every_counter_of_every_wave(house: OperatorsHouse) -> None:
    house.room().observe(replace(OPEN, revision=2))
    status = await house.operations.status()
    assert [wave["wave"] for wave in status["waves"]] == ["wave-1", "wave-2"]
    wave = status["waves"][0]
    for each in fields(Snapshot):
        if each.type is int and not each.name.endswith("_us") and each.name != "revision":
            assert wave[each.name] == getattr(OPEN, each.name), each.name
    assert wave["policy"]["rate_per_s"] == 10.0
    assert wave["revision"] == 1, "the one this process goes by, not the one it has heard of"
    assert wave["waiting"] == 90
    assert wave["places_left"] == 1_000
    assert wave["opens_at"].endswith("+07:00")
    assert (wave["age_s"], wave["stale"]) == (0.0, False)


async def test_status_tells_the_age_of_what_it_tells(house: OperatorsHouse) -> None:
    house.clock_s += 2.5
    house.room("wave-2").snapshot = None
    first, second = (await house.operations.status())["waves"]
    assert (first["age_s"], first["stale"]) == (2.5, True)
    assert (second["age_s"], second["stale"], second["phase"]) == (None, True, None)
    assert "issued" not in second


async def test_status_shows_notices_to_every_operator(house: OperatorsHouse) -> None:
    house.condition.notices = ("redis.unsafe_ok is set",)
    status = await house.operations.status()
    assert status["notices"] == ("redis.unsafe_ok is set",)
    assert status["accepting"]


async def test_status_tells_the_live_processes_and_without_redis_at_least_itself(
    house: OperatorsHouse,
) -> None:
    house.processes.rows = [{"process": "serve-1"}, {"process": "serve-2"}]
    assert (await house.operations.status())["processes"] == house.processes.rows
    house.processes.rows[0]["rooms"] = {"wave-1": "what recovery builds on"}
    assert "rooms" not in (await house.operations.status())["processes"][0]
    house.processes.outage = AWAY
    (row,) = (await house.operations.status())["processes"]
    assert row == {
        "process": "serve-1",
        "pid": 7,
        "accepting": True,
        "revisions": {"wave-1": 1, "wave-2": 1},
        "shedding": {},
        "snapshot_age_s": 0.0,
        "age_s": 0.0,
    }


async def test_what_comes_in_a_second_is_told_of_all_processes_together(
    house: OperatorsHouse,
) -> None:
    assert (await house.operations.status())["traffic"] == {}, "not known yet"
    house.processes.rows = [{"process": "serve-1", "traffic": {"hits_per_s": 8.0}}] * 2
    assert (await house.operations.status())["traffic"] == {"hits_per_s": 16.0}
    house.processes.outage = AWAY
    house.condition.traffic = {"hits_per_s": 3.0}
    assert (await house.operations.status())["traffic"] == {"hits_per_s": 3.0}, "its own at least"


async def test_polls_and_kept_promises_are_those_of_all_processes_together(
    house: OperatorsHouse,
) -> None:
    def told(polls_per_s: float, made: int, kept: int) -> dict[str, Any]:
        figures = {"polls_per_s": polls_per_s, "promises_made": made, "promises_kept": kept}
        return {"process": "serve", "shares": {"wave-1": figures}}

    house.processes.rows = [
        told(100.25, 30, 27),
        told(50.0, 10, 9),
        {"process": "of another version"},
    ]
    first, second = (await house.operations.status())["waves"]
    assert (first["polls_per_s"], first["eta_honesty"]) == (150.2, 0.9)
    assert (second["polls_per_s"], second["eta_honesty"]) == (0, None)


@pytest.mark.parametrize("apart_s", [-3_600, 86_400])
async def test_a_clock_that_nobody_confirms_is_an_alarm_until_somebody_does(
    house: OperatorsHouse, apart_s: int
) -> None:
    """F-19: what was due waits meanwhile."""
    seen(house, now_us=OPEN.now_us + apart_s * 1_000_000)
    [alarm] = (await house.operations.status())["alarms"]
    assert alarm.startswith("wave-1: the clock of Redis is far from those of all processes")
    seen(house)
    assert (await house.operations.status())["alarms"] == []
