"""What a person reads after a run: one page, the reason for the verdict in its last line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadtests.evidence import Evidence
from loadtests.journal import SHED, SILENT, THROTTLED, Totals
from loadtests.pace import punctuality
from loadtests.rehearsal.sampling import Sample, commands_per_s, usages
from loadtests.scenario import Scenario
from loadtests.verdict import broken, findings, limits
from loadtests.windows import most_within, typical_within

NAMES = (
    *("home", "page", "board", "join", "place", "leave"),
    *("claim", "extend", "form", "submit", "receipt"),
)
SECOND_US = 1_000_000
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """All that can be told of a run."""

    scenario: Scenario
    evidence: Evidence
    totals: Totals
    samples: Sequence[Sample]
    opens_s: float  # wall clock
    store: str  # its name
    log: Sequence[tuple[float, str]]  # of troubles: seconds from the opening, what was done


def page(seen: Seen) -> str:
    """Return the whole page."""
    parts = _head(seen), _names(seen.totals), _habits(seen), _system(seen), _troubles(seen)
    lines = [line for part in (*parts, _promises(seen.evidence)) for line in _apart(part)]
    return "\n".join([*lines, "", last_line(seen.evidence)])


def _apart(lines: Iterator[str]) -> Iterator[str]:
    for index, line in enumerate(lines):
        if not index:
            yield ""
        yield line


def _head(seen: Seen) -> Iterator[str]:
    scenario, totals, terms = seen.scenario, seen.totals, seen.evidence.terms
    took_s = totals.ended_s - totals.began_s
    p50_ms, p99_ms, most_ms = totals.lags.spread_ms()
    wave = f"{terms.rate_per_s:g}/s, burst {terms.burst}, {terms.quota:,} places"
    peak = max((counts["requests"] for counts in totals.seconds.values()), default=0)
    words = totals.words()
    yield f"  crowd        {scenario.name}: {terms.people:,} people, seed {scenario.seed}; {wave}"
    yield f"  compression  a launch day {scenario.profile.compression:g} times as fast"
    yield (
        f"  requests     {totals.requests:,} answered in {took_s:.1f} s, "
        f"{totals.requests / max(took_s, 0.1):,.0f}/s, busiest second {peak:,}"
    )
    yield (
        f"               {words[SHED]:,} shed, {words[THROTTLED]:,} throttled, "
        f"{words[SILENT]:,} without an answer"
    )
    yield f"  generator    late by p50 {p50_ms:.1f}, p99 {p99_ms:.1f}, at most {most_ms:.1f} ms"


def _names(totals: Totals) -> Iterator[str]:
    yield f"  {'':<13}{'count':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}   answers"
    for name in NAMES:
        if words := totals.words(name=name):
            times = "".join(f"{ms:>9.1f}" for ms in totals.times(name=name).spread_ms())
            yield f"  {name:<13}{words.total():>10,}{times}   {_said(words)}"


def _habits(seen: Seen) -> Iterator[str]:
    for habit in seen.scenario.shares:
        if words := seen.totals.words(habit=habit):
            times = "".join(f"{ms:>9.1f}" for ms in seen.totals.times(habit=habit).spread_ms())
            yield f"  {habit:<13}{words.total():>10,}{times}   {_said(words)}"


def _said(words: Mapping[str, int]) -> str:
    return ", ".join(f"{word} x {count:,}" for word, count in sorted(words.items()))


def _system(seen: Seen) -> Iterator[str]:
    evidence = seen.evidence
    admitted_us = sorted(each.issued_at_us for each in evidence.passes)
    recorded_us = sorted(row.recorded_at_us for row in evidence.rows)
    before, inside, after = punctuality(evidence.terms, evidence.passes, evidence.stops_us)
    for name, instants_us, limit in (
        (
            "admitted/s",
            admitted_us,
            f"{evidence.terms.rate_per_s:g}/s, burst {evidence.terms.burst}",
        ),
        ("stored/s", recorded_us, f"{evidence.terms.store_per_s or '?'}/s, {seen.store}"),
    ):
        most, usual = most_within(instants_us, SECOND_US), typical_within(instants_us, SECOND_US)
        yield f"  {name:<13}busiest second {most:,}, typical one {usual:,}; limit {limit}"
    yield f"  waits told   {before:,} called before the first range told, {inside:,} inside, {after:,} after"
    per_s = [each for _, each in commands_per_s(seen.samples)]
    if per_s:
        most_bytes = max(sample.redis_bytes for sample in seen.samples)
        mean_per_s = sum(per_s) / len(per_s)
        yield (
            f"  redis        {mean_per_s:,.0f} commands/s, at most {max(per_s):,.0f}; "
            f"{most_bytes / MIB:.1f} MiB"
        )
    for name, use in usages(seen.samples).items():
        yield (
            f"  {name:<18} {use.cpu_mean:>5.2f} cores, at most {use.cpu_most:.2f} over 10 s; "
            f"{use.memory_most_bytes / MIB:,.0f} MiB"
        )


def _troubles(seen: Seen) -> Iterator[str]:
    for at_s, what in seen.log:
        yield f"  {at_s:>+6.0f} s     {what}"


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
