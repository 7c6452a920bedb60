"""Which crowd comes? A profile of the one table of shapes, at any size, with what a run varies in it.

``gateway/simulation/arrivals`` holds the table. A scenario is the same in the run, in every process of the
generator and in the tests: it travels as command-line arguments.
"""

import argparse
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway.simulation.arrivals import HABITS, SENT, Profile

GRID = 4_000  # points on which the curve of arrivals is inverted
PEOPLE_MAX = 200_000
WINDOW = re.compile(r"(\d{1,3})%@(-?\d+):(-?\d+)")


@dataclass(frozen=True, slots=True)
class Bots:
    """A stretch of time in which many of those who come are bots."""

    share: float
    from_s: float  # from the opening
    until_s: float

    def __str__(self) -> str:
        return f"{self.share:.0%}@{self.from_s:.0f}:{self.until_s:.0f}"


@dataclass(frozen=True)
class Scenario:
    """One crowd."""

    name: str
    people: int
    seed: int = 1
    hammer: float = 1.0  # so many times as many hammerers
    bots: Bots | None = None  # more than the table has
    jitter: bool = True  # False: pages ask exactly when they are told to

    @property
    def profile(self) -> Profile:
        """Return the row of the table."""
        return SENT[self.name]

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """Return each habit's share of people; the patient make room for more hammerers."""
        shares = {name: habit.share for name, habit in HABITS.items()}
        more = min(shares["patient"], shares["hammerer"] * (self.hammer - 1))
        return shares | {
            "hammerer": shares["hammerer"] + more,
            "patient": shares["patient"] - more,
        }

    @cached_property
    def _curve(self) -> tuple[Sequence[float], Sequence[float]]:
        first_s, last_s = -self.profile.early_s, self.profile.open_s
        grid_s = [first_s + (last_s - first_s) * point / GRID for point in range(GRID + 1)]
        return grid_s, [self.profile.people(at_s) for at_s in grid_s]

    def arrives_s(self, share: float) -> float:
        """Return by when this share of the people has come, from the opening."""
        grid_s, come = self._curve
        wanted = share * come[-1]
        right = max(1, bisect_left(come, wanted))
        low, high = come[right - 1], come[right]
        part = (wanted - low) / (high - low) if high > low else 0.0
        return grid_s[right - 1] + part * (grid_s[right] - grid_s[right - 1])

    @property
    def requests_min(self) -> int:
        """How many requests the run has to send, where all of the profile's people come."""
        profile = self.profile
        return profile.requests_min if self.people >= round(profile.people()) else 0

    @property
    def seconds(self) -> float:
        """How long the run takes from the first arrival on."""
        return self.profile.early_s + self.profile.open_s + self.profile.tail_s

    def stage(self, at_s: float) -> str:
        """Name what is going on so long after the opening."""
        profile = self.profile
        if at_s < 0:
            return "prequeue" if at_s >= -profile.prequeue_s else "scheduled"
        if at_s < 3 * profile.waves[0].fading_s:
            return "spike"
        if at_s < profile.open_s - profile.surge_s:
            return "crowd"
        return "deadline" if at_s < profile.open_s else "closed"

    def arguments(self) -> list[str]:
        """Return the arguments that mean this scenario."""
        said = ["--crowd", self.name, "--people", f"{self.people}", "--seed", f"{self.seed}"]
        said += ["--hammer", f"{self.hammer:g}"]
        said += [] if self.bots is None else ["--bots", f"{self.bots}"]
        return said if self.jitter else [*said, "--no-jitter"]


def add_arguments(parser: argparse.ArgumentParser, *names: str, profile: str) -> None:
    """Teach a parser what a scenario is told by; ``names`` tell the profile, that one unless said."""
    notes = "; ".join(f"{name}: {SENT[name].note}" for name in SENT)
    notes = notes.replace("%", "%%")
    parser.add_argument(
        *names, dest="crowd", choices=SENT, default=profile, help=f"[{profile}] {notes}"
    )
    parser.add_argument("--people", type=int, help="how many come [as the profile says]")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another crowd")
    parser.add_argument("--hammer", type=float, default=1.0, help="times as many press F5")
    parser.add_argument("--bots", type=_bots, help="50%%@0:60: half of those who come then are")
    parser.add_argument("--no-jitter", action="store_true", help="pages ask when told, exactly")


def scenario_of(options: argparse.Namespace) -> Scenario:
    """Return the scenario that was told.

    Raises:
        ValueError: there is none such.

    """
    people = options.people or round(SENT[options.crowd].people())
    if not 1 <= people <= PEOPLE_MAX or not 0 <= options.hammer <= 10:
        raise ValueError(f"--people goes from 1 to {PEOPLE_MAX}, --hammer from 0 to 10")
    return Scenario(
        options.crowd,
        people,
        options.seed,
        options.hammer,
        options.bots,
        jitter=not options.no_jitter,
    )


def _bots(text: str) -> Bots:
    found = WINDOW.fullmatch(text)
    if not found or int(found[1]) > 100:
        raise argparse.ArgumentTypeError("a share and seconds from the opening: 50%@0:60")
    return Bots(int(found[1]) / 100, float(found[2]), float(found[3]))


def table() -> list[str]:
    """Return the table of shapes that are sent as real requests, as the documents show it."""
    head = "| profile | people | seconds | opens after | open for | rate/s | places | times as fast | |"
    lines = [head, "|" + "---|" * 9]
    for name in SENT:
        profile, scenario = SENT[name], Scenario(name, people=1)
        lines.append(
            f"| `{name}` | {profile.people():,.0f} | {scenario.seconds:,.0f} | {profile.early_s:,.0f} "
            f"| {profile.open_s:,.0f} | {profile.policy['rate_per_s']:g} | {profile.policy['quota']:,} "
            f"| {profile.compression:g} | {profile.note} |"
        )
    return lines
