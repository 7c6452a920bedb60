"""Was every promise kept? One check per promise, over a history and what was left at the end.

Instants of passes are the senders' own: a pass was issued between the first request that may have asked
for it and the answer that told of it, so a window is too full only where no choice of instants helps.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from tests.faults.history import UNKNOWN, Event, History
from tests.faults.schedules import CLOCKS, LOSSES

AGAIN_S_MAX = 30.0
GRAIN_S = 0.002
GATHERING_S_MAX = 10.0  # before an opening that is as near as it is in these runs
Faults = Iterator[str]


def broken(history: History) -> list[str]:
    """Return every promise that was broken, with its id."""
    return [f"{check.__doc__} {fault}" for check in CHECKS for fault in check(history)]


def handed_out(history: History) -> dict[str, Event]:
    """Return every receipt that an applicant was given, with the event that gave it first."""
    given: dict[str, Event] = {}
    for event in history.of("register"):
        if event.status == 201:
            given.setdefault(event.document["receipt"], event)
    return given


def lost(history: History) -> set[str]:
    """Return the receipts that are neither recorded nor in the dead letters."""
    kept = {row.receipt for row in history.remains.rows} | set(history.remains.dead)
    return set(handed_out(history)) - kept


def _forgot(history: History) -> bool:
    return bool(history.schedule.kinds & LOSSES)


def every_receipt_is_recorded_once(history: History) -> Faults:
    """I-1:"""
    times = Counter(row.receipt for row in history.remains.rows)
    yield from (f"{receipt} is recorded {n} times" for receipt, n in times.items() if n > 1)
    yield from (
        f"{r} is dead without a reason" for r, why in history.remains.dead.items() if not why
    )
    both = set(times) & set(history.remains.dead)
    yield from (f"{receipt} is recorded, and dead" for receipt in both)
    if not _forgot(history):
        yield from (f"{receipt} was handed out and is lost" for receipt in sorted(lost(history)))


def what_is_lost_is_counted(history: History) -> Faults:
    """I-7:"""
    missing = history.remains.room.get("missing", 0)
    if _forgot(history) and len(lost(history)) > missing:
        yield f"{len(lost(history))} receipts are lost, {missing} reported"
    if not _forgot(history) and missing:
        yield f"{missing} reported as missing, though nothing was taken from Redis"


def a_repeat_gets_the_same_receipt(history: History) -> Faults:
    """I-4, I-10:"""
    gone = lost(history) if _forgot(history) else set()
    answers: dict[int, set[str]] = defaultdict(set)
    for event in history.of("register"):
        if event.status == 201:
            answers[event.applicant].add(event.document["receipt"])
    for applicant, receipts in answers.items():
        if len(receipts - gone) > 1:
            yield f"applicant {applicant} holds {len(receipts)} receipts"
    if not _forgot(history):
        yield from _refused_after_acceptance(history)


def _refused_after_acceptance(history: History) -> Faults:
    accepted_s: dict[int, float] = {}
    for event in sorted(history.of("register"), key=lambda event: event.ended_s):
        first_s = accepted_s.get(event.applicant)
        if event.status == 201:
            accepted_s.setdefault(event.applicant, event.ended_s)
        elif first_s is not None and event.sent_s > first_s and event.status in (409, 410, 422):
            yield f"applicant {event.applicant} was accepted, then refused: {event.code}"


def accounts_agree(history: History) -> Faults:
    """I-5:"""
    remains = history.remains
    settled = {row.receipt for row in remains.rows} | set(remains.dead) | set(remains.pending)
    if _forgot(history):  # put back for somebody who had registered again meanwhile
        settled |= set(remains.superseded)
    yield from (f"{r} is accepted and nowhere" for r in sorted(set(remains.receipts) - settled))
    if not _forgot(history):
        stray = sorted(settled - set(remains.receipts))
        yield from (f"{receipt} is recorded and was never accepted" for receipt in stray)
        counted = remains.room.get("accepted", 0)
        if counted != len(remains.receipts):
            yield f"{counted} counted, {len(remains.receipts)} accepted"


def what_is_recorded_is_what_was_sent(history: History) -> Faults:
    """I-6:"""
    given = handed_out(history)
    for row in history.remains.rows:
        event = given.get(row.receipt)
        if event is not None and dict(row.payload) != event.form:
            yield f"{row.receipt} is recorded with another form"


def nobody_is_in_the_programme_twice(history: History) -> Faults:
    """I-9:"""
    persons = Counter(row.person for row in history.remains.rows)
    yield from (f"a person is recorded {n} times" for n in persons.values() if n > 1)
    niks = Counter(row.payload["nik"] for row in history.remains.rows)
    yield from (f"a NIK is recorded {n} times" for n in niks.values() if n > 1)


def the_quota_is_kept(history: History) -> Faults:
    """I-11:"""
    quota = history.schedule.terms.quota
    if len(history.remains.rows) > quota:
        yield f"{len(history.remains.rows)} recorded, quota {quota}"
    if history.remains.room.get("accepted", 0) > quota:
        yield f"{history.remains.room['accepted']} accepted, quota {quota}"


def passes_keep_to_the_rate(history: History) -> Faults:
    """I-16:"""
    terms, spans = history.schedule.terms, issue_spans(history)
    # I-17: each step forward (a step back ends with one) may add so much, once.
    steps = sum(fault.kind in CLOCKS for fault in history.schedule.faults)
    burst = terms.burst + steps * min(terms.burst, terms.rate_per_s)
    for begin_s in sorted({first for first, _ in spans}):
        ends = sorted(last for first, last in spans if first >= begin_s)
        for count, end_s in enumerate(ends, 1):
            allowed = burst + terms.rate_per_s * (end_s - begin_s + GRAIN_S)
            if count > allowed + 1e-9:
                yield f"{count} passes within {end_s - begin_s:.3f} s, {allowed:.2f} allowed"
                return


def issue_spans(history: History) -> list[tuple[float, float]]:
    """Return, for each pass that was told, the time in which it was certainly issued."""
    spans: list[tuple[float, float]] = []
    unknown_s: dict[int, float] = {}  # since when a pass may have been issued without a word
    held: dict[int, str] = {}
    for event in sorted(history.of("claim"), key=lambda event: event.ended_s):
        if event.status == UNKNOWN or event.status >= 500:
            unknown_s[event.applicant] = min(
                event.sent_s, unknown_s.get(event.applicant, event.sent_s)
            )
        elif event.status in (200, 201) and held.get(event.applicant) != event.document["pass"]:
            held[event.applicant] = event.document["pass"]
            first_s = min(event.sent_s, unknown_s.pop(event.applicant, event.sent_s))
            spans.append((event.sent_s if event.status == 201 else first_s, event.ended_s))
    return spans


def numbers_are_given_once(history: History) -> Faults:
    """I-23:"""
    holders: dict[int, set[str]] = defaultdict(set)
    for event in history.of("join"):
        if event.status in (200, 201):
            holders[event.document["number"]].add(event.document["ticket"])
    yield from (f"number {n}: {len(t)} tickets" for n, t in holders.items() if len(t) > 1)


def whoever_is_answered_first_stands_in_front(history: History) -> Faults:
    """I-24:"""
    cohort = history.remains.room.get("cohort", 0)
    joins = [e for e in history.of("join") if e.status == 201 and e.document["number"] >= cohort]
    for one in joins:
        for other in joins:
            if one.ended_s < other.sent_s and one.document["number"] > other.document["number"]:
                yield f"{one.document['number']} was given before {other.document['number']}"
                return


def places_keep_their_order(history: History) -> Faults:
    """I-28:"""
    positions: dict[int, set[int]] = defaultdict(set)
    for event in history.of("place"):
        if event.status == 200 and event.document["position"] is not None:
            positions[event.document["number"]].add(event.document["position"])
    yield from (f"number {n} stood at {sorted(p)}" for n, p in positions.items() if len(p) > 1)
    shared = Counter(position for stood in positions.values() for position in stood)
    yield from (f"{n} people stood at position {p}" for p, n in shared.items() if n > 1)


def a_ticket_is_given_back(history: History) -> Faults:
    """I-31:"""
    tickets: dict[int, set[str]] = defaultdict(set)
    for event in history.of("join"):
        if event.status == 200:
            tickets[event.applicant].add(event.document["ticket"])
    yield from (f"applicant {a} got another ticket" for a, t in tickets.items() if len(t) > 1)


def nothing_fails_inside(history: History) -> Faults:
    """I-47:"""
    bad = Counter(
        f"{e.action}: {e.status} {e.code}"
        for e in history.events
        if e.status >= 500 and not (e.status == 503 and e.code)
    )
    yield from (f"{times} times {what}" for what, times in bad.items())


def it_accepts_again(history: History) -> Faults:
    """I-51:"""
    again_s = history.accepted_again_s
    if again_s is None or again_s - history.healed_s > AGAIN_S_MAX:
        yield f"nobody new was served within {AGAIN_S_MAX:.0f} s after the last fault"
    if not history.rested:
        yield "the intake was not emptied"
    stuck = sorted(a for a, end in history.ends.items() if end == "stuck")
    if stuck:
        yield f"{len(stuck)} applicants did not come to an end: {stuck[:5]}"
    wrong = Counter(end for end in history.ends.values() if end.startswith("unexpected"))
    yield from (f"{times} times {end}" for end, times in wrong.items())


def clocks_do_not_end_what_stands(history: History) -> Faults:
    """I-38, F-19:"""
    if history.schedule.kinds & CLOCKS and history.schedule.terms.pass_ttl_s >= 60:
        ended = [e for e in history.of("register") if e.code == "pass-ended"]
        if ended and not _forgot(history):
            yield f"{len(ended)} passes ended by a step of the clock"


def nobody_is_sent_away_by_a_clock(history: History) -> Faults:
    """F-19:"""
    waits_s = [
        float(event.document["poll_s"])
        for event in history.of("place")
        if event.document.get("state") == "prequeue"
    ]
    if waits_s and max(waits_s) > GATHERING_S_MAX:
        yield f"told to come to an opening within seconds in {max(waits_s):.0f} s"
    closed = [e for e in history.of("place") if e.document.get("state") == "closed"]
    if closed:  # a clock goes a day ahead, the wave is open for an hour, a run lasts for seconds
        yield f"{len(closed)} told that the wave had closed"


CHECKS: tuple[Callable[[History], Faults], ...] = (
    every_receipt_is_recorded_once,
    what_is_lost_is_counted,
    a_repeat_gets_the_same_receipt,
    accounts_agree,
    what_is_recorded_is_what_was_sent,
    nobody_is_in_the_programme_twice,
    the_quota_is_kept,
    passes_keep_to_the_rate,
    numbers_are_given_once,
    whoever_is_answered_first_stands_in_front,
    places_keep_their_order,
    a_ticket_is_given_back,
    nothing_fails_inside,
    it_accepts_again,
    clocks_do_not_end_what_stands,
    nobody_is_sent_away_by_a_clock,
)
