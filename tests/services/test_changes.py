"""How policies are changed, without HTTP: in whole or not at all, confirmed, timed, undone, audited."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.policy import Policy
from gateway.core.policy_change import RUNNING, Severe, Unknown
from gateway.core.snapshot import Phase
from gateway.ports import OutcomeUnknownError, PolicyRevision, PortUnavailableError, Stale
from gateway.services.changes import PolicyChange, Refusal, Unconfirmed, Unexplained, Wish
from gateway.services.overview import overview
from gateway.services.plans import key_figures
from gateway.services.records import By
from tests.operations_house import NOW_US, OPEN, OperatorsHouse

AWAY = PortUnavailableError("away")
RINA = By("rina", "store fine", "10.0.0.7")


@pytest.fixture
def house() -> OperatorsHouse:
    return OperatorsHouse()


async def change(
    house: OperatorsHouse,
    revision: int = 1,
    *,
    dry_run: bool = False,
    confirm: str | None = None,
    for_s: int | None = None,
    **fields: Any,
) -> PolicyChange | Refusal:
    """Change fields of a wave; unless said otherwise, every value is repeated."""
    repeated = ",".join(map(str, fields.values())) if confirm is None else confirm
    wish = Wish(fields, repeated, for_s, dry_run)
    return await house.desk.change(house.room(), revision, wish, RINA)


async def test_a_change_is_made_with_its_audit_record_in_one_step(house: OperatorsHouse) -> None:
    planned = await change(house, rate_per_s=25, burst=5, dry_run=True)
    done = await change(house, rate_per_s=25, burst=5)
    assert isinstance(planned, PolicyChange)
    assert isinstance(done, PolicyChange)
    assert done.revision == 2
    assert done.changes == {"rate_per_s": (10.0, 25.0), "burst": (10, 5)}
    assert (await house.desk.read(house.room())).policy.rate_per_s == 25
    assert await house.desk.audit() == [
        {
            "id": "1-0",
            "wave": "wave-1",
            "revision": 2,
            "at": "2020-04-11T16:00:00.000+07:00",
            "who": "rina",
            "origin": "10.0.0.7",
            "reason": "store fine",
            "changes": {
                "rate_per_s": {"before": 10.0, "after": 25.0},
                "burst": {"before": 10, "after": 5},
            },
            "plan": json.loads(json.dumps(key_figures(planned.plan))),
        }
    ]


async def test_an_old_revision_changes_nothing_and_is_told_the_one_in_force(
    house: OperatorsHouse,
) -> None:
    await change(house, rate_per_s=25)
    assert await change(house, rate_per_s=99) == Stale(2)
    assert (await house.desk.read(house.room())).policy.rate_per_s == 25
    assert len(await house.desk.audit()) == 1


async def test_somebody_faster_between_reading_and_writing_wins(house: OperatorsHouse) -> None:
    house.policies.faster = 1
    assert await change(house, rate_per_s=25) == Stale(2)
    assert await house.desk.audit() == []


async def test_all_violations_are_told_at_once_and_nothing_is_changed(
    house: OperatorsHouse,
) -> None:
    violations = await change(house, rate_per_s=-1, burst="x", quotas=1)
    assert isinstance(violations, tuple)
    assert {violation.pointer for violation in violations} == {"/rate_per_s", "/burst", "/quotas"}
    assert (await house.desk.read(house.room())).revision == 1
    assert await house.desk.audit() == []


async def test_a_dry_run_tells_what_would_be_and_does_nothing(house: OperatorsHouse) -> None:
    plan = await change(house, dry_run=True, paused=True)
    assert isinstance(plan, PolicyChange)
    assert (plan.revision, plan.policy) == (1, replace(Policy(), paused=True))
    assert plan.changes == {"paused": (False, True)}
    assert (await house.desk.read(house.room())).revision == 1
    assert await house.desk.audit() == []
    assert isinstance(await change(house, dry_run=True, rate_per_s=0), tuple)
    assert await change(house, 7, dry_run=True, paused=True) == Stale(1)


async def test_a_change_to_what_is_already_so_makes_no_revision(house: OperatorsHouse) -> None:
    assert await change(house, paused=False) == PolicyChange(1, Policy(), {})
    assert await house.desk.audit() == []


async def test_each_wave_has_a_policy_of_its_own_and_audits_are_told_newest_first(
    house: OperatorsHouse,
) -> None:
    await change(house, quota=5)
    await change(house, 2, quota=6)
    other = house.room("wave-2")
    await house.desk.change(other, 1, Wish({"quota": 7}, "7"), By("budi", "x"))
    assert (await house.desk.read(house.room())).policy.quota == 6
    assert (await house.desk.read(other)).policy.quota == 7
    revisions = [(record["wave"], record["revision"]) for record in await house.desk.audit()]
    assert revisions[0] == ("wave-1", 3)
    assert sorted(revisions) == [("wave-1", 2), ("wave-1", 3), ("wave-2", 2)]
    assert [record["who"] for record in await house.desk.audit(other)] == ["budi"]


@pytest.mark.parametrize("outage", [AWAY, OutcomeUnknownError("no answer")])
async def test_an_outage_passes_through_a_change(
    house: OperatorsHouse, outage: PortUnavailableError
) -> None:
    house.policies.outage = outage
    with pytest.raises(type(outage)):
        await change(house, paused=True)


async def test_a_severe_step_is_refused_until_its_value_is_repeated(house: OperatorsHouse) -> None:
    for confirm in ("", "24", "x", "nan", "25.5,24"):
        refused = await change(house, rate_per_s=25, confirm=confirm)
        assert isinstance(refused, Unconfirmed)
        assert [(step.name, step.value) for step in refused.steps] == [("rate_per_s", 25)]
    assert not house.policies.records
    assert isinstance(await change(house, rate_per_s=25, confirm="7, 25.0"), PolicyChange)
    assert isinstance(await change(house, 2, rate_per_s=37.5, confirm=""), PolicyChange)  # by half


async def test_more_than_the_store_has_shown_is_severe_however_small_the_step(
    house: OperatorsHouse,
) -> None:
    house.processes.rows = [
        {"process": "deliver-1", "delivery": {"capacity_per_s": 5.0}},
        {"process": "deliver-2", "delivery": {"capacity_per_s": 3.0}},
        {"process": "deliver-3", "delivery": {"capacity_per_s": None}},
    ]
    refused = await change(house, rate_per_s=11, confirm="")
    assert isinstance(refused, Unconfirmed)
    assert refused.steps == (
        Severe("rate_per_s", 11.0, "1.4 times what the store has shown (8/s)"),
    )


async def test_before_anybody_is_there_no_step_is_severe(house: OperatorsHouse) -> None:
    house.room().observe(replace(OPEN, phase=Phase.SCHEDULED))
    assert isinstance(await change(house, rate_per_s=900, quota=5, confirm=""), PolicyChange)


async def test_a_timed_change_goes_back_by_itself_and_only_then(house: OperatorsHouse) -> None:
    timed = await change(house, rate_per_s=20, burst=20, for_s=900)
    assert isinstance(timed, PolicyChange)
    assert timed.timer is not None
    assert timed.timer.until_us == NOW_US + 900_000_000
    await house.adopt()
    house.advance(899)
    await house.steward.look(house.room())
    assert (await house.desk.read(house.room())).revision == 2
    house.advance(2)
    await house.steward.look(house.room())
    read = await house.desk.read(house.room())
    assert (read.revision, read.policy, read.timer) == (3, Policy(), None)
    back, _ = await house.desk.audit()
    assert (back["did"], back["who"], back["origin"]) == ("timer", "rina", "timer")
    assert back["changes"]["rate_per_s"] == {"before": 20.0, "after": 10.0}


async def test_of_two_processes_that_see_a_timer_run_out_one_carries_it_out(
    house: OperatorsHouse,
) -> None:
    await change(house, rate_per_s=14, for_s=60)
    await house.adopt()
    house.advance(61)
    timer = house.room().timer
    await house.steward.look(house.room())
    house.room().timer = timer  # another process has not seen it yet
    await house.steward.look(house.room())
    assert [record["did"] for record in house.made() if "did" in record] == ["timer"]


async def test_what_is_changed_for_good_meanwhile_stays(house: OperatorsHouse) -> None:
    await change(house, rate_per_s=14, form_cap=1_400, for_s=60)
    await change(house, 2, form_cap=1_300)
    await house.adopt()
    house.advance(61)
    await house.steward.look(house.room())
    policy = (await house.desk.read(house.room())).policy
    assert (policy.rate_per_s, policy.form_cap) == (10.0, 1_300)


async def test_a_second_timed_change_goes_back_to_before_the_first(house: OperatorsHouse) -> None:
    await change(house, rate_per_s=14, for_s=60)
    again = await change(house, 2, rate_per_s=16, for_s=600)
    assert isinstance(again, PolicyChange)
    assert again.timer is not None
    assert again.timer.fields == {"rate_per_s": 10.0}
    assert again.timer.until_us == NOW_US + 600_000_000


async def test_wanting_for_good_what_a_timer_holds_ends_the_timer(house: OperatorsHouse) -> None:
    await change(house, rate_per_s=14, for_s=60)
    kept = await change(house, 2, rate_per_s=14)
    assert isinstance(kept, PolicyChange)
    assert (kept.revision, kept.timer, kept.policy.rate_per_s) == (3, None, 14)


async def test_what_goes_back_is_valid_beside_what_was_changed_meanwhile(
    house: OperatorsHouse,
) -> None:
    await change(house, rate_per_s=40, for_s=60)
    await change(house, 2, burst=40, floor_per_s=30.0)
    await house.adopt()
    house.advance(61)
    await house.steward.look(house.room())
    policy = (await house.desk.read(house.room())).policy
    assert (policy.rate_per_s, policy.burst, policy.floor_per_s) == (10.0, 10, 10.0)


CLOSES = "2020-04-11T17:30:00+07:00"  # half an hour later than the programme says


async def test_a_closing_is_moved_by_whoever_names_the_wave_and_every_document_says_so(
    house: OperatorsHouse,
) -> None:
    assert isinstance(await change(house, closes_at=CLOSES), Unconfirmed)
    moved = await change(house, closes_at=CLOSES, confirm="wave-1")
    assert isinstance(moved, PolicyChange)
    await house.adopt()
    assert overview(house.room())["closes_at"] == "2020-04-11T17:30:00.000+07:00"
    back = await undo(house, 2, 1)
    assert isinstance(back, PolicyChange)
    assert back.policy.closes_at == ""


async def test_what_has_closed_stays_closed_and_no_closing_comes_back_by_itself(
    house: OperatorsHouse,
) -> None:
    timed = await change(house, closes_at=CLOSES, confirm="wave-1", for_s=60)
    assert isinstance(timed, tuple)
    assert [each.code for each in timed] == ["closing"]
    now = await change(house, closes_at="2020-04-11T16:00:00+07:00", confirm="wave-1")
    assert isinstance(now, PolicyChange)
    await house.adopt()
    for answer in (
        await change(house, 2, closes_at=CLOSES, confirm="wave-1"),
        await undo(house, 2, 1),
    ):
        assert isinstance(answer, tuple)
        assert "the wave has closed" in answer[0].detail
    assert isinstance(await change(house, 2, message="thank you"), PolicyChange)


async def test_no_closing_is_moved_by_a_clock_that_nobody_confirms(house: OperatorsHouse) -> None:
    """F-19: a day ahead, "now" is tomorrow, and a wave that is open would be said to have closed."""
    seen = house.room().current()
    house.room().observe(replace(seen, now_us=seen.now_us + 86_400_000_000))
    answer = await change(house, closes_at=CLOSES, confirm="wave-1")
    assert isinstance(answer, tuple)
    assert [each.detail for each in answer] == ["must wait: the clock of Redis is not confirmed"]
    assert isinstance(await change(house, rate_per_s=11), PolicyChange)


async def test_a_plan_to_close_now_says_that_it_is_for_good(house: OperatorsHouse) -> None:
    done = await change(house, closes_at="2020-04-11T16:00:00+07:00", dry_run=True)
    assert isinstance(done, PolicyChange)
    assert "the wave closes at once, and for good" in done.plan["warnings"]
    later = await change(house, closes_at=CLOSES, dry_run=True)
    assert isinstance(later, PolicyChange)
    assert "the wave closes at once, and for good" not in later.plan["warnings"]


async def undo(
    house: OperatorsHouse, revision: int, to: int, *, dry_run: bool = False
) -> PolicyChange | Refusal | Unknown:
    return await house.desk.undo(house.room(), revision, to, RINA, dry_run=dry_run)


async def test_undo_goes_back_to_any_earlier_revision_and_can_itself_be_undone(
    house: OperatorsHouse,
) -> None:
    await change(house, rate_per_s=14)
    await change(house, 2, form_cap=1_200, paused=True)
    await change(house, 3, rate_per_s=17)
    back = await undo(house, 4, 2)
    assert isinstance(back, PolicyChange)
    assert (back.revision, back.policy) == (5, replace(Policy(), rate_per_s=14.0))
    assert (await house.desk.audit())[0]["did"] == "undo to 2"
    assert isinstance(await undo(house, 5, 1), PolicyChange)
    assert (await house.desk.read(house.room())).policy == Policy()
    again = await undo(house, 6, 5)
    assert isinstance(again, PolicyChange)
    assert again.policy.rate_per_s == 14


async def test_undo_needs_no_confirmation_and_a_plan_of_it_changes_nothing(
    house: OperatorsHouse,
) -> None:
    await change(house, rate_per_s=1_000)
    plan = await undo(house, 2, 1, dry_run=True)
    assert isinstance(plan, PolicyChange)
    assert plan.changes == {"rate_per_s": (1_000.0, 10.0)}
    assert plan.plan["after"]["form_cap_needed"] == 1_800  # of ten a second, three minutes each
    assert (await house.desk.read(house.room())).revision == 2
    done = await undo(house, 2, 1)
    assert isinstance(done, PolicyChange)
    assert done.revision == 3


async def test_undo_says_where_the_records_end(house: OperatorsHouse) -> None:
    await change(house, rate_per_s=14)
    house.policies.faster = 1
    await change(house, 2, rate_per_s=15)  # somebody else's revision 3, of which there is no record
    await change(house, 3, rate_per_s=16)
    assert await undo(house, 4, 1) == Unknown(3)
    assert await undo(house, 3, 2) == Stale(4)


async def test_refusals_do_not_stand_in_the_way_of_undo(house: OperatorsHouse) -> None:
    await change(house, rate_per_s=14)
    await house.desk.refused(
        house.room().wave, RINA, "PUT", "confirmation-missing", {"quota": (1, 9)}
    )
    back = await undo(house, 2, 1)
    assert isinstance(back, PolicyChange)
    assert back.policy == Policy()


async def test_every_record_is_chained_to_the_one_before_so_that_an_edit_and_a_gap_show(
    house: OperatorsHouse,
) -> None:
    for revision, rate in enumerate((11, 12, 13, 14), 1):
        await change(house, revision, rate_per_s=rate)
    records = house.policies.records["wave-1"]
    assert (await house.desk.chains())["wave-1"]["broken_at"] is None
    kept = dict(records[2])
    records[2]["who"] = "nobody"
    assert (await house.desk.chains())["wave-1"]["broken_at"] == 2
    records[2] = kept
    del records[1]
    assert (await house.desk.chains())["wave-1"]["broken_at"] == 3


async def test_what_came_of_a_change_is_noted_once_after_five_minutes(
    house: OperatorsHouse,
) -> None:
    for second in range(70):
        house.see_at(second - 70, admitted=10 * second, accepted=5 * second)
        await house.steward.look(house.room())
    await change(house, rate_per_s=14)
    await house.adopt()
    house.room().changed_at_us = NOW_US
    for second in range(310):
        house.see_at(second, admitted=700 + 14 * second, accepted=350 + 7 * second)
        await house.steward.look(house.room())
    (result,) = [record for record in await house.desk.audit() if record.get("did") == "result"]
    assert (result["revision"], result["who"]) == (2, "gateway")
    assert result["result"]["before"]["admitted_per_s"] == 10
    assert result["result"]["after"]["registered_per_s"] == 7


async def test_a_plan_tells_waits_polls_and_store_load_before_and_after(
    house: OperatorsHouse,
) -> None:
    house.room().observe(
        replace(OPEN, issued=60_000, called=1_000, near=1_200, admitted=1_000, accepted=900,
                outstanding=0, form_us=900 * 120_000_000, rate_milli_per_s=10_000)
    )  # fmt: skip
    house.policies.held["wave-1"] = PolicyRevision(1, Policy(form_cap=3_400, quota=60_000))
    done = await change(house, dry_run=True, rate_per_s=20, quota=50_000)
    assert isinstance(done, PolicyChange)
    now, after = done.plan["now"], done.plan["after"]
    assert now["last_s"][1] > 1.9 * after["last_s"][1] > 0
    assert after["median_s"][1] < after["last_s"][1]
    assert (now["store_per_s"], after["store_per_s"]) == (pytest.approx(9), pytest.approx(18))
    assert after["polls_per_s"] > now["polls_per_s"] > 0
    assert (now["full_at"], after["full_at"] is None) == (None, False)
    assert done.plan["warnings"] == []
    assert [step.name for step in done.steps] == ["rate_per_s", "quota"]
    held = await change(house, dry_run=True, rate_per_s=25)
    assert isinstance(held, PolicyChange)
    (warning,) = held.plan["warnings"]
    assert warning == (
        "the form cap of 3,400 would hold the rate at 20.2/s; form_cap=4200 would not"
    )


async def test_a_plan_to_pause_says_that_no_time_could_be_told(house: OperatorsHouse) -> None:
    done = await change(house, dry_run=True, paused=True)
    assert isinstance(done, PolicyChange)
    assert done.plan["after"]["last_s"] is None
    assert done.plan["after"]["held_by"] == "paused"
    assert "nobody would be let in: no time could be told" in done.plan["warnings"]


@pytest.mark.parametrize("phase", sorted(RUNNING))
async def test_while_people_are_in_the_room_a_change_says_why_and_going_on_does_not_need_to(
    house: OperatorsHouse, phase: Phase
) -> None:
    house.room().observe(replace(OPEN, phase=phase))
    mute = By("rina")
    wanted = Wish({"paused": True, "message": "Sabar"})
    answer = await house.desk.change(house.room(), 1, wanted, mute)
    assert answer == Unexplained(phase, {"paused": (False, True), "message": ("", "Sabar")})
    assert not house.made()
    plan = await house.desk.change(house.room(), 1, replace(wanted, dry_run=True), mute)
    assert isinstance(plan, PolicyChange), "a plan changes nothing"
    assert isinstance(await change(house, paused=True, message="Sabar"), PolicyChange)
    assert await house.desk.undo(house.room(), 2, 1, By("rina")) != answer, "it goes on"
    assert isinstance(await change(house, 3, rate_per_s=14), PolicyChange)
    assert isinstance(await house.desk.undo(house.room(), 4, 3, mute), Unexplained)
    house.room().observe(replace(OPEN, phase=Phase.SCHEDULED))
    assert isinstance(await house.desk.undo(house.room(), 4, 3, mute), PolicyChange)
