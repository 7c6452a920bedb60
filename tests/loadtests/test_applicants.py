"""Who comes: the same seed is the same crowd, and every form can be filled in."""

import argparse
import random
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.form import check, json_schema
from gateway.core.nik import is_nik
from gateway.programmes import load_programmes
from gateway.simulation.arrivals import HABITS, SENT
from loadtests import system
from loadtests.applicants import fill, make_person, nik_of, spoil
from loadtests.couriers import crowd
from loadtests.evidence import Terms
from loadtests.scenario import Bots, Scenario, add_arguments, scenario_of
from tests.loadtests.told import KINDS, SEED, SMOKE, field_of

MANY = replace(SMOKE, people=20_000)


def test_the_same_seed_is_the_same_crowd() -> None:
    people = [make_person(SMOKE, n) for n in range(50)]
    assert people == [make_person(SMOKE, n) for n in range(50)]
    assert people != [make_person(replace(SMOKE, seed=SEED + 1), n) for n in range(50)]


def test_every_person_has_a_well_formed_nik_of_its_own() -> None:
    ids = [*range(3_000), *random.Random(SEED).sample(range(9_000_000), 3_000)]
    niks = {n: nik_of(make_person(SMOKE, n)) for n in ids}
    assert all(is_nik(nik) for nik in niks.values())
    assert len(set(niks.values())) == len(niks)


def test_a_filled_form_is_accepted_as_it_stands_and_one_with_a_mistake_is_refused() -> None:
    dice = random.Random(SEED)
    for n in range(300):
        fields = [field_of(kind, dice) for kind in KINDS]
        person = make_person(SMOKE, n)
        schema = json_schema(fields, "id")
        values = fill(schema, person)
        assert check(fields, values) == values, (
            "what is recorded can be compared with what was sent"
        )
        assert isinstance(check(fields, spoil(schema, values, person)), tuple)


def test_the_forms_of_all_our_programmes_can_be_filled_in(tmp_path: Path) -> None:
    own = tmp_path / "programme.toml"
    own.write_text(system.programme(Terms(10, 5.0, 1, 10, prequeue_s=2.4), opens_s=8.0))
    files = sorted(str(path) for path in Path("config/programmes").glob("*.toml"))
    for programme in load_programmes((*files, str(own))):
        for n in range(20):
            values = fill(json_schema(programme.fields, "en"), make_person(SMOKE, n))
            assert check(programme.fields, values) == values


@pytest.mark.parametrize("name", SENT)
def test_people_come_as_the_profile_says(name: str) -> None:
    profile = SENT[name]
    come_s = sorted(each.arrives_s for each in crowd(replace(MANY, name=name), 0, 1))
    assert come_s[0] >= -profile.early_s
    assert come_s[-1] <= profile.open_s
    marks_s = (-2 * profile.doubling_s, -profile.doubling_s, 0.0, 0.1, 0.5, 0.95)
    for mark_s in marks_s:
        at_s = mark_s if mark_s <= 0 else mark_s * profile.open_s
        share = profile.people(at_s) / profile.people()
        assert sum(s <= at_s for s in come_s) / len(come_s) == pytest.approx(share, abs=0.015)


def test_habits_have_their_shares_whoever_hammers_more() -> None:
    for scenario in (MANY, replace(MANY, hammer=3.0)):
        people = list(crowd(scenario, 0, 1))
        assert sum(scenario.shares.values()) == pytest.approx(1)
        for habit, share in scenario.shares.items():
            having = sum(each.habit == habit for each in people)
            assert having / len(people) == pytest.approx(share, abs=0.015)
    assert scenario.shares["hammerer"] == pytest.approx(3 * HABITS["hammerer"].share)


def test_bots_can_come_in_a_stretch_of_time() -> None:
    people = list(crowd(replace(MANY, bots=Bots(0.5, 0.0, 10.0)), 0, 1))
    inside = [each.is_bot for each in people if 0 <= each.arrives_s < 10]
    outside = [each.is_bot for each in people if not 0 <= each.arrives_s < 10]
    assert sum(inside) / len(inside) == pytest.approx(0.515, abs=0.03)
    assert sum(outside) / len(outside) == pytest.approx(0.03, abs=0.01)


def test_processes_share_the_people_out() -> None:
    ids = [{each.id for each in crowd(SMOKE, index, 3)} for index in range(3)]
    assert set.union(*ids) == set(range(SMOKE.people))
    assert sum(map(len, ids)) == SMOKE.people


@pytest.mark.parametrize(
    "scenario",
    [
        SMOKE,
        replace(SMOKE, hammer=2.5, jitter=False),
        replace(SMOKE, name="launch-1200", bots=Bots(0.5, -10.0, 60.0)),
    ],
)
def test_a_scenario_survives_the_command_line(scenario: Scenario) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, "--crowd", profile="smoke")
    assert scenario_of(parser.parse_args(scenario.arguments())) == scenario


def test_stages_follow_each_other() -> None:
    profile = SMOKE.profile
    instants_s = (-profile.early_s, -1.0, 0.0, 20.0, profile.open_s - 1, profile.open_s)
    stages = ["scheduled", "prequeue", "spike", "crowd", "deadline", "closed"]
    assert [SMOKE.stage(at_s) for at_s in instants_s] == stages


def test_a_launch_day_of_all_its_people_has_to_send_what_the_table_says() -> None:
    assert Scenario("launch-1200", people=12_500).requests_min == 1_300_000
    assert Scenario("launch-1200", people=1_600).requests_min == 0
    assert Scenario("smoke", people=2_000).requests_min == 0
