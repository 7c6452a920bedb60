"""Applicants do as their pages and habits say; bots do not."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.simulation.arrivals import LOST_S
from loadtests.applicants import fill
from loadtests.browser import Outcome
from loadtests.conduct import Household
from loadtests.steps import Answer
from tests.loadtests.told import (
    BOARD,
    CALLED,
    DRAW,
    FORM,
    PASS,
    PATIENT,
    SHED,
    THROTTLED,
    USUAL,
    WAITING,
    Told,
    person_with,
)


def waiting(**changes: Any) -> Answer:
    return Answer(200, {**WAITING, **changes})


def board(**changes: Any) -> Answer:
    return Answer(200, {**BOARD, **changes})


def test_a_patient_applicant_goes_the_whole_way() -> None:
    told = Told({"place": [waiting(), Answer(200, CALLED)]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    names = [ask.name for ask in told.asks()]
    arriving = ["home", "page", "place", "board", "join"]
    assert names == [*arriving, "place", "place", "claim", "form", "submit", "receipt"]
    assert told.told("receipt") == [
        {"event": "receipt", "person": 7, "receipt": "R", "form": fill(FORM, PATIENT)}
    ]
    assert told.told("position") == [{"event": "position", "person": 7, "number": 9, "position": 9}]
    [ending] = told.told("end")
    assert (ending["outcome"], ending["habit"]) == ("recorded", "patient")


def test_it_shows_its_ticket_and_then_its_pass() -> None:
    told = Told()
    told.lead(PATIENT)
    assert told.asks("join")[0].cookie == ""
    assert told.asks("claim")[0].cookie == "ticket.w-1=ticket-of-9"
    assert told.asks("submit")[0].cookie == "ticket.w-1=ticket-of-9; pass.w-1=p"


def test_it_asks_as_often_as_told() -> None:
    places = [waiting(poll_s=s) for s in (2.0, 4.0, 1.0)]
    told = Told({"place": [*places, Answer(200, CALLED)]})
    told.lead(PATIENT)
    for waited_s, told_s in zip(told.waits_after("place"), (2.0, 4.0, 1.0), strict=True):
        assert 0.85 * told_s <= waited_s <= 1.15 * told_s
    told = Told({"place": [*places, Answer(200, CALLED)]})
    told.lead(PATIENT, jitter=False)
    assert told.waits_after("place") == [2.0, 4.0, 1.0]


def test_far_from_the_front_it_looks_at_the_board_alone() -> None:
    far = waiting(poll_s=18.0, position=100)
    boards = [board(near=near) for near in (0, 0, 40, 100, 101)]
    told = Told({"join": [joined(100)], "place": [far, placed(100)], "board": boards})
    assert told.lead(PATIENT) is Outcome.RECORDED
    between = [ask.name for ask in told.asks("board", "place")][2:]
    assert between == ["place", "board", "board", "board", "board", "place"]


def joined(number: int) -> Answer:
    return Answer(201, {"ticket": f"ticket-of-{number}", "number": number})


def placed(position: int) -> Answer:
    return Answer(200, {**CALLED, "position": position})


def test_before_tickets_are_given_it_loads_the_page_ever_more_often() -> None:
    boards = [
        board(phase="scheduled", at=at, opens_at="2026-11-24T19:00:00.000+07:00")
        for at in ("2026-11-24T18:57:00.000+07:00", "2026-11-24T18:59:30.000+07:00")
    ]
    told = Told({"board": [*boards, board(phase="prequeue")]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert len(told.asks("home")) == 3
    often_s, oftener_s = told.waits_after("board")
    assert often_s == pytest.approx(1_200 / 15, rel=0.16)
    assert oftener_s == pytest.approx(240 / 15, rel=0.16)


def test_the_look_after_the_opening_is_the_boards_and_exactly_when_it_was_told() -> None:
    opens_at = "2026-11-24T19:00:10.000+07:00"
    before = waiting(state="prequeue", position=None, poll_s=33.25)
    boards = [board(phase="prequeue", opens_at=opens_at), board(cohort=20, near=20)]
    told = Told({"place": [before, placed(DRAW.position(9))], "board": boards})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert told.waits_after("place")[0] == 33.25
    assert [ask.name for ask in told.asks()][6:8] == ["board", "place"]


def test_a_position_other_than_the_drawn_one_is_told() -> None:
    far = waiting(state="prequeue", position=None, poll_s=120.0)
    boards = [
        board(phase="prequeue", opens_at=WAITING["at"]),
        *(board(cohort=20, near=n) for n in (0, 20)),
    ]
    wrong = placed(DRAW.position(9) + 1)
    told = Told({"place": [far, wrong], "board": boards})
    assert told.lead(PATIENT) is Outcome.FAILED


def test_a_claim_that_comes_too_early_is_repeated_about_when_told() -> None:
    early = Answer(202, {"state": "called", "retry_in_ms": 700})
    told = Told({"claim": [early, early, USUAL["claim"]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert len(told.waits_after("claim")) == 2
    assert all(0.7 * 0.85 <= waited_s <= 0.7 * 1.15 for waited_s in told.waits_after("claim"))
    [seen] = told.told("pass")
    assert seen["answered_s"] - seen["asked_s"] == pytest.approx(0.01), "the last claim's instants"


def test_what_it_was_told_of_its_wait_goes_with_its_pass() -> None:
    told = Told(
        {"place": [waiting(eta_s=None), waiting(eta_s=[10, 20]), waiting(eta_s=[0, 9]), placed(9)]}
    )
    told.lead(PATIENT)
    [seen] = told.told("pass")
    at_s, low_s, high_s = seen["told_s"]
    assert (low_s - at_s, high_s - at_s) == (10, 20), "the first range"
    assert at_s < seen["called_s"] <= seen["answered_s"]


@pytest.mark.parametrize("name", ["join", "place", "claim", "form", "submit", "receipt"])
def test_a_shed_request_is_repeated_after_its_time_and_is_no_failure(name: str) -> None:
    told = Told({name: [SHED, SHED, USUAL[name]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert told.told("surprise") == []
    waited_s = [s for s in told.waits_after(name) if s >= 3.0]
    assert len(waited_s) == 2
    assert len({json.dumps(ask.form) for ask in told.asks(name)}) == 1, "the same again"


def test_whoever_does_as_told_is_surprised_to_be_throttled_and_others_are_not() -> None:
    for habit, surprises in (("patient", 1), ("multi-device", 1), ("checker", 0), ("hammerer", 0)):
        told = Told({"place": [THROTTLED, USUAL["place"]]})
        assert told.lead(person_with(habit)) is Outcome.RECORDED
        assert len(told.told("surprise")) == surprises, habit
        assert told.waits_after("place"), habit


def test_an_answer_that_was_swallowed_is_asked_for_again_by_the_same_request() -> None:
    told = Told({"claim": [Answer(201, PASS), Answer(200, PASS)]})
    browser = person_with()
    lost = 0
    for seed in range(40):
        told = Told({"claim": [Answer(201, PASS), Answer(200, PASS)]})
        assert told.lead(replace(browser, seed=seed), loses=True) is Outcome.RECORDED
        if len(told.asks("claim")) > 1:
            lost += 1
            [seen] = told.told("pass")
            assert LOST_S[0] <= seen["answered_s"] - seen["asked_s"], "from the first try on"
            assert "called_s" not in seen, "it was not there all the time"
    assert lost


def test_a_pass_whose_first_answer_was_lost_may_have_been_issued_since_the_first_try() -> None:
    told = Told({"claim": [Answer(0), Answer(200, PASS)]})
    told.lead(PATIENT)
    [seen] = told.told("pass")
    assert seen["answered_s"] - seen["asked_s"] > 2.0


def test_an_answer_that_nobody_should_get_ends_the_way_and_is_told() -> None:
    kind = {"type": "https://x/problems/overloaded"}
    told = Told({"place": [Answer(503, kind)]})
    assert told.lead(PATIENT) is Outcome.FAILED, "a 503 without Retry-After is no shedding"
    [surprise] = told.told("surprise")
    assert (surprise["name"], surprise["status"]) == ("place", 503)
    assert surprise["what"].endswith("overloaded")


def test_silence_is_told_repeated_and_at_last_given_up() -> None:
    told = Told({"form": [Answer(0), USUAL["form"]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert len(told.told("silence")) == 1
    told = Told({"form": [Answer(0)]})
    assert told.lead(PATIENT) is Outcome.FAILED
    assert len(told.asks("form")) == 6
    assert len(told.told("surprise")) == 1


@pytest.mark.parametrize(("habit", "low_s", "high_s"), [("checker", 8, 20), ("hammerer", 0.9, 30)])
def test_who_reloads_loads_the_whole_page_and_keeps_its_ticket(
    habit: str, low_s: float, high_s: float
) -> None:
    told = Told(
        {"place": [*[waiting(poll_s=14.0)] * 8, USUAL["place"]], "page": [Answer(200, etag="e")]}
    )
    assert told.lead(person_with(habit)) is Outcome.RECORDED
    first, *again = told.asks("page")
    assert again
    assert first.etag == ""
    assert {ask.etag for ask in again} == {"e"}
    assert len(told.asks("join")) == 1
    assert all(waited_s <= high_s for waited_s in told.waits_after("place"))
    assert max(told.waits_after("place")) >= low_s


def test_who_is_refused_its_place_for_asking_too_often_sees_on_the_board_that_it_is_over() -> None:
    told = Told(
        {"place": [waiting(poll_s=60.0), THROTTLED], "board": [board(), board(phase="closed")]}
    )
    assert told.lead(person_with("hammerer")) is Outcome.CLOSED
    assert [ask.name for ask in told.asks()][-3:] == ["page", "place", "board"]


def test_a_second_device_falls_silent_once_the_person_is_served() -> None:
    household = Household()
    first, second = Told(household=household), Told({"place": [waiting()]}, household=household)
    assert first.lead(person_with("multi-device")) is Outcome.RECORDED
    assert second.lead(person_with("multi-device")) is Outcome.ELSEWHERE
    assert second.asks("join")
    assert not second.asks("claim")


def test_a_double_press_sends_the_same_form_twice() -> None:
    told = Told()
    assert told.lead(person_with(sends_twice=True)) is Outcome.RECORDED
    first, second = told.asks("submit")
    assert first.form == second.form
    assert len(told.told("receipt")) == 2


def test_a_mistake_is_refused_and_put_right() -> None:
    told = Told({"submit": [Answer(422), USUAL["submit"]]})
    person = person_with(mistake_s=2.0)
    assert told.lead(person) is Outcome.RECORDED
    wrong, right = told.asks("submit")
    assert wrong.form != right.form == fill(FORM, person)
    assert Told().lead(person) is Outcome.FAILED, "a wrong form must not be accepted"


def test_who_abandons_the_form_sends_nothing() -> None:
    told = Told()
    assert told.lead(person_with(abandons=True)) is Outcome.ABANDONED
    assert told.asks("form")
    assert not told.asks("submit")


def test_a_pass_is_extended_before_it_ends_while_the_form_is_filled_in() -> None:
    def ends(seconds: int) -> str:
        return f"1970-01-01T00:{seconds // 60:02}:{seconds % 60:02}+00:00"

    told = Told(
        {
            "claim": [Answer(201, {"pass": "p", "expires_at": ends(1_040)})],
            "extend": [Answer(200, {"expires_at": ends(1_080)})],
        }
    )
    assert told.lead(person_with(form_s=50.0)) is Outcome.RECORDED
    assert len(told.asks("extend")) == 1
    told = Told(
        {
            "claim": [Answer(201, {"pass": "p", "expires_at": ends(1_010)})],
            "extend": [Answer(200, {"expires_at": ends(1_020)}), Answer(409)],
        }
    )
    assert told.lead(person_with(form_s=50.0)) is Outcome.RECORDED
    assert len(told.asks("extend")) == 2, "no third time"


@pytest.mark.parametrize(
    ("ends_at", "outcome"),
    [("1970-01-01T00:16:45+00:00", Outcome.LATE), ("1970-01-01T01:00:00+00:00", Outcome.FAILED)],
)
def test_who_is_too_late_for_its_pass_was_told_so_and_nobody_else_is(
    ends_at: str, outcome: Outcome
) -> None:
    claimed = Answer(201, {"pass": "p", "expires_at": ends_at})
    ended = {"extend": [Answer(409)], "submit": [Answer(410)]}
    told = Told({"claim": [claimed], **ended})
    assert told.lead(person_with(form_s=60.0)) is outcome


@pytest.mark.parametrize("silently", [True, False])
def test_whose_patience_ends_leaves_before_its_turn(silently: bool) -> None:
    person = person_with(patience_s=3.0, leaves_silently=silently)
    told = Told({"place": [waiting(eta_s=None, outlook="likely")]})
    assert told.lead(person) is Outcome.LEFT
    assert 3.0 < sum(told.waits_after("place")) < 6.0
    assert [ask.method for ask in told.asks("leave")] == ([] if silently else ["DELETE"])


def test_patience_grows_with_what_is_told_and_shrinks_without_hope() -> None:
    waited_s = []
    for outlook, eta_s in (("unlikely", [10, 20]), ("likely", None), ("likely", [10, 20])):
        told = Told({"place": [waiting(eta_s=eta_s, outlook=outlook, poll_s=0.5)]})
        assert told.lead(person_with(patience_s=20.0)) is Outcome.LEFT
        waited_s.append(sum(told.waits_after("place")))
    assert waited_s == pytest.approx([6, 20, 30], abs=1.0)


def test_who_was_away_comes_back_to_its_place_and_is_no_witness() -> None:
    person = person_with(away_after_s=1.0, away_s=60.0)
    told = Told({"place": [waiting(), placed(9)]})
    assert told.lead(person) is Outcome.RECORDED
    assert told.now_s > 1_060
    assert "called_s" not in told.told("pass")[0]
    missed = Told({"place": [waiting(), waiting(state="missed"), placed(9)]})
    assert missed.lead(person) is Outcome.RECORDED
    assert len(missed.asks("join")) == 2
    assert Told({"place": [waiting(state="missed")]}).lead(PATIENT) is Outcome.FAILED


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"board": [board(phase="full")]}, Outcome.FULL),
        ({"place": [waiting(state="full")]}, Outcome.FULL),
        ({"place": [waiting(state="closed")]}, Outcome.CLOSED),
        ({"claim": [Answer(202, {"state": "closed", "retry_in_ms": 1_000})]}, Outcome.CLOSED),
        ({"join": [Answer(409)], "board": [board(), board(phase="full")]}, Outcome.FULL),
    ],
)
def test_who_finds_the_wave_full_or_closed_is_turned_away(
    answers: dict[str, list[Answer]], outcome: Outcome
) -> None:
    assert Told(answers).lead(PATIENT) is outcome


def test_some_look_again_twice_when_they_are_turned_away() -> None:
    told = Told({"place": [waiting(state="full")]})
    assert told.lead(person_with(looks_again=True)) is Outcome.FULL
    assert len(told.asks("page")) == 3


def test_a_receipt_is_looked_at_until_it_is_recorded() -> None:
    received = Answer(200, {"state": "received"})
    told = Told({"receipt": [received, received, USUAL["receipt"]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert len(told.asks("receipt")) == 3
    rejected = Told({"receipt": [Answer(200, {"state": "rejected"})]})
    assert rejected.lead(PATIENT) is Outcome.FAILED


# --- bots ----------------------------------------------------------------------------------------------

BOT = person_with("bot")


def test_a_bot_takes_four_tickets_and_registers_its_person_with_each() -> None:
    told = Told({"submit": [USUAL["submit"], USUAL["submit"], Answer(409)]})
    assert told.lead(BOT) is Outcome.BOT
    assert [ask.cookie for ask in told.asks("join")] == [""] * 4
    forms = [ask.form for ask in told.asks("submit")]
    assert len(forms) == 4
    assert {form["nik"] for form in forms if form} == {fill(FORM, BOT)["nik"]}
    assert len({json.dumps(form) for form in forms}) == 2, "other words for the same person"
    assert len(told.told("receipt")) == 2


def test_a_bot_asks_four_times_a_second_whatever_it_is_told() -> None:
    places = [SHED, THROTTLED, Answer(0), *[waiting(poll_s=60.0)] * 90, waiting(state="full")]
    told = Told({"place": places})
    assert told.lead(BOT) is Outcome.BOT
    assert set(told.waits_after("place")) == {0.25}
    assert told.told("surprise") == []


def test_a_forged_ticket_that_is_honoured_is_told() -> None:
    told = Told({"place": [*[waiting()] * 100, waiting(state="full")]}, verifies=False)
    assert told.lead(BOT) is Outcome.BOT
    shown = {ask.cookie for ask in told.asks("place")}
    assert len(shown) == 2, "its own, and one that it has made up"
    assert told.told("surprise"), "this gateway takes anything"


@pytest.mark.parametrize("kind", ["wave-full", "wave-closed"])
def test_a_bot_gives_up_only_when_there_is_nothing_left(kind: str) -> None:
    early = Answer(409, {"type": "https://x/problems/wave-not-open"})
    over = Answer(409, {"type": f"https://x/problems/{kind}"})
    told = Told({"join": [early, early, over]})
    assert told.lead(BOT) is Outcome.BOT
    assert len(told.asks("join")) == 3
