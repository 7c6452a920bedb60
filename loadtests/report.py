"""What a person reads after a run: one page, the reason for the verdict in its last line."""

from collections.abc import Iterator, Mapping

from loadtests.evidence import Evidence
from loadtests.journal import Totals
from loadtests.scenario import Scenario
from loadtests.verdict import broken, findings, limits

NAMES = (
    *("home", "page", "board", "join", "place", "leave"),
    *("claim", "extend", "form", "submit", "receipt"),
)


def page(evidence: Evidence, totals: Totals, scenario: Scenario) -> str:
    """Return the whole page."""
    parts = (_head(evidence, totals, scenario), _names(totals), _habits(totals, scenario))
    lines = [line for part in (*parts, _promises(evidence)) for line in ("", *part)]
    return "\n".join([*lines, "", last_line(evidence)])


def _head(evidence: Evidence, totals: Totals, scenario: Scenario) -> Iterator[str]:
    terms = evidence.terms
    took_s = totals.ended_s - totals.began_s
    p50_ms, p99_ms, most_ms = totals.lags.spread_ms()
    wave = f"{terms.rate_per_s:g}/s, burst {terms.burst}, {terms.quota:,} places"
    peak = max((counts["requests"] for counts in totals.seconds.values()), default=0)
    yield f"  crowd        {scenario.name}: {terms.people:,} people, seed {scenario.seed}; {wave}"
    yield f"  compression  a launch day {scenario.profile.compression:g} times as fast"
    yield (
        f"  requests     {totals.requests:,} answered in {took_s:.1f} s, "
        f"{totals.requests / max(took_s, 0.1):,.0f}/s, busiest second {peak:,}"
    )
    yield f"  generator    late by p50 {p50_ms:.1f}, p99 {p99_ms:.1f}, at most {most_ms:.1f} ms"


def _names(totals: Totals) -> Iterator[str]:
    yield f"  {'':<13}{'count':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}   answers"
    for name in NAMES:
        if words := totals.words(name=name):
            times = "".join(f"{ms:>9.1f}" for ms in totals.times(name=name).spread_ms())
            yield f"  {name:<13}{words.total():>10,}{times}   {_said(words)}"


def _habits(totals: Totals, scenario: Scenario) -> Iterator[str]:
    for habit in scenario.shares:
        if words := totals.words(habit=habit):
            times = "".join(f"{ms:>9.1f}" for ms in totals.times(habit=habit).spread_ms())
            yield f"  {habit:<13}{words.total():>10,}{times}   {_said(words)}"


def _said(words: Mapping[str, int]) -> str:
    return ", ".join(f"{word} x {count:,}" for word, count in sorted(words.items()))


def _promises(evidence: Evidence) -> Iterator[str]:
    for each in findings(evidence):
        yield f"  {'kept' if each.kept else 'BROKEN':<8}{each.promise}: {each.detail}"


def last_line(evidence: Evidence) -> str:
    """Return the verdict and its reason."""
    if first := next(iter(broken(evidence)), None):
        return f"  RED: {first.promise}: {first.detail}"
    if limited := limits(evidence):
        return f"  VOID: generator limited: {limited[0]}"
    return "  GREEN: every promise was kept"
