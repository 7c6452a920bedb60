"""`make faults`: many schedules side by side, what they reached, and whether every promise held.

Exit codes: 0 every promise held and every seeded bug was found, 1 otherwise, 2 wrong usage.
"""

import argparse
import concurrent.futures
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.faults.bugs import BUGS, HUNTS, shows
from tests.faults.postgres import why_not
from tests.faults.processes import CONTEXT
from tests.faults.runner import Report, run, run_seed
from tests.faults.schedules import Kind, Store, kinds_of

RARE = (
    "crash between commit and ack",
    "claim by another deliver",
    "repeated answer for a spent pass",
    "quota exactly full with outstanding passes",
    "`recovering`",
    "dead letter written",
    "breaker half-open",
    "pass expired while its registration was under way",
    "`called` moved past an absentee who came back",
    "answer cut off after its effect",
    "error after commit",
)
SEEDS_A_RUN = 100_000  # a first seed of the day's own, unless one is given


def main() -> int:
    """Run, print, judge."""
    options = _options()
    began_s = time.monotonic()
    reports: list[Report] = []
    if options.store is Store.POSTGRESQL and (reason := why_not()):
        print(f"skipped: PostgreSQL does not run here: {reason}")
        return 0
    last = options.seed + options.count - 1
    print(f"seeds {options.seed} to {last} on {options.store}, {options.jobs} at a time")
    with concurrent.futures.ProcessPoolExecutor(options.jobs, mp_context=CONTEXT) as pool:
        seeds = range(options.seed, options.seed + options.count)
        running = [pool.submit(run_seed, seed, options.only, options.store) for seed in seeds]
        for done in concurrent.futures.as_completed(running):
            reports.append(done.result())
            _tell_broken(reports[-1], options)
        unfound = list(_unfound(pool, options.store)) if options.bugs else []
    _tell_all(reports, options.store, time.monotonic() - began_s)
    for bug in unfound:
        print(f"NOT FOUND: the seeded bug {bug}")
    return 1 if unfound or any(report.broken for report in reports) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed (default: another each time)")
    parser.add_argument(
        "--count", type=int, default=0, help="schedules (default: 200, 1 with --seed)"
    )
    parser.add_argument(
        "--only", action="append", default=[], type=Kind, choices=list(Kind), metavar="KIND",
        help=f"keep to one kind of fault, may be repeated: {', '.join(Kind)}",
    )  # fmt: skip
    parser.add_argument(
        "--store", type=Store, choices=list(Store), default=Store.SQLITE, metavar="STORE",
        help=f"what registrations are kept in: {', '.join(Store)} (default: {Store.SQLITE})",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=3 * (os.cpu_count() or 1), help="side by side")
    parser.add_argument("--no-bugs", dest="bugs", action="store_false", help="no seeded bugs")
    options = parser.parse_args()
    if unfit := set(options.only) - set(kinds_of(options.store)):
        parser.error(f"{', '.join(unfit)}: not with --store {options.store}")
    options.bugs = options.bugs and options.seed is None and not options.only
    options.count = options.count or (200 if options.seed is None else 1)
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4)) % SEEDS_A_RUN
    return options


def _unfound(pool: concurrent.futures.Executor, store: Store) -> Iterator[str]:
    """Run the store's seeded bugs; yield those that did not turn their own promise red."""
    running = {
        name: pool.submit(run, replace(bug.schedule(), store=store))
        for name, bug in BUGS.items()
        if store in bug.stores
    }
    for name, done in running.items():
        promise, report = BUGS[name].promise, done.result()
        for _ in range(HUNTS - 1):  # processes are real, and may let the moment pass
            if shows(name, report.broken):
                break
            report = pool.submit(run, replace(BUGS[name].schedule(), store=store)).result()
        if shows(name, report.broken):
            print(f"seeded bug {name}: found by {promise}")
        else:
            yield f"{name}, wanted {promise} ({report.folder}, {list(report.broken)})"


def _tell_broken(report: Report, options: argparse.Namespace) -> None:
    if not report.broken:
        return
    more = "".join(f" --only {kind}" for kind in options.only)
    more += "" if options.store is Store.SQLITE else f" --store {options.store}"
    print(f"BROKEN in seed {report.seed}: {', '.join(report.faults)}; kept in {report.folder}")
    for fault in report.broken:
        print(f"  {fault}")
    print(f"  again: .venv/bin/python -m tests.faults --seed {report.seed}{more}")
    sys.stdout.flush()


def _tell_all(reports: Sequence[Report], store: Store, took_s: float) -> None:
    faults, reached, ends = Counter[str](), Counter[str](), Counter[str]()
    for report in reports:
        faults += report.faults
        reached += report.reached
        ends += report.ends
    broken = sum(bool(report.broken) for report in reports)
    acknowledged = sum(report.acknowledged for report in reports)
    requests = sum(report.requests for report in reports)
    print(f"\n{len(reports)} schedules on {store} in {took_s:.0f} s, {broken} broke a promise")
    print(f"{requests:,} requests, {acknowledged:,} receipts handed out")
    print("faults: " + ", ".join(f"{kind} {times}" for kind, times in faults.most_common()))
    print("ends: " + ", ".join(f"{end} {times}" for end, times in ends.most_common()))
    print("reached:")
    for state in (*RARE, *sorted(set(reached) - set(RARE))):
        print(f"  {reached[state]:6}  {state}{'' if reached[state] else '  (void)'}")
    for reason in sorted({reason for report in reports for reason in report.skipped}):
        print(f"skipped: {reason}")


if __name__ == "__main__":
    sys.exit(main())
