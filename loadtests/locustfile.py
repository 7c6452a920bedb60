"""Locust sends the crowd: some hundred and sixty couriers carry the requests of all virtual applicants.

    locust -f loadtests/locustfile.py --headless --host http://127.0.0.1:8080 --wave demo-1

One user per applicant would make Locust wait for itself; so a diary of applicants (``couriers``) says who
is due, and users only carry. Tickets are the applicants', connections the couriers'. Each answer's time
is reported with the delay by which its step began, or else a stall would hide behind the few who noticed
it. ``--tags hammerer bot`` and ``--exclude-tags bot`` choose kinds of people, each as many and as they
would have come among all. With ``--processes N``, or with workers of Locust's own, the people are shared
out among them.
"""

import locust  # isort: skip  before all others: it makes the standard library cooperative

import ctypes
import signal
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
import orjson
from gevent.queue import SimpleQueue
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from gateway.simulation.arrivals import HABITS
from loadtests.couriers import Diary, Life, carry, crowd, lives_of
from loadtests.journal import SHED, THROTTLED, Journal, Tally, write_tally
from loadtests.scenario import Scenario, add_arguments, scenario_of
from loadtests.steps import Answer, Ask
from loadtests.wire import answer_of, headers_of, word_of

COURIERS = 160
ANSWER_S_MAX = 10.0
PR_SET_PDEATHSIG = 1  # prctl(2)
GRAIN_S = 0.003  # how often the diary is looked into
ALL_OVER = "all-over"  # what a process says when its applicants have come to their ends


class Run:
    """What the couriers of one process share."""

    def __init__(self, environment: Environment, scenario: Scenario, opens_s: float) -> None:
        options, runner = environment.parsed_options, environment.runner
        assert options is not None
        assert runner is not None
        self.index, self.processes = 0, 1
        if isinstance(runner, WorkerRunner):
            self.index, self.processes = (
                runner.worker_index,
                options.processes or options.expect_workers,
            )
        self.folder = Path(options.folder)
        self.journal = Journal(self.folder, self.index)
        self.tally = Tally()
        self.diary = Diary()
        self.due: Any = SimpleQueue()  # of (due_s, life)
        self.opens_s, self.began_s = opens_s, time.time()  # wall clock
        self.lives = self._enter(scenario, options.wave, str(environment.host))
        self.unfinished = self.lives

    def _enter(self, scenario: Scenario, wave: str, host: str) -> int:
        """Enter everybody into the diary, on the clock that waits go by: it is never set."""
        opens_due_s = time.monotonic() + self.opens_s - time.time()
        host_cookies = urllib.parse.urlsplit(host).scheme == "https"
        kinds = _kinds()
        for person in crowd(scenario, self.index, self.processes):
            if person.habit not in kinds:
                continue
            for arrives_s, begin in lives_of(
                person, scenario, wave, self.journal.note, host_cookies=host_cookies
            ):
                self.diary.add(opens_due_s + arrives_s, begin)
        return len(self.diary)

    def dispatch(self, environment: Environment) -> None:
        """Hand out to couriers whoever is due, until nobody is left."""
        while self.unfinished:
            for due in self.diary.take(time.monotonic()):
                self.due.put(due)
            gevent.sleep(GRAIN_S)
        assert environment.runner is not None
        environment.runner.send_message(ALL_OVER)

    def end(self, **_: Any) -> None:
        """Write down what was counted."""
        self.journal.close()
        document = self.tally.document(
            lives=self.lives,
            waiting=self.diary.waiting(time.monotonic()),
            began_s=self.began_s,
            ended_s=time.time(),
        )
        write_tally(self.folder, document, self.index)


class Course:
    """How far the run is, as the shape sees it."""

    ends_s = 0.0  # wall clock
    over = 0  # processes whose applicants have come to their ends
    processes = 1


run: Run


def _opening_s(board_url: str) -> float:
    with urllib.request.urlopen(board_url, timeout=ANSWER_S_MAX) as answer:  # noqa: S310  --host
        return datetime.fromisoformat(orjson.loads(answer.read())["opens_at"]).timestamp()


@locust.events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    add_arguments(parser, "--crowd", profile="smoke")  # Locust has a --profile of its own
    parser.add_argument("--wave", default="demo-1", help="Id of the wave to register for.")
    parser.add_argument("--folder", default="build/loadtest", help="Where the journal is written.")


@locust.events.init.add_listener  # type: ignore[untyped-decorator]
def _hear(environment: Environment, **_: Any) -> None:
    def over(**_: Any) -> None:
        Course.over += 1

    assert environment.runner is not None
    environment.runner.register_message(ALL_OVER, over)
    options = environment.parsed_options
    if isinstance(environment.runner, WorkerRunner) and options and options.processes:
        # Without the process that has forked it nobody would stop it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@locust.events.test_start.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Environment, **_: Any) -> None:
    global run  # noqa: PLW0603  Locust makes the users and gives them nothing but the environment
    options = environment.parsed_options
    assert options is not None
    if not environment.host:
        sys.exit("--host is missing: the gateway's address")
    try:
        scenario = scenario_of(options)
        opens_s = _opening_s(f"{environment.host}/v1/waves/{options.wave}/board")
    except (OSError, ValueError) as error:  # an HTTP error is one: no such wave
        sys.exit(f"{environment.host}: {error}")
    if not _kinds():
        sys.exit(f"--tags leave nobody; there are {', '.join(HABITS)}")
    Course.ends_s = opens_s + scenario.profile.open_s + scenario.profile.tail_s
    if isinstance(environment.runner, MasterRunner):
        Course.processes = options.expect_workers
        return
    run = Run(environment, scenario, opens_s)
    environment.events.test_stop.add_listener(run.end)  # type: ignore[no-untyped-call]
    gevent.spawn(run.dispatch, environment)


class Stages(locust.LoadTestShape):
    """Couriers for as long as there are lives; what goes on meanwhile is the scenario's."""

    def tick(self) -> tuple[int, float] | None:
        """Return how many couriers there should be; None: it is over."""
        if Course.ends_s and (time.time() > Course.ends_s or Course.over >= Course.processes):
            return None
        return COURIERS, COURIERS


def _errand(habit: str) -> Callable[["Courier"], None]:
    """Return a task that Locust's ``--tags`` can choose: it serves all, but stands for one kind of people."""

    def errand(courier: "Courier") -> None:
        courier.work()

    tagged: Callable[[Courier], None] = locust.tag(habit)(errand)
    return tagged


def _kinds() -> frozenset[str]:
    """Return which kinds of people come: those whose errands Locust has left to couriers."""
    return frozenset().union(*(getattr(task, "locust_tag_set", ()) for task in Courier.tasks))


class Courier(FastHttpUser):
    """Carries requests of whoever is due."""

    tasks = [_errand(habit) for habit in HABITS]  # noqa: RUF012  Locust declares it so

    concurrency = 1
    connection_timeout = network_timeout = ANSWER_S_MAX

    def on_start(self) -> None:
        """Keep no cookies: they are the applicants'."""
        self.client.client.cookiejar = None
        self._late_ms, self._habit = 0.0, ""

    def work(self) -> None:
        """Carry one life after the other, each to its next wait."""
        while True:
            due_s, life = run.due.get()
            self._late_ms = (time.monotonic() - due_s) * 1000
            run.tally.lags.add(self._late_ms)
            if not isinstance(life, Life):
                run.tally.arrived(time.time() - run.opens_s)
                life = life()
            self._habit = life.habit
            wait_s = carry(life, self._ask, Answer(0, answered_s=time.time()))
            if wait_s is None:
                run.unfinished -= 1
            else:
                run.diary.add(time.monotonic() + wait_s, life)

    def _ask(self, ask: Ask) -> Answer:
        asked_s = time.time()
        with self.client.request(
            ask.method,
            ask.path,
            name=ask.name,
            json=ask.form,
            headers=headers_of(ask),
            catch_response=True,
        ) as response:
            answered_s = time.time()
            answer = answer_of(ask, response, asked_s, answered_s)
            took_ms = (answered_s - asked_s) * 1000 + self._late_ms
            response.request_meta["response_time"] = took_ms
            word = word_of(answer)
            if answer.status in ask.expected or word in {SHED, THROTTLED}:
                response.success()
            else:
                response.failure(f"{answer.status} {answer.document.get('type', '')}")
        run.tally.count(self._habit, ask.name, word, answered_s - run.opens_s, took_ms)
        self._late_ms = 0.0  # the page's other requests began when they could
        return answer
