"""Who is due is taken in order, and led from wait to wait."""

import random
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest

from loadtests.couriers import Diary, Life, carry, lives_of
from loadtests.scenario import Scenario
from loadtests.steps import Answer, Ask, Step, Wait, Way
from tests.loadtests.told import SEED, SMOKE, USUAL, person_with

RESTED = Answer(0)


def traveller(way: Way, pass_: str = "") -> Any:
    return SimpleNamespace(person=person_with(), pass_=pass_, live=lambda: way)


def test_whoever_is_due_is_taken_the_longest_due_first_and_nobody_before() -> None:
    dice, diary = random.Random(SEED), Diary()
    due_s = [dice.uniform(0, 100) for _ in range(500)]
    lives = {each: Life(traveller(_waiting())) for each in due_s}
    for each, life in lives.items():
        diary.add(each, life)
    taken = list(diary.take(50.0))
    assert taken == [(each, lives[each]) for each in sorted(due_s) if each <= 50.0]
    assert len(diary) == sum(each > 50.0 for each in due_s)
    assert list(diary.take(50.0)) == []


def _waiting() -> Way:
    yield Wait(1.0)
    return "over"


def test_lives_that_are_due_together_are_taken_as_they_were_added() -> None:
    diary = Diary()
    lives = [Life(traveller(_waiting())) for _ in range(20)]
    for life in lives:
        diary.add(1.0, life)
    assert [life for _, life in diary.take(1.0)] == lives


def _page() -> Generator[Step, Answer, str]:
    yield Ask("page", "GET", "/", (200,))
    rested = yield Wait(3.0)
    assert rested is RESTED
    yield Ask("board", "GET", "/b", (200,))
    yield Ask("place", "GET", "/p", (200,))
    return "over"


def test_a_life_is_carried_to_its_next_wait_and_to_its_end() -> None:
    asked: list[str] = []

    def ask(each: Ask) -> Answer:
        asked.append(each.name)
        return USUAL[each.name]

    life = Life(traveller(_page()))
    assert carry(life, ask, RESTED) == 3.0
    assert asked == ["page"]
    assert carry(life, ask, RESTED) is None
    assert asked == ["page", "board", "place"]


def test_who_was_told_to_look_again_later_waits_at_the_end_unless_it_was_admitted() -> None:
    diary = Diary()
    diary.add(1.0, Life(traveller(_waiting())))  # late
    diary.add(9.0, Life(traveller(_waiting())))
    diary.add(9.0, Life(traveller(_waiting(), pass_="p")))
    diary.add(9.0, lambda: Life(traveller(_waiting())))  # has not come yet
    assert diary.waiting(5.0) == 1


def test_every_device_has_a_life_of_its_own_and_a_bot_has_one() -> None:
    counts = {"patient": 1, "multi-device": 2, "bot": 1}
    for habit, count in counts.items():
        person = person_with(habit)
        begun = lives_of(person, SMOKE, "w", lambda _: None, host_cookies=False)
        behind_s = [arrives_s - person.arrives_s for arrives_s, _ in begun]
        assert behind_s == pytest.approx([0.0, 5.0][:count])
        for _, begin in begun:
            assert begin().habit == habit


def test_flat_hits_are_exactly_as_many_as_the_table_says_and_nobody_joins() -> None:
    scenario = Scenario("flat-hits", people=2_000)
    profile = scenario.profile
    assert 2 * profile.looks * profile.people() == 1_300_000
    [(_, begin)] = lives_of(person_with(), scenario, "w", lambda _: None, host_cookies=False)
    life, asked, waited_s = begin(), [], 0.0

    def ask(each: Ask) -> Answer:
        asked.append(each.name)
        return USUAL[each.name]

    while (wait_s := carry(life, ask, RESTED)) is not None:
        waited_s += wait_s
    assert asked == ["page", "board"] * profile.looks
    assert waited_s == pytest.approx(profile.open_s)


def test_behind_tls_tickets_go_by_the_name_that_only_the_browser_can_set() -> None:
    [(_, begin)] = lives_of(person_with(), SMOKE, "w", lambda _: None, host_cookies=True)
    life = begin()
    cookies: list[str] = []

    def ask(each: Ask) -> Answer:
        cookies.append(each.cookie)
        return Answer(401) if each.name == "place" and not each.cookie else USUAL[each.name]

    while not any(cookies):
        carry(life, ask, RESTED)
    assert next(filter(None, cookies)) == "__Host-ticket.w=ticket-of-9"
