"""Locust sends the crowd: one user, with cookies of its own, for each applicant.

    locust -f loadtests/locustfile.py --headless --host http://127.0.0.1:8080 -u 200 -r 200

Arrivals are by the clock, whatever the gateway does (an open model): all users stand ready before the
first one is due. How late each step began is measured, for a generator that cannot keep up proves nothing.
One process sends up to some 1,500 requests a second.

The applicants' conduct is in ``conduct``; this file only lets it speak HTTP.
"""

import locust  # isort: skip  before all others: it makes the standard library cooperative

import itertools
import json
import sys
import time
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
from geventhttpclient.client import HTTPClientPool
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.exception import StopUser

from loadtests.applicants import make_person
from loadtests.conduct import Applicant
from loadtests.journal import SHED, Journal, Tally, write_tally
from loadtests.profiles import PROFILES
from loadtests.steps import Answer, Ask, Wait

SPAWN_S = 2.0  # for all users to stand ready
ANSWER_S_MAX = 10.0
# Shared by all users. The client looks at idle connections by select(), which takes no descriptor above
# 1,023: with one connection each, the second thousand would connect anew for every request.
CONNECTIONS = 500
NOTHING = Answer(0)


class Run:
    """What the users of one run share."""

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options
        assert options is not None
        self.profile = PROFILES[options.crowd]
        self.wave: str = options.wave
        self.seed: int = options.seed
        opens_s = _opening_s(f"{environment.host}/v1/waves/{self.wave}/board")
        self.folder = Path(options.folder)
        self.journal = Journal(self.folder)
        self.tally = Tally()
        self.ids = itertools.count()
        self.unfinished = options.num_users or 1
        self.begins_s = max(time.time() + SPAWN_S, opens_s - self.profile.early_s)  # wall clock
        self.opens_due_s = _due_s(self.begins_s + self.profile.early_s)

    def end(self, **_: Any) -> None:
        """Write down what was counted."""
        self.journal.close()
        write_tally(self.folder, self.tally.document(began_s=self.begins_s, ended_s=time.time()))


run: Run


def _due_s(wall_s: float) -> float:
    """Return an instant on the clock that waits go by: it is never set."""
    return time.monotonic() + wall_s - time.time()


def _opening_s(board_url: str) -> float:
    with urllib.request.urlopen(board_url, timeout=ANSWER_S_MAX) as answer:  # noqa: S310  --host
        return datetime.fromisoformat(json.load(answer)["opens_at"]).timestamp()


@locust.events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--wave", default="demo-1", help="Id of the wave to register for.")
    parser.add_argument("--crowd", choices=PROFILES, default="smoke", help="How people come.")
    parser.add_argument("--seed", type=int, default=1, help="Another seed, another crowd.")
    parser.add_argument("--folder", default="build/loadtest", help="Where the journal is written.")


@locust.events.test_start.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Environment, **_: Any) -> None:
    global run  # noqa: PLW0603  Locust makes the users and gives them nothing but the environment
    if not environment.host:
        sys.exit("--host is missing: the gateway's address")
    try:
        run = Run(environment)
    except OSError as error:  # an HTTP error is one: no such wave
        sys.exit(f"{environment.host} shows no board of this wave: {error}")
    environment.events.test_stop.add_listener(run.end)  # type: ignore[no-untyped-call]


class Visitor(FastHttpUser):
    """Drives one applicant."""

    client_pool = HTTPClientPool(
        concurrency=CONNECTIONS, connection_timeout=ANSWER_S_MAX, network_timeout=ANSWER_S_MAX
    )

    @locust.task
    def live(self) -> None:
        """Live one applicant's life, step by step as it says, from its arrival on."""
        person = make_person(run.profile, run.seed, next(run.ids))
        way = Applicant(person, run.wave, run.journal.note).live()
        self._wait_until(run.opens_due_s + person.arrives_s)
        try:
            step = next(way)
            while True:
                if isinstance(step, Wait):
                    self._wait_until(time.monotonic() + step.seconds)
                    step = way.send(NOTHING)
                else:
                    step = way.send(self._ask(step))
        except StopIteration:
            self._leave_stage()

    def _leave_stage(self) -> None:
        run.unfinished -= 1
        if not run.unfinished and self.environment.runner:
            self.environment.runner.quit()
        raise StopUser

    def _wait_until(self, due_s: float) -> None:
        gevent.sleep(max(0.0, due_s - time.monotonic()))
        run.tally.late(time.monotonic() - due_s)

    def _ask(self, ask: Ask) -> Answer:
        asked_s = time.time()
        with self.client.request(
            ask.method, ask.path, name=ask.name, json=ask.form, catch_response=True
        ) as response:
            answered_s = time.time()
            document = _document(response.content)
            answer = Answer(
                response.status_code,
                document,
                _retry_s(response.headers, document),
                asked_s,
                answered_s,
            )
            if answer.status in ask.expected or answer.is_shed:
                response.success()
            else:
                response.failure(f"{answer.status} {document.get('type', '')}")
        word = SHED if answer.is_shed else str(answer.status)
        run.tally.count(ask.name, word, answered_s - asked_s)
        return answer


def _document(content: bytes | None) -> Mapping[str, Any]:
    try:
        document = json.loads(content or b"")
    except ValueError:  # a page
        return {}
    return document if isinstance(document, dict) else {}


def _retry_s(headers: Mapping[str, str] | None, document: Mapping[str, Any]) -> float | None:
    """Return how long to wait; a refusal without Retry-After does not count as shed."""
    told: str = (headers or {}).get("Retry-After", "")
    if not told.isdecimal():
        return None
    return float(document.get("retry_in_ms", 1000 * int(told))) / 1000
