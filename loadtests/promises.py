"""Did every registration come to its place, once, at the rate and within the quota? One finding each.

Nothing here reads a file or a clock. Admissions are checked for every window of time at once
(``windows``). Their instants are the gateway's own words: a pass expires so many seconds after its
issue. They are believed because they fall between the asking and the answering as the applicant's
clock, on the same machine, saw them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from loadtests.evidence import Held, Issued, Row, Terms
from loadtests.finding import Finding, found
from loadtests.windows import burst_needed, most_within, typical_within

# Instants are told in milliseconds, cut off: a window may look up to one shorter than it was. The rest
# is for the rounding of the two conversions on the way.
GRAIN_US = 1_010
SECOND_US = 1_000_000


def recorded_once(held: Sequence[Held], rows: Sequence[Row], *, unseen_max: int) -> Finding:
    """Every receipt handed out is in the store once, with the form it was given for; no other is.

    ``unseen_max`` applicants were cut off, perhaps between sending their form and seeing the receipt.
    """
    forms = {each.receipt: each.form for each in held}
    recorded = Counter(row.receipt for row in rows)
    unseen = [receipt for receipt in recorded if receipt not in forms]
    faults = [
        *(f"{receipt} is lost" for receipt in forms if receipt not in recorded),
        *(
            f"{receipt} is recorded {times} times"
            for receipt, times in recorded.items()
            if times > 1
        ),
        *(f"{receipt} was never handed out" for receipt in unseen[unseen_max:]),
        *(
            f"{row.receipt} is recorded with another form"
            for row in rows
            if row.form != forms.get(row.receipt, row.form)
        ),
    ]
    return found(
        "every receipt is recorded exactly once",
        faults,
        f"{len(forms):,} handed out, {len(rows):,} recorded",
    )


def nobody_twice(held: Sequence[Held], rows: Sequence[Row]) -> Finding:
    """A person has one row in the store, and one receipt, however often it sent its form."""
    persons = Counter(row.person for row in rows)
    receipts: dict[int, set[str]] = {}
    for each in held:
        receipts.setdefault(each.person, set()).add(each.receipt)
    faults = [
        *(f"a person is recorded {times} times" for times in persons.values() if times > 1),
        *(
            f"person {person} got {len(got)} receipts"
            for person, got in receipts.items()
            if len(got) > 1
        ),
    ]
    repeats = len(held) - len(receipts)
    return found(
        "nobody is registered twice",
        faults,
        f"{len(persons):,} persons, {repeats:,} forms sent again",
    )


def within_quota(terms: Terms, rows: Sequence[Row]) -> Finding:
    """No registration is above the quota."""
    surplus = len(rows) - terms.quota
    faults = [f"{surplus} above the quota"] if surplus > 0 else []
    return found("none is above the quota", faults, f"{len(rows):,} of {terms.quota:,} places")


def within_rate(
    terms: Terms, passes: Sequence[Issued], stops_us: Sequence[tuple[int, int]] = ()
) -> Finding:
    """In no window of time were more passes issued than rate and burst allow.

    Where admissions were stopped the ends of passes were put off: what a repeated answer told then says
    nothing of the issue.
    """
    exact = [each for each in passes if each.is_first or not stops_us]
    instants_us = sorted(each.issued_at_us for each in exact)
    needed = burst_needed(instants_us, terms.rate_per_s)
    allowed = terms.burst + terms.rate_per_s * GRAIN_US / 1e6
    faults = [f"a burst of {needed:.2f}, allowed {allowed:.2f}"] if needed > allowed else []
    busiest, typical = most_within(instants_us, SECOND_US), typical_within(instants_us, SECOND_US)
    return found(
        "admissions stay within rate and burst",
        faults,
        f"burst {needed:.2f} of {terms.burst}; busiest second {busiest}, typical one {typical}",
    )


def believable(passes: Sequence[Issued], admitted: int | None, *, unseen_max: int) -> Finding:
    """Every pass was seen by its holder, and issued while that one was asking for it."""
    faults = [
        f"pass of number {each.number} issued while nobody asked"
        for each in passes
        if not each.asked_at_us - GRAIN_US <= each.issued_at_us <= each.answered_at_us
    ]
    if admitted is None:
        faults.append("the board did not answer at the end")
    elif not 0 <= admitted - len(passes) <= unseen_max:
        faults.append(f"{admitted:,} issued, {len(passes):,} seen")
    detail = f"{len(passes):,} issued, each while its holder asked"
    return found("the instants of admission are true", faults, detail)


def served_by_right(
    terms: Terms, outcomes: Mapping[str, int], rows: Sequence[Row], troubles: Sequence[str]
) -> Finding:
    """Nobody was told that the wave is full while places were left; an operator may give more of them."""
    full, closed = outcomes.get("full", 0), outcomes.get("closed", 0)
    left = 0 if "raise-quota" in troubles else terms.quota - len(rows)
    faults = [f"{full:,} told so with {left:,} places left"] if full and left > 0 else []
    promise = "nobody is told full while places are left"
    return found(promise, faults, f"{full:,} told full, {closed:,} closed")


def no_server_errors(answers: Mapping[str, Mapping[str, int]]) -> Finding:
    """No answer was a 5xx, other than a 503 that said when to come again."""
    faults = [
        f"{count:,} times {status} on {name}"
        for name, words in answers.items()
        for status, count in words.items()
        if status.startswith("5")
    ]
    shed, throttled = (
        sum(words.get(word, 0) for words in answers.values()) for word in ("shed", "throttled")
    )
    detail = f"{shed:,} shed and {throttled:,} throttled, with Retry-After"
    return found("no server errors", faults, detail)


def no_surprises(surprises: Sequence[str]) -> Finding:
    """Every answer was one that its request may get."""
    faults = [f"{count:,} times {what}" for what, count in Counter(surprises).most_common()]
    return found("no unexpected answers", faults, "0")


def all_answered(silences: Mapping[str, int], troubles: Sequence[str]) -> Finding:
    """Every request was answered; where processes were killed those without an answer were repeated."""
    counts = [f"{count:,} times {name}" for name, count in sorted(silences.items())]
    if troubles and counts:
        detail = f"or repeated ({', '.join(counts)}) in the troubles"
        return found("every request is answered", [], detail)
    return found("every request is answered", counts, "all were")


def all_struck(wanted: Sequence[str], made: Sequence[str]) -> Finding:
    """Every trouble that was asked for was made: a run that was spared proves nothing of them."""
    faults = [f"{name} was not made" for name in wanted if name not in made]
    return found("the troubles asked for were made", faults, ", ".join(made) or "none")


def all_finished(lives: int, waiting: int, outcomes: Mapping[str, int]) -> Finding:
    """Every applicant came to its end, on each of its devices, or was told to look again after the run's."""
    missing = lives - waiting - sum(outcomes.values())
    counts = {**outcomes, "waiting": waiting}
    ended = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()) if count)
    faults = [f"{missing:,} of {lives:,} did not ({ended})"] if missing else []
    promise = "every applicant came to its end in time"
    return found(promise, faults, ended, excusable=True)


def drained(stop_code: int) -> Finding:
    """Told to stop, the gateway finished what was under way."""
    faults = [f"exit code {stop_code}"] if stop_code else []
    return found("the gateway drained when told to", faults, "exit code 0")
