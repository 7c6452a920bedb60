"""What does one request cost a `serve`, beside a bare aiohttp and an nginx? Rounds of volleys.

In rounds, so that what disturbs the machine disturbs all of them. Two gateways: in one the wave is wide open
and delivery takes a row a second, in the other all who join wait. Who registers has joined and claimed its
pass before the clock starts; each answer to a registration has waited for its fsync. What is refused are the
same registrations, while the intake is said to be full.
"""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import redis

from loadtests import system
from loadtests.applicants import fill, make_person
from loadtests.bench.generator import Answer, Server, Shot, fire, get, post
from loadtests.bench.live import room_key
from loadtests.children import Child, end, spawn
from loadtests.evidence import Terms
from loadtests.scenario import Scenario

Round = Mapping[str, Shot]  # by what was asked; nginx only where it is installed
WAVE = f"/v1/waves/{system.WAVE}"
RATE_PER_S = 100_000.0
OPENS_S = 2.0
WAIT_S_MAX = 60.0
LOOKS = 4  # times as many hellos, looks at a place and refusals as joins: they are as much shorter
CROWD = 3  # times as many join as are wanted to wait
IDLE_DELIVERY = "[store]\nmax_per_s = 1\n"
NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000;
server {{ listen 127.0.0.1:{port}; location / {{ return 200; }} }} }}
"""


def measure(people: int, times: int) -> Sequence[Round]:
    """Run the rounds."""
    quota = people * (times + 1)  # never full: no claim is refused for that
    wide = Terms(people * times, RATE_PER_S, burst=round(RATE_PER_S), quota=quota)
    lookers = people * LOOKS
    calm = Terms(lookers, 1.0, burst=1, quota=CROWD * lookers)
    with ExitStack() as stack:
        hello = stack.enter_context(_hello())
        nginx = stack.enter_context(_nginx()) if has_nginx() else None
        gateway, serve = stack.enter_context(_gateway(wide))
        waiting, waited = stack.enter_context(_gateway(calm))
        forms = _forms(gateway.url, range(wide.people))
        looks = _looks(waiting, waited, lookers)  # once a round each: nobody is too quick
        servers = [hello, serve, waited, *([nginx] if nginx else [])]
        with (
            _apart(*servers),
            redis.Redis(unix_socket_path=str(gateway.folder / "data" / "valkey.sock")) as room,
        ):
            done = []
            for first in range(0, wide.people, people):
                shots = {"hello": fire(hello, [get("/")] * len(looks))}
                if nginx:
                    shots["nginx"] = fire(nginx, [get("/")] * len(looks))
                shots["place"] = fire(waited, looks)
                _bodies(shots["place"].answers, 200)
                shots |= _round(serve, room, forms[first : first + people])
                for name, shot in shots.items():
                    _tell(name, shot)
                done.append(shots)
            return done


def has_nginx() -> bool:
    """Say whether nginx is installed."""
    return shutil.which("nginx") is not None


def _round(serve: Server, room: Any, forms: Sequence[bytes]) -> Round:
    """Join, claim, register, and be refused."""
    joined = fire(serve, [post(f"{WAVE}/tickets")] * len(forms))
    tickets = [orjson.loads(body)["ticket"] for body in _bodies(joined.answers, 201)]
    passes = _claim(serve, tickets)
    pairs = zip(passes, forms, strict=True)
    registering = [post(f"{WAVE}/registrations", *pair) for pair in pairs]
    registered = fire(serve, registering)
    _bodies(registered.answers, 201)
    with _full(room):
        _wait(lambda: fire(serve, registering[:1]).answers[0].status == 503, "a refusal")
        refused = fire(serve, registering * LOOKS)
    _bodies(refused.answers, 503)
    _wait(lambda: fire(serve, registering[:1]).answers[0].status == 201, "an answer")
    return {"join": joined, "register": registered, "refuse": refused}


@contextmanager
def _full(room: Any) -> Iterator[None]:
    """Have the intake's cap be reached; every gate follows within a second."""
    document = room.hget(room_key("policy"), "document")
    policy = json.loads(document)

    def cap(policy: Mapping[str, Any]) -> None:
        changed = {"revision": int(room.hget(room_key("room"), "revision")) + 1}
        room.hset(room_key("policy"), mapping=changed | {"document": json.dumps(policy)})
        room.hset(room_key("room"), mapping=changed | {"intake_cap": policy["intake_cap"]})

    cap(policy | {"intake_cap": 1})
    try:
        yield
    finally:
        cap(policy)


def _claim(serve: Server, tickets: Sequence[str]) -> Sequence[str]:
    """Ask for passes until everybody has one."""
    passes: dict[str, str] = {}

    def have_all() -> bool:
        waiting = [ticket for ticket in tickets if ticket not in passes]
        asked = fire(serve, [post(f"{WAVE}/pass", ticket) for ticket in waiting])
        for ticket, answer in zip(waiting, asked.answers, strict=True):
            if answer.status in (200, 201):
                passes[ticket] = orjson.loads(answer.body)["pass"]
        return len(passes) == len(tickets)

    _wait(have_all, "passes for all")
    return [passes[ticket] for ticket in tickets]


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S_MAX
    while not holds():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{what}: not within {WAIT_S_MAX:.0f} s")
        time.sleep(0.2)


def _looks(gateway: system.Gateway, serve: Server, people: int) -> list[bytes]:
    """Have more join than are wanted, and return how those look at their places who are left to wait.

    Nobody is there at the opening, so `called` runs over the first ones.
    """
    joins = [post(f"{WAVE}/tickets")] * people
    joined = [body for _ in range(CROWD) for body in _bodies(fire(serve, joins).answers, 201)]
    _wait(lambda: gateway.board()["advance_per_s"] is not None, "the pace")
    waiting: list[bytes] = []
    for first in range(0, len(joined), people):
        tickets = [orjson.loads(body)["ticket"] for body in joined[first : first + people]]
        looks = [get(f"{WAVE}/place", ticket) for ticket in tickets]
        answers = zip(looks, fire(serve, looks).answers, strict=True)
        waiting += [look for look, answer in answers if b'"state":"waiting"' in answer.body]
    if len(waiting) < people:
        raise RuntimeError(f"{len(waiting)} wait, not {people}")
    return waiting[:people]


def _tell(name: str, shot: Shot) -> None:
    print(
        f"  {name}: {shot.per_s:,.0f}/s, {shot.cpu_per_request_s * 1e6:.1f} us of CPU each, server "
        f"{shot.server_s / shot.wall_s:.0%}, generator {shot.client_s / shot.wall_s:.0%} of the time",
        file=sys.stderr,
        flush=True,
    )


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
def _gateway(terms: Terms) -> Iterator[tuple[system.Gateway, Server]]:
    """Yield a whole gateway, and its one front door."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        gateway = system.start(Path(name), terms, opens_s=OPENS_S, more=IDLE_DELIVERY, processes=1)
        try:
            yield gateway, _serve_of(gateway)
        finally:
            gateway.stop()


def _serve_of(gateway: system.Gateway) -> Server:
    """Return the one front door among the children of `gateway up`."""
    assert gateway.child is not None
    of = gateway.child.pid
    for pid in Path(f"/proc/{of}/task/{of}/children").read_text().split():
        if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return Server(int(gateway.url.rpartition(":")[2]), int(pid))
    raise RuntimeError("`gateway up` has no front door")


@contextmanager
def _hello() -> Iterator[Server]:
    """Yield the bare application."""
    with _child([sys.executable, "-m", "loadtests.bench.hello"]) as (child, log):
        _wait(lambda: log.read_text().startswith("port "), "hello-world")
        yield Server(int(log.read_text().split()[1]), child.pid)


@contextmanager
def _nginx() -> Iterator[Server]:
    """Yield a bare `return 200` of one process."""
    with (
        tempfile.TemporaryDirectory(prefix="gw-bench-") as name,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        port = taken.getsockname()[1]
        taken.close()
        settings = Path(name) / "nginx.conf"
        settings.write_text(NGINX.format(folder=name, port=port))
        with _child(["nginx", "-c", str(settings), "-p", name]) as (child, _):
            server = Server(port, child.pid)
            _wait(lambda: _answers(server), "nginx")
            yield server


def _answers(server: Server) -> bool:
    try:
        return fire(server, [get("/")]).answers[0].status == 200
    except OSError:
        return False


@contextmanager
def _child(command: Sequence[str]) -> Iterator[tuple[Child, Path]]:
    """Yield a process of the run, and where it talks to."""
    with tempfile.NamedTemporaryFile(prefix="gw-bench-") as log:
        child = spawn(command, Path(log.name))
        try:
            yield child, Path(log.name)
        finally:
            end(child, signal.SIGTERM, 5.0)


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
