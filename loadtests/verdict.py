"""Did the gateway keep its promises in this run? All findings, and what they come to."""

from loadtests.evidence import Evidence
from loadtests.finding import Finding
from loadtests.order import drawn, in_order, not_overtaken
from loadtests.pace import looks_quick, store_within, told_true
from loadtests.promises import (
    all_answered,
    all_finished,
    all_struck,
    believable,
    drained,
    no_server_errors,
    no_surprises,
    nobody_twice,
    recorded_once,
    served_by_right,
    within_quota,
    within_rate,
)

LAG_P99_MS_MAX = 250.0  # beyond it the generator, not the gateway, was measured
GENERATOR_CPU_MAX = 0.95  # of the one core that a process of the generator can use


def findings(evidence: Evidence) -> list[Finding]:
    """Return one finding per promise."""
    terms = evidence.terms
    # What was cut off, or had no answer, may have had an effect that nobody saw.
    cut_off = evidence.lives - evidence.waiting - sum(evidence.outcomes.values())
    unseen_max = cut_off + sum(evidence.silences.values())
    return [
        recorded_once(evidence.held, evidence.rows, unseen_max=unseen_max),
        nobody_twice(evidence.held, evidence.rows),
        within_quota(terms, evidence.rows),
        within_rate(terms, evidence.passes, evidence.stops_us),
        believable(evidence.passes, evidence.admitted, unseen_max=unseen_max),
        in_order(evidence.joins, evidence.draw),
        not_overtaken(terms, evidence.passes, evidence.draw, evidence.stops_us),
        drawn(evidence.positions, evidence.draw, is_verified=evidence.draw_verified),
        told_true(terms, evidence.passes, evidence.stops_us),
        looks_quick(evidence.looks_ms, evidence.kills_s),
        store_within(terms, evidence.rows, evidence.troubles),
        served_by_right(terms, evidence.outcomes, evidence.rows, evidence.troubles),
        no_server_errors(evidence.answers),
        no_surprises(evidence.surprises),
        all_answered(evidence.silences, evidence.troubles),
        all_struck(evidence.wanted_troubles, evidence.troubles),
        all_finished(evidence.lives, evidence.waiting, evidence.outcomes),
        drained(evidence.stop_code),
    ]


def exit_code(evidence: Evidence) -> int:
    """Return 0 when every promise held, 1 when one was broken, 2 when the run proves nothing."""
    if broken(evidence):
        return 1
    return 2 if limits(evidence) else 0


def broken(evidence: Evidence) -> list[Finding]:
    """Return the promises that were broken, less those that the generator excuses."""
    limited = limits(evidence)
    return [
        each for each in findings(evidence) if not each.kept and not (limited and each.excusable)
    ]


def limits(evidence: Evidence) -> list[str]:
    """Say why the generator did too little for the run to prove anything; empty: it did enough."""
    lag_ms, cpu = evidence.lag_p99_ms, evidence.generator_cpu
    said = []
    if lag_ms > LAG_P99_MS_MAX:
        said.append(f"p99 lag {lag_ms:.0f} ms is above {LAG_P99_MS_MAX:.0f} ms")
    if cpu > GENERATOR_CPU_MAX:
        said.append(f"{cpu:.2f} of its core used is above {GENERATOR_CPU_MAX}")
    if evidence.requests < evidence.requests_min:
        said.append(f"{evidence.requests:,} requests are fewer than {evidence.requests_min:,}")
    return said
