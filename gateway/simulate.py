"""What would this policy make of a launch day? Asks the simulation, tells people and files.

Bad input and what is missing on this machine is told in one line, with exit code 2.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from gateway.core.policy import Policy, validate
from gateway.programmes import load_programmes
from gateway.simulation.arrivals import PROFILES, Profile

if TYPE_CHECKING:
    from gateway.simulation.day import Day
    from gateway.simulation.engine import Scenario

INSTALL = "install the extra [simulation]: pip install 'registration-gateway[simulation]'"
SCRIPTED_PEOPLE = 13_000  # a hundredth of launch-2020: each deed is a round trip
PEOPLE_MAX = 10_000_000
PROFILE_NOTES = "; ".join(f"{name}: {profile.note}" for name, profile in PROFILES.items())


@click.command("simulate")
@click.option(
    "--profile",
    "name",
    type=click.Choice(list(PROFILES)),
    default="launch-2020",
    show_default=True,
    help=f"How people come. {PROFILE_NOTES}.",
)
@click.option(
    "--people",
    type=click.IntRange(1, PEOPLE_MAX),
    help="How many people come, by the profile's curve; all of them unless said. The policy stays.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0, 168, min_open=True),
    help="How long to look on, from the opening; the profile's whole time unless said.",
)
@click.option(
    "--no-shows",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of tickets whose holders look once and never again. Others give up as their patience ends.",
)
@click.option(
    "--programme",
    type=click.Path(path_type=Path),
    help="A programme's file: take the policy of its wave instead of the profile's.",
)
@click.option("--wave", help="Which wave of that file; the first unless said.")
@click.option("--rate", "rate_per_s", type=float, help="Admissions per second.")
@click.option(
    "--burst", type=int, help="Tokens in a full bucket; one second of the rate unless said."
)
@click.option("--quota", type=int, help="Registrations that the wave may accept.")
@click.option("--form-cap", type=int, help="People on the form at once.")
@click.option("--check-in-s", type=int, help="Seconds between check-ins near the front.")
@click.option(
    "--poll-budget", "poll_budget_per_s", type=int, help="Polls per second over the whole room."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    show_default=True,
    help="The same seed gives the same day.",
)
@click.option(
    "--scripts",
    is_flag=True,
    help="Let the Lua scripts decide, on a Valkey of their own, instead of the core: the same answers, "
    f"one round trip each, so {SCRIPTED_PEOPLE:,} people unless --people says more.",
)
@click.option(
    "--json", "json_file", metavar="FILE|-", help="Write the report as JSON; - is stdout."
)
@click.option(
    "--plot", "plot_file", type=click.Path(path_type=Path), help="Draw the day's curves as a PNG."
)
def simulate(
    name: str,
    people: int | None,
    hours: float | None,
    no_shows: float,
    programme: Path | None,
    wave: str | None,
    seed: int,
    scripts: bool,
    json_file: str | None,
    plot_file: Path | None,
    **knobs: Any,
) -> None:
    """Lead a launch day's crowd through the real rules in virtual time, and say what it would be like.

    The crowd arrives, waits, polls, claims, registers and gives up as its profile says; who may go when
    is decided by the gateway's own code. 1.3 million people take a minute or two.
    """
    _check_tools(plot_file)
    profile = PROFILES[name]
    policy = _policy(profile, programme, wave, knobs)
    _check_writable(json_file, plot_file)
    from gateway.simulation.engine import Scenario

    hours = profile.hours if hours is None else hours
    if people is None:
        people = SCRIPTED_PEOPLE if scripts else round(profile.people(hours * 3600))
    scenario = Scenario(profile, policy, people, hours, no_shows, seed)
    with _day(scenario, scripts=scripts) as day:
        _lead(day)
        _tell(day, scenario, name, "scripts" if scripts else "core", json_file)
    if plot_file:
        from gateway.simulation.plot import plot

        plot(day, f"{name}: {people:,} people at {policy.rate_per_s:g}/s", plot_file)


def _check_tools(plot_file: Path | None) -> None:
    """Refuse at once what would fail after minutes."""
    for module in ("numpy", "matplotlib") if plot_file else ("numpy",):
        if importlib.util.find_spec(module) is None:
            raise click.ClickException(f"{module} is missing: {INSTALL}")


def _check_writable(json_file: str | None, plot_file: Path | None) -> None:
    for option, file in (("--json", json_file), ("--plot", plot_file)):
        if file and file != "-" and (Path(file).is_dir() or not Path(file).parent.is_dir()):
            raise click.BadParameter(f"{file} cannot be written", param_hint=option)


def _policy(
    profile: Profile, file: Path | None, wave_id: str | None, knobs: Mapping[str, Any]
) -> Policy:
    """Return the policy to try: the file's or the profile's, changed by the options."""
    if file is None and wave_id is not None:
        raise click.UsageError("--wave needs --programme")
    base = Policy(**asdict(_wave_policy(file, wave_id))) if file else Policy(**dict(profile.policy))  # type: ignore[arg-type]
    changes = {key: value for key, value in knobs.items() if value is not None}
    rate_per_s = changes.get("rate_per_s", base.rate_per_s)
    if "burst" not in changes and "rate_per_s" in changes:
        changes["burst"] = max(1, int(min(rate_per_s, 100_000)))
    policy = validate(changes, base)
    if isinstance(policy, Policy):
        return policy
    raise click.UsageError(
        "; ".join(f"{violation.pointer[1:]} {violation.detail}" for violation in policy)
    )


def _wave_policy(file: Path, wave_id: str | None) -> Policy:
    waves = load_programmes([file])[0].waves
    for wave in waves:
        if wave_id in (None, wave.id):
            return wave.policy
    known = ", ".join(wave.id for wave in waves)
    raise click.BadParameter(f"{file} has no wave {wave_id}, but {known}", param_hint="--wave")


@contextlib.contextmanager
def _day(scenario: "Scenario", *, scripts: bool) -> Iterator["Day"]:
    from gateway.simulation.engine import make_day, new_room

    room = new_room(scenario)
    if not scripts:
        yield make_day(scenario, room)
        return
    from gateway.simulation.scripted import ScriptedWorld, server

    with server() as client:
        yield make_day(scenario, room, lambda start: ScriptedWorld(client, start))


def _lead(day: "Day") -> None:
    """Lead the day to its end; the bar is for those who watch a terminal."""
    from gateway.simulation.tally import TICKS_PER_S

    seconds = day.tick_count // TICKS_PER_S
    hidden = not sys.stderr.isatty()
    with click.progressbar(
        day.run(), length=seconds, label="simulating", file=sys.stderr, hidden=hidden
    ) as passing:
        for _ in passing:
            pass


def _tell(
    day: "Day", scenario: "Scenario", name: str, decided_by: str, json_file: str | None
) -> None:
    from gateway.simulation import report, table

    told = report.document(day, scenario, name, decided_by)
    if json_file:
        raw = orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        if json_file == "-":
            click.echo(raw.decode(), nl=False)
            return
        Path(json_file).write_bytes(raw)
    click.echo(table.text(told), nl=False)
