"""``python -m loadtests.goodput``: offer up to ten times the peak to three servers, and judge the curve.

Exit codes: 0 every figure was reached, 1 one was not, 2 the run proves nothing (the generator was the
limit, others used the server's core, no gateway).
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from loadtests.bench.rows import columns, table
from loadtests.goodput import chart, servers
from loadtests.goodput.steps import Bench, Step
from loadtests.goodput.verdict import HEAD, Findings, cells, doubts, figures
from loadtests.system import NotReadyError

VOID = 2
RESULT = Path("build/goodput.json")
UNLOADED = 0.1  # of the peak


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes."""

    factors: Sequence[float]
    servers: Sequence[str]
    ramp_s: float
    warm_s: float  # a way takes some seconds
    hold_s: float  # counted
    recovers: bool


FULL = Plan((0.5, 1, 2, 5, 10), servers.SERVERS, ramp_s=9.0, warm_s=3.0, hold_s=5.0, recovers=True)
QUICK = Plan((2, 10), (servers.OURS,), ramp_s=4.5, warm_s=1.2, hold_s=1.0, recovers=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.goodput", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="short, ours alone: a sign, no proof")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another crowd")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else FULL
    try:
        findings = measure(plan, options.seed)
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return VOID
    measured, doubted = figures(findings), doubts(findings)
    RESULT.parent.mkdir(exist_ok=True)
    document = {
        "quick": options.quick,
        "seed": options.seed,
        "void": doubted,
        "rows": [each.document() for each in measured],
        **findings.document(),
    }
    RESULT.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    chart.draw(findings, RESULT.with_suffix(".png"))
    peak_per_s = findings.peak_per_s
    print(columns([HEAD, *(cells(*each, peak_per_s) for each in findings.steps)]))
    print()
    print(table(measured))
    for doubt in doubted:
        print(f"VOID: {doubt}")
    if doubted:
        return VOID
    return 0 if all(each.reached for each in measured) else 1


def measure(plan: Plan, seed: int) -> Findings:
    """Lead the crowd before all servers; ours comes first, since its peak is everybody's measure."""
    curves: dict[str, Sequence[Step]] = {}

    async def ours(server: servers.Server) -> Findings:
        with Bench(server, seed).running() as bench:
            estimate_per_s = await bench.ramp(plan.ramp_s)
            tell(f"the peak is about {estimate_per_s:,.0f} registrations a second")
            await bench.rest(plan.warm_s)
            unloaded = await bench.step(UNLOADED, estimate_per_s, plan.warm_s, plan.hold_s)
            curves[servers.OURS] = await ladder(bench, servers.OURS, plan, estimate_per_s)
            recovery_s = None
            if plan.recovers:
                await bench.rest(plan.warm_s)
                most = max(plan.factors)
                recovery_s = await bench.recovery_s(most, estimate_per_s, plan.warm_s)
        return Findings(estimate_per_s, unloaded, curves, recovery_s)

    async def other(server: servers.Server, name: str, peak_per_s: float) -> None:
        with Bench(server, seed).running() as bench:
            curves[name] = await ladder(bench, name, plan, peak_per_s)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        with servers.running(servers.OURS) as server:
            findings = runner.run(ours(server))
        for name in plan.servers:
            if name != servers.OURS:
                with servers.running(name) as server:
                    runner.run(other(server, name, findings.estimate_per_s))
    return findings


async def ladder(bench: Bench, name: str, plan: Plan, peak_per_s: float) -> Sequence[Step]:
    """Offer one load after the other."""
    steps = []
    for factor in plan.factors:
        step = await bench.step(factor, peak_per_s, plan.warm_s, plan.hold_s)
        steps.append(step)
        tell(f"{name} at {factor:g}x: {step.goodput_per_s:,.0f} of {step.offered_per_s:,.0f}/s")
    return steps


def tell(text: str) -> None:
    """Say how far it is."""
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
