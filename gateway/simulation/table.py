"""How does a person read a simulated day? The report's document as a page of text."""

from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
WIDTH = 26


def text(shown: Document) -> str:
    """Return the page."""
    parts = [_head(shown), _wave(shown), _waits(shown), _admitted(shown), _requests(shown)]
    return "\n".join(
        line for part in [*parts, _polls(shown), _people(shown)] for line in [*part, ""]
    )


def _row(name: str, *said: str) -> str:
    return f"  {name:<{WIDTH}}{'   '.join(said)}"


def _head(shown: Document) -> Iterator[str]:
    policy = shown["policy"]
    yield f"{shown['profile']}: {shown['people']:,} people with {shown['visitors']:,} tickets"
    yield (
        f"  rate {policy['rate_per_s']:g}/s (burst {policy['burst']})   quota {policy['quota']:,}   "
        f"form cap {policy['form_cap']:,}   polls {policy['poll_budget_per_s']:,}/s"
    )
    yield (
        f"  no-shows {shown['no_shows']:.0%}   {shown['hours']:g} h from the opening   "
        f"seed {shown['seed']}   decided by the {shown['decided_by']}"
    )


def _wave(shown: Document) -> Iterator[str]:
    wave = shown["wave"]
    yield "THE WAVE"
    full = wave["full_at_s"]
    yield _row("full", "not within the time" if full is None else f"{clock(full)} after opening")
    yield _row("most waiting", f"{wave['most_waiting']:,} at {clock(wave['most_waiting_at_s'])}")
    yield _row("in the draw", f"{wave['cohort']:,}")
    yield _row("registered", f"{shown['people_who']['registered']:,}")


def _waits(shown: Document) -> Iterator[str]:
    yield "WAIT of those admitted, from joining, or from the opening if they came before"
    yield _row("", *(f"{name} {clock(wait)}" for name, wait in shown["waits_s"].items()))


def _admitted(shown: Document) -> Iterator[str]:
    admitted, settled = shown["admitted"], shown["admitted"]["settled_10_s"]
    yield "ADMITTED"
    yield _row("passes", f"{admitted['passes']:,}")
    for window in ("1_s", "10_s"):
        worst, allowed = admitted[f"worst_{window}"], admitted[f"allowed_{window}"]
        verdict = "kept" if worst <= allowed else "EXCEEDED"
        yield _row(
            f"fullest {window.replace('_', ' ')}", f"{worst:,} of {allowed:,.0f} allowed", verdict
        )
    if settled["windows"]:
        low, high = settled["least_of_rate"], settled["most_of_rate"]
        yield _row("10 s windows in demand", f"{low:.1%} to {high:.1%} of the rate")


def _requests(shown: Document) -> Iterator[str]:
    requests = shown["requests"]
    yield "REQUESTS                      peak per s   when                    in all"
    rows = {name: row for name, row in requests.items() if name != "of_these"}
    rows |= {f"- {name.replace('_', ' ')}": row for name, row in requests["of_these"].items()}
    for name, row in rows.items():
        peak, when = f"{row['peak_per_s']:,}", clock(row["peak_at_s"])
        yield f"  {name:<{WIDTH}}{peak:>12}   {when:<12}{row['total']:>18,}"


def _polls(shown: Document) -> Iterator[str]:
    polls = shown["polls"]
    yield "POLLS that the server asked for"
    share, when = f"{polls['peak_of_budget']:.0%} of the budget", clock(polls["peak_10_s_at_s"])
    yield _row("peak over 10 s", f"{polls['peak_10_s_per_s']:,}/s at {when}", share)
    yield _row("by the formula, peak", f"{polls['expected_peak_per_s']:,}/s while open")
    expected, measured = polls["expected_mean_per_s"], polls["measured_mean_per_s"]
    yield _row("mean while open", f"{measured:,.0f}/s asked", f"{expected:,.0f}/s by the formula")


def _people(shown: Document) -> Iterator[str]:
    promises = shown["promises"]
    yield "TICKETS that"
    for name, count in shown["people_who"].items():
        if name == "registered":
            continue
        yield _row(name.replace("_", " "), f"{count:,}")
    if promises["told_and_called"]:
        inside, earlier, later = (promises[name] for name in ("inside", "earlier", "later"))
        yield _row(
            "called inside first range",
            f"{inside:.1%}",
            f"before it {earlier:.1%}",
            f"after it {later:.1%}",
        )


def clock(seconds: float | None) -> str:
    """Return a span as hours, minutes and seconds; a minus stands for before the opening."""
    if seconds is None:
        return "-"
    hours, rest = divmod(round(abs(seconds)), 3600)
    return f"{'-' if seconds < 0 else ''}{hours}:{rest // 60:02}:{rest % 60:02}"
