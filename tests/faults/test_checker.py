"""The checker finds each broken promise in a history that shows it, and nothing in one that does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checker import AGAIN_S_MAX, broken
from tests.faults.history import UNKNOWN, Event, History, Remains, Row
from tests.faults.schedules import Fault, Kind, Schedule, Terms

TERMS = Terms(applicants=3, quota=3, rate_per_s=1.0, burst=1, pass_ttl_s=60)


def event(applicant: int, action: str, sent_s: float, status: int, **document: Any) -> Event:
    form = {"nik": str(applicant), "name": "a"} if action == "register" else None
    return Event(applicant, action, sent_s, sent_s + 0.1, status, document, form)


def sound() -> History:
    """Return a history in which every promise was kept: three people, one after the other."""
    history = History(Schedule(0, TERMS, (Fault(1.0, Kind.KILL_SERVE, 0, 1.0),)))
    for one in range(3):
        ticket, receipt, at_s = f"t{one}", f"R{one}", 2.0 * one
        history.events += [
            event(one, "join", at_s, 201, number=one, ticket=ticket),
            event(one, "join", at_s + 0.2, 200, number=one, ticket=ticket),
            event(one, "place", at_s + 0.4, 200, number=one, position=one),
            event(one, "claim", at_s + 0.6, UNKNOWN),
            event(one, "claim", at_s + 0.8, 200, **{"pass": f"p{one}"}),
            event(one, "register", at_s + 1.0, UNKNOWN),
            event(one, "register", at_s + 1.2, 201, receipt=receipt),
            event(one, "register", at_s + 1.4, 201, receipt=receipt),
        ]
        history.ends[one] = "registered"
    rows = [Row(f"R{one}", bytes([one]), {"nik": str(one), "name": "a"}) for one in range(3)]
    receipts = {row.receipt: "recorded" for row in rows}
    history.remains = Remains(rows, receipts, room={"accepted": 3, "cohort": 0, "missing": 0})
    history.healed_s, history.accepted_again_s, history.rested = 7.0, 8.0, True
    return history


def test_a_history_in_which_all_was_kept_is_not_complained_of() -> None:
    assert broken(sound()) == []


def remains(history: History, **changes: Any) -> None:
    history.remains = replace(history.remains, **changes)


def rows_without_the_last(history: History) -> None:
    remains(history, rows=history.remains.rows[:-1])


def a_row_twice(history: History) -> None:
    remains(history, rows=[*history.remains.rows, history.remains.rows[0]])


def dead_for_no_reason(history: History) -> None:
    rows_without_the_last(history)
    remains(history, dead={"R2": ""})


def a_loss_reported_that_was_none(history: History) -> None:
    remains(history, room={**history.remains.room, "missing": 1})


def a_loss_that_was_not_reported(history: History) -> None:
    rows_without_the_last(history)
    history.schedule = replace(history.schedule, faults=(Fault(1.0, Kind.EMPTIED, 0, 0.0),))


def another_receipt(history: History) -> None:
    history.events.append(event(0, "register", 9.0, 201, receipt="R9"))


def refused_after_acceptance(history: History) -> None:
    history.events.append(event(0, "register", 9.0, 409, type="x/pass-used"))


def accepted_and_nowhere(history: History) -> None:
    remains(history, receipts={**history.remains.receipts, "R9": "received"})


def another_form(history: History) -> None:
    row = replace(history.remains.rows[0], payload={"nik": "0", "name": "b"})
    remains(history, rows=[row, *history.remains.rows[1:]])


def one_person_twice(history: History) -> None:
    row = replace(history.remains.rows[0], receipt="R9")
    remains(
        history,
        rows=[*history.remains.rows, row],
        receipts={**history.remains.receipts, "R9": "recorded"},
    )


def above_the_quota(history: History) -> None:
    terms = replace(history.schedule.terms, quota=2)
    history.schedule = replace(history.schedule, terms=terms)


def too_many_passes(history: History) -> None:
    history.events += [
        event(4 + n, "claim", 8.0, 201, **{"pass": f"more{n}"}) for n in range(3)
    ]  # fmt: skip


def one_number_for_two(history: History) -> None:
    history.events.append(event(5, "join", 9.0, 201, number=1, ticket="t9"))


def the_later_one_in_front(history: History) -> None:
    history.remains = replace(history.remains, room={**history.remains.room, "cohort": -9})
    history.events.append(event(5, "join", 9.0, 201, number=-1, ticket="t9"))


def a_place_that_moved(history: History) -> None:
    history.events.append(event(0, "place", 9.0, 200, number=0, position=7))


def another_ticket(history: History) -> None:
    history.events.append(event(0, "join", 9.0, 200, number=9, ticket="t9"))


def a_server_error(history: History) -> None:
    history.events.append(event(0, "place", 9.0, 500, type="x/internal"))


def nobody_served_again(history: History) -> None:
    history.accepted_again_s = history.healed_s + AGAIN_S_MAX + 1


def a_backlog_that_stays(history: History) -> None:
    history.rested = False


def a_pass_ended_by_the_clock(history: History) -> None:
    history.schedule = replace(history.schedule, faults=(Fault(1.0, Kind.CLOCK_FORWARD, 0, 0.1),))
    history.events.append(event(6, "register", 9.0, 410, type="x/pass-ended"))


def an_appointment_in_minutes(history: History) -> None:
    history.events.append(
        event(6, "place", 9.0, 200, number=6, position=None, state="prequeue", poll_s=282.0)
    )


def a_wave_closed_by_the_clock(history: History) -> None:
    history.events.append(
        event(6, "place", 9.0, 200, number=6, position=6, state="closed", poll_s=60.0)
    )


@pytest.mark.parametrize(
    ("promise", "spoil"),
    [
        ("I-1:", rows_without_the_last),
        ("I-1:", a_row_twice),
        ("I-1:", dead_for_no_reason),
        ("I-7:", a_loss_reported_that_was_none),
        ("I-7:", a_loss_that_was_not_reported),
        ("I-4, I-10:", another_receipt),
        ("I-4, I-10:", refused_after_acceptance),
        ("I-5:", accepted_and_nowhere),
        ("I-6:", another_form),
        ("I-9:", one_person_twice),
        ("I-11:", above_the_quota),
        ("I-16:", too_many_passes),
        ("I-23:", one_number_for_two),
        ("I-24:", the_later_one_in_front),
        ("I-28:", a_place_that_moved),
        ("I-31:", another_ticket),
        ("I-47:", a_server_error),
        ("I-51:", nobody_served_again),
        ("I-51:", a_backlog_that_stays),
        ("I-38, F-19:", a_pass_ended_by_the_clock),
        ("F-19:", an_appointment_in_minutes),
        ("F-19:", a_wave_closed_by_the_clock),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_spoilt_history_turns_its_promise_red(
    promise: str, spoil: Callable[[History], None]
) -> None:
    history = sound()
    spoil(history)
    assert any(fault.startswith(promise) for fault in broken(history)), broken(history)


def test_a_pass_whose_asking_got_no_answer_may_have_been_issued_then() -> None:
    """Three passes told within a moment are no burst where each may have been issued long before."""
    history = sound()
    history.events = []
    for one in range(3):
        history.events.append(event(one, "claim", 1.5 * one, UNKNOWN))
        history.events.append(event(one, "claim", 4.0, 200, **{"pass": f"p{one}"}))
    assert not any(fault.startswith("I-16") for fault in broken(history))
