"""What a person reads after a run: one page, the reason for the verdict in its last line."""

from collections.abc import Iterator, Mapping
from typing import Any

from loadtests.evidence import Evidence
from loadtests.verdict import (
    LAG_P99_MS_MAX,
    broken,
    findings,
    is_generator_limited,
)

NAMES = ("page", "board", "join", "place", "leave", "claim", "form", "submit", "receipt")


def page(evidence: Evidence, tally: Mapping[str, Any], seed: int) -> str:
    """Return the whole page."""
    return "\n".join(
        [
            "",
            *_head(evidence, tally, seed),
            "",
            *_table(tally),
            "",
            *_promises(evidence),
            "",
            _last_line(evidence),
        ]
    )


def _head(evidence: Evidence, tally: Mapping[str, Any], seed: int) -> Iterator[str]:
    terms = evidence.terms
    took_s = tally["ended_s"] - tally["began_s"]
    requests = sum(sum(words.values()) for words in evidence.answers.values())
    p50_ms, p99_ms, most_ms = tally["lags_ms"]
    wave = f"{terms.rate_per_s:g}/s, burst {terms.burst}, {terms.quota:,} places"
    yield f"  applicants   {terms.people:,}, seed {seed}; the wave: {wave}"
    yield f"  requests     {requests:,} in {took_s:.1f} s, {requests / max(took_s, 0.1):,.0f}/s"
    yield f"  generator    late by p50 {p50_ms:.1f}, p99 {p99_ms:.1f}, at most {most_ms:.1f} ms"


def _table(tally: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {'':<10}{'count':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}   answers"
    for name in NAMES:
        if name in tally["answers"]:
            words = tally["answers"][name]
            times = "".join(f"{time_ms:>9.1f}" for time_ms in tally["times_ms"][name])
            said = ", ".join(f"{word} x {count:,}" for word, count in sorted(words.items()))
            yield f"  {name:<10}{sum(words.values()):>9,}{times}   {said}"


def _promises(evidence: Evidence) -> Iterator[str]:
    for each in findings(evidence):
        yield f"  {'kept' if each.kept else 'BROKEN':<8}{each.promise}: {each.detail}"


def _last_line(evidence: Evidence) -> str:
    if first := next(iter(broken(evidence)), None):
        return f"  RED: {first.promise}: {first.detail}"
    if is_generator_limited(evidence):
        lag = f"p99 lag {evidence.lag_p99_ms:.0f} ms is above {LAG_P99_MS_MAX:.0f} ms"
        return f"  VOID: generator limited: {lag}"
    return "  GREEN: every promise was kept"
