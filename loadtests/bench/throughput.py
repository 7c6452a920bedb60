"""How many joins and registrations does one `serve` take, beside a bare aiohttp hello-world?

In rounds, so that what disturbs the machine disturbs both: hello, join, register, again. The wave is wide
open, delivery takes a row a second; who registers has joined and claimed its pass before the clock starts.
Each answer to a registration has waited for its fsync.
"""

import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from pathlib import Path

import orjson

from loadtests import system
from loadtests.applicants import fill, make_person
from loadtests.bench.generator import Answer, Server, Shot, fire, post
from loadtests.bench.rows import Row, Wanted
from loadtests.children import end, spawn
from loadtests.evidence import Terms
from loadtests.scenario import Scenario

WAVE = f"/v1/waves/{system.WAVE}"
RATE_PER_S = 100_000.0
OPENS_S = 2.0
CLAIM_S_MAX = 60.0
HELLO = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
IDLE_DELIVERY = "[store]\nmax_per_s = 1\n"


@dataclass(frozen=True, slots=True)
class Round:
    """The three volleys of a round."""

    hello: Shot
    join: Shot
    register: Shot


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows: each ratio by the processor time of a request, and by the clock."""

    @cache
    def rounds() -> Sequence[Round]:
        return measure(people=600 if quick else 4_000, times=2 if quick else 5)

    def by_cpu(choose: Callable[[Round], Shot]) -> Sequence[float]:
        return [each.hello.cpu_per_request_s / choose(each).cpu_per_request_s for each in rounds()]

    def by_clock(choose: Callable[[Round], Shot]) -> Sequence[float]:
        return [choose(each).per_s / each.hello.per_s for each in rounds()]

    return [
        row
        for name, least, choose in (
            ("joins", 0.6, attrgetter("join")),
            ("registrations", 0.3, attrgetter("register")),
        )
        for row in (
            Row(f"{name} / hello-world, CPU", _least(least), partial(by_cpu, choose)),
            Row(f"{name} / hello-world, clock", _least(least), partial(by_clock, choose)),
        )
    ]


def _least(ratio: float) -> Wanted:
    return Wanted(low=ratio, by_median=True)


def measure(people: int, times: int) -> Sequence[Round]:
    """Run the rounds."""
    terms = Terms(people * times, RATE_PER_S, burst=round(RATE_PER_S), quota=people * times)
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name, _hello(Path(name)) as hello:
        gateway = system.start(Path(name), terms, opens_s=OPENS_S, more=IDLE_DELIVERY, processes=1)
        try:
            serve = _serve_of(gateway)
            forms = _forms(gateway.url, range(terms.people))
            with _apart(hello, serve):
                return [
                    _round(hello, serve, forms[first : first + people])
                    for first in range(0, terms.people, people)
                ]
        finally:
            gateway.stop()


def _round(hello: Server, serve: Server, forms: Sequence[bytes]) -> Round:
    said = fire(hello, [HELLO] * 4 * len(forms))
    joined = fire(serve, [post(f"{WAVE}/tickets")] * len(forms))
    tickets = [orjson.loads(body)["ticket"] for body in _bodies(joined.answers, 201)]
    passes = _claim(serve, tickets)
    pairs = zip(passes, forms, strict=True)
    registered = fire(serve, [post(f"{WAVE}/registrations", *pair) for pair in pairs])
    _bodies(registered.answers, 201)
    for name, shot in (("hello", said), ("join", joined), ("register", registered)):
        _tell(name, shot)
    return Round(said, joined, registered)


def _tell(name: str, shot: Shot) -> None:
    limit = "; the generator was the limit" if shot.is_client_bound else ""
    print(
        f"  {name}: {shot.per_s:,.0f}/s, {shot.cpu_per_request_s * 1e6:.0f} us of CPU each, server "
        f"{shot.server_s / shot.wall_s:.0%}, generator {shot.client_s / shot.wall_s:.0%}{limit}",
        file=sys.stderr,
        flush=True,
    )


def _claim(serve: Server, tickets: Sequence[str]) -> Sequence[str]:
    """Ask for passes until everybody has one."""
    passes: dict[str, str] = {}
    deadline_s = time.monotonic() + CLAIM_S_MAX
    while waiting := [ticket for ticket in tickets if ticket not in passes]:
        asked = fire(serve, [post(f"{WAVE}/pass", ticket) for ticket in waiting])
        for ticket, answer in zip(waiting, asked.answers, strict=True):
            if answer.status in (200, 201):
                passes[ticket] = orjson.loads(answer.body)["pass"]
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{len(waiting)} got no pass: {asked.answers[-1]}")
        time.sleep(0.2)
    return [passes[ticket] for ticket in tickets]


def _bodies(answers: Sequence[Answer], status: int) -> Sequence[bytes]:
    """Return the bodies.

    Raises:
        RuntimeError: an answer is another one; what was refused must not be counted.

    """
    for answer in answers:
        if answer.status != status:
            raise RuntimeError(f"{answer.status} instead of {status}: {answer.body!r}")
    return [answer.body for answer in answers]


def _forms(url: str, persons: range) -> Sequence[bytes]:
    """Fill the wave's form in, ahead of the clock."""
    with urllib.request.urlopen(f"{url}{WAVE}/form", timeout=5) as answer:  # noqa: S310  our own
        schema = json.load(answer)
    crowd = Scenario("smoke", people=1)
    return [orjson.dumps(fill(schema, make_person(crowd, each))) for each in persons]


@contextmanager
def _hello(folder: Path) -> Iterator[Server]:
    """Yield the bare application."""
    log = folder / "hello.log"
    child = spawn([sys.executable, "-m", "loadtests.bench.hello"], log)
    try:
        deadline_s = time.monotonic() + system.READY_S_MAX
        while not (said := log.read_text()).startswith("port "):
            if time.monotonic() > deadline_s or child.poll() is not None:
                raise RuntimeError(f"hello-world does not start: {said}")
            time.sleep(0.02)
        yield Server(int(said.split()[1]), child.pid)
    finally:
        end(child, signal.SIGTERM, 5.0)


def _serve_of(gateway: system.Gateway) -> Server:
    """Return the one front door among the children of `gateway up`."""
    assert gateway.child is not None
    of = gateway.child.pid
    for pid in Path(f"/proc/{of}/task/{of}/children").read_text().split():
        if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return Server(int(gateway.url.rpartition(":")[2]), int(pid))
    raise RuntimeError("`gateway up` has no front door")


@contextmanager
def _apart(*servers: Server) -> Iterator[None]:
    """Keep the servers on one core and us on the others, where there are others."""
    cores = os.sched_getaffinity(0)
    first = {min(cores)}
    if len(cores) > 1:
        for server in servers:
            os.sched_setaffinity(server.pid, first)
        os.sched_setaffinity(0, cores - first)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
