"""``python -m loadtests.goodput``: offer up to ten times the peak to three servers, and judge the curve.

Exit codes: 0 every figure was reached, 1 one was not, 2 the run proves nothing (the generator was the
limit, others used the server's core, no gateway).
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from loadtests.bench.rows import columns, table
from loadtests.goodput import chart, servers
from loadtests.goodput.steps import Bench, Step
from loadtests.goodput.verdict import HEAD, UNLOADED, Findings, cells, doubts, figures
from loadtests.system import NotReadyError

VOID = 2
RESULT = Path("build/goodput.json")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes."""

    factors: Sequence[float]
    servers: Sequence[str]
    warm_s: float  # a way takes some seconds
    hold_s: float  # counted


FULL = Plan((0.5, 1, 2, 5, 10), servers.SERVERS, warm_s=3.0, hold_s=5.0)
QUICK = Plan((2, 10), (servers.OURS,), warm_s=1.0, hold_s=1.0)
QUICK_PEAK_PER_S = 150.0  # a guess: finding it takes too long
RAMP_S = 9.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.goodput", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="short, ours alone: a sign, no proof")
    parser.add_argument("--peak", type=float, help="registrations a second, where it is known")
    parser.add_argument("--ours", action="store_true", help="leave the stand-ins out")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another crowd")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else FULL
    if options.ours:
        plan = replace(plan, servers=(servers.OURS,))
    peak_per_s = options.peak or (QUICK_PEAK_PER_S if options.quick else None)
    try:
        findings = measure(plan, options.seed, peak_per_s)
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


def measure(plan: Plan, seed: int, peak_per_s: float | None) -> Findings:
    """Find the peak while the process alone bounds admission; then it is the rate, for all servers."""
    curves: dict[str, Sequence[Step]] = {}
    recoveries_s: dict[str, float] = {}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if peak_per_s is None:
            with servers.running(servers.OURS) as server:
                peak_per_s = runner.run(ramp(server, seed))
        tell(f"the peak is about {peak_per_s:,.0f} registrations a second: so is the rate")
        for name in plan.servers:
            with servers.running(name, peak_per_s) as server:
                bench = lead(server, name, plan, seed, peak_per_s)
                curves[name], recoveries_s[name] = runner.run(bench)
    return Findings(peak_per_s, curves, recoveries_s)


async def ramp(server: servers.Server, seed: int) -> float:
    """Find the peak."""
    with Bench(server, seed).running() as bench:
        return await bench.ramp(RAMP_S)


async def lead(
    server: servers.Server, name: str, plan: Plan, seed: int, peak_per_s: float
) -> tuple[Sequence[Step], float]:
    """Offer one load after the other, then the peak, the most, and the peak again."""
    steps = []
    with Bench(server, seed).running() as bench:
        for factor in (UNLOADED, *plan.factors):
            step = await bench.step(factor, peak_per_s, plan.warm_s, plan.hold_s)
            steps.append(step)
            tell(f"{name} at {factor:g}x: {step.goodput_per_s:,.0f} of {step.offered_per_s:,.0f}/s")
        await bench.rest(plan.warm_s)
        return steps, await bench.recovery_s(max(plan.factors), peak_per_s, plan.warm_s)


def tell(text: str) -> None:
    """Say how far it is."""
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
