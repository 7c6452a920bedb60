"""How many looks, joins, registrations and refusals does one `serve` take, beside the bare thing?

By the processor time of a request, and by the clock. The first stays what it is on a machine shared with
others; the second says nothing where the generator was the limit, and is told with it.
"""

from collections.abc import Sequence
from functools import cache, partial

from loadtests.bench.rows import Row, Wanted
from loadtests.bench.volleys import Round, has_nginx, measure

LEAST = {"place": 2.8, "join": 0.6, "register": 0.3}  # times hello-world
NAMES = {"place": "places", "join": "joins", "register": "registrations", "refuse": "refusals"}
PLACES_OF_NGINX = 0.6
REFUSAL_MAX = 0.02  # of a registration


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows."""

    @cache
    def rounds() -> Sequence[Round]:
        return measure(people=600 if quick else 4_000, times=2 if quick else 5)

    def by_cpu(one: str, other: str) -> Sequence[float]:
        shots = [(each[one], each[other]) for each in rounds()]
        return [its.cpu_per_request_s / mine.cpu_per_request_s for mine, its in shots]

    def by_clock(one: str, other: str) -> Sequence[float]:
        return [each[one].per_s / each[other].per_s for each in rounds()]

    def limits(*kinds: str) -> str:
        """Say who could not do more, where it was not the server."""
        found = {f"{each[kind].limit} ({kind})" for each in rounds() for kind in kinds}
        return ", ".join(sorted(limit for limit in found if not limit.startswith("server")))

    made = []
    for kind, least in LEAST.items():
        for against, ratio in (("hello", least), ("nginx", PLACES_OF_NGINX)):
            if against == "nginx" and not (kind == "place" and has_nginx()):
                continue
            wanted = Wanted(low=ratio, by_median=True)
            name, said = f"{NAMES[kind]} / {against}", partial(limits, kind, against)
            made.append(Row(f"{name}, CPU", wanted, partial(by_cpu, kind, against)))
            made.append(Row(f"{name}, clock", wanted, partial(by_clock, kind, against), said))
    refusal = partial(by_cpu, "register", "refuse")
    made.append(
        Row("refusal / registration, CPU", Wanted(high=REFUSAL_MAX, by_median=True), refusal)
    )
    return made
