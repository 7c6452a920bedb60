"""Is goodput flat? The figures of the design, and what makes a run prove nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.bench.rows import Measured, Row, Wanted
from loadtests.goodput.servers import OURS
from loadtests.goodput.steps import Step

UNLOADED = 0.1  # of the peak
LAG_MS_MAX = 50.0  # of the generator, p99
GENERATOR_CPU_MAX = 0.9  # of its core
OTHERS_CPU_MAX = 0.1  # of the server's core
HEAD = (
    *("server", "x peak", "offered/s", "requests/s", "goodput/s", "of peak", "p50 ms", "p99 ms"),
    *("refused/s", "server CPU", "own CPU", "lag p99 ms", "max"),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a run has measured."""

    estimate_per_s: float  # the peak as the ramp found it: the offered loads are its multiples
    curves: Mapping[str, Sequence[Step]]  # by server
    recoveries_s: Mapping[str, float]  # by server

    @property
    def peak_per_s(self) -> float:
        """The most that the gateway has acknowledged under any load."""
        return max(step.goodput_per_s for step in self.curves[OURS])

    def at(self, factor: float) -> Step:
        """Return the gateway's step at one load."""
        return next(step for step in self.curves[OURS] if step.factor == factor)

    @property
    def steps(self) -> Sequence[tuple[str, Step]]:
        """All steps, each with its server."""
        return [(name, step) for name, curve in self.curves.items() for step in curve]

    def document(self) -> dict[str, Any]:
        """Return it all as it is kept."""
        return {
            "peak_per_s": self.peak_per_s,
            "estimate_per_s": self.estimate_per_s,
            "recoveries_s": self.recoveries_s,
            "curves": {name: [asdict(step) for step in c] for name, c in self.curves.items()},
        }


def figures(findings: Findings) -> Sequence[Measured]:
    """Return what the design asks for, with what was measured."""
    most = max(step.factor for step in findings.curves[OURS])
    peak_per_s, top = findings.peak_per_s, findings.at(most)
    late_ms = top.p99_ms - findings.at(UNLOADED).p99_ms
    unexpected = sum(sum(step.unexpected.values()) for step in findings.curves[OURS])
    rows = [
        (f"at {most:g}x / peak", Wanted(low=0.90), [top.goodput_per_s / peak_per_s]),
        ("at 2x / peak", Wanted(low=0.98), [findings.at(2).goodput_per_s / peak_per_s]),
        (f"p99 at {most:g}x over unloaded, ms", Wanted(high=50.0), [late_ms]),
        (f"recovery after {most:g}x, s", Wanted(high=2.0), [findings.recoveries_s[OURS]]),
        ("answers that nobody should get", Wanted(high=0.0), [float(unexpected)]),
    ]
    return [Measured("goodput", Row(name, wanted, list), samples) for name, wanted, samples in rows]


def doubts(findings: Findings) -> Sequence[str]:
    """Say what makes the run void: this generator was the limit, or the machine was not ours."""
    found = []
    for server, step in findings.steps:
        where = f"{server} at {step.factor:g}x"
        if step.lag_p99_ms > LAG_MS_MAX:
            found.append(f"{where}: the generator was {step.lag_p99_ms:.0f} ms late (p99)")
        if step.generator_cpu > GENERATOR_CPU_MAX:
            found.append(f"{where}: the generator used {step.generator_cpu:.0%} of its core")
        if step.others_cpu > OTHERS_CPU_MAX:
            found.append(f"{where}: others used {step.others_cpu:.0%} of the server's core")
    return found


def cells(server: str, step: Step, peak_per_s: float) -> Sequence[str]:
    """Return one line of the table."""
    return (
        *(server, f"{step.factor:g}", f"{step.offered_per_s:,.0f}", f"{step.requests_per_s:,.0f}"),
        *(f"{step.goodput_per_s:,.0f}", f"{step.goodput_per_s / peak_per_s:.2f}"),
        *(f"{step.p50_ms:.0f}", f"{step.p99_ms:.0f}"),
        *(f"{step.refused_per_s:,.0f}", f"{step.server_cpu:.0%}"),
        *(f"{step.generator_cpu:.0%}", f"{step.lag_p99_ms:.1f}", f"{step.lag_max_ms:.0f}"),
    )
