"""What can a run be told? Scenario, wave, store, processes, troubles; and where to aim it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadtests.evidence import Terms
from loadtests.rehearsal.trouble import TROUBLES, USUAL
from loadtests.scenario import Scenario, add_arguments, scenario_of

WORKERS_MAX = 64
STORE_OF_RATE = 3  # the store is let take so many times the rate of admissions


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a run is like unless it is told otherwise."""

    prog: str
    profile: str
    store: str
    workers: int
    report: str  # a folder; empty: none is written


LOADTEST = Defaults("python -m loadtests", "smoke", "sqlite", 1, "")
REHEARSAL = Defaults("python -m loadtests.rehearsal", "launch-1200", "auto", 2, "build/rehearsal")


def parse(argv: Sequence[str] | None, defaults: Defaults, about: str) -> argparse.Namespace:
    """Return the options, with ``scenario`` and ``terms`` among them; wrong ones end the program with 2."""
    parser = argparse.ArgumentParser(prog=defaults.prog, description=about)
    add_arguments(parser, "--profile", "--crowd", profile=defaults.profile)
    add = parser.add_argument
    add("--rate", type=float, help="admissions per second [the profile's]")
    add("--quota", type=int, help="places [the profile's]")
    add("--store", choices=("auto", "sqlite", "postgresql"), default=defaults.store,
        help="auto: PostgreSQL where it is installed [%(default)s]")  # fmt: skip
    add("--expect-workers", type=int, default=defaults.workers, metavar="N",
        help="processes of Locust that share the crowd out [%(default)s]")  # fmt: skip
    notes = "; ".join(f"{name}: {each.note}" for name, each in TROUBLES.items())
    add("--trouble", nargs="*", choices=TROUBLES, metavar="WHAT",
        help=f"in mid-run; alone: {', '.join(USUAL)}. {notes}".replace("%", "%%"))  # fmt: skip
    add("--report", type=Path, default=Path(defaults.report) if defaults.report else None,
        metavar="FOLDER", help=f"where the report is written [{defaults.report or 'nowhere'}]")  # fmt: skip
    add("--host", metavar="URL", help="a staging system: nothing is started here but the crowd")
    add("--wave", default="load-1", help="its wave there [%(default)s]")
    add("--programme", action="store_true", help="print a programme for a staging system, and end")
    add("--keep", action="store_true", help="keep the run's folder")
    options = parser.parse_args(argv)
    options.trouble = list(USUAL) if options.trouble == [] else options.trouble or []
    try:
        options.scenario = scenario_of(options)
        options.terms = terms_of(options.scenario, options.rate, options.quota)
    except ValueError as error:
        parser.error(str(error))
    if not 1 <= options.expect_workers <= WORKERS_MAX:
        parser.error(f"--expect-workers goes from 1 to {WORKERS_MAX}")
    if options.host:
        options.terms = replace(options.terms, store_per_s=0)  # nobody here knows it
    if options.host and options.trouble:
        parser.error("--trouble strikes only what is started here, not --host")
    return options


def terms_of(scenario: Scenario, rate_per_s: float | None, quota: int | None) -> Terms:
    """Return the wave that a scenario meets.

    Raises:
        ValueError: rate or quota make no sense.

    """
    policy: Any = dict(scenario.profile.policy)
    if rate_per_s is not None:
        policy |= {"rate_per_s": rate_per_s, "burst": max(1, round(rate_per_s / 10))}
    policy |= {} if quota is None else {"quota": quota}
    if not (1 <= policy["rate_per_s"] <= 10_000 and policy["quota"] >= 1):
        raise ValueError("--rate goes from 1 to 10000, --quota from 1")
    return Terms(
        people=scenario.people,
        **policy,
        prequeue_s=scenario.profile.prequeue_s,
        open_s=scenario.profile.open_s,
        store_per_s=max(1, round(STORE_OF_RATE * policy["rate_per_s"])),
    )
