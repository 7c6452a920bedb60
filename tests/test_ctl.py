"""The operator's hand on a real listener: what it prints, and with which code it ends."""

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from gateway import ctl_change
from gateway.core.credentials import Role
from gateway.core.policy import Policy
from gateway.core.snapshot import Phase
from gateway.ctl import ctl
from gateway.ctl_next import suggestion
from gateway.ctl_text import duration, status_text, value_text
from gateway.ports import OutcomeUnknownError, PortUnavailableError
from tests.operations_house import NOW_US, OPEN, OperatorsHouse, a_snapshot

MINUTE_US = 60_000_000


class Processes:
    """Two front doors that go by each revision as soon as it stands, and a delivery."""

    def __init__(self, house: OperatorsHouse) -> None:
        self.house = house
        self.behind: set[str] = set()
        self.broken = False

    async def alive(self) -> list[dict[str, Any]]:
        if self.broken:
            raise RuntimeError
        revisions = {wave: held.revision for wave, held in self.house.policies.held.items()}
        rows: list[dict[str, Any]] = [{"process": "deliver-1", "pid": 9}]
        for name in ("serve-1", "serve-2"):
            known = dict.fromkeys(revisions, 1) if name in self.behind else revisions
            rows.append({"process": name, "revisions": known})
        return rows


@dataclass
class Gateway:
    """A listener on a loop of its own, and the files of its operator."""

    folder: Path
    house: OperatorsHouse = field(default_factory=OperatorsHouse)
    url: str = ""

    def __post_init__(self) -> None:
        self.processes = Processes(self.house)
        self.house.operations._processes = self.processes
        self.house.desk._processes = self.processes
        self.house.room("wave-2").observe(a_snapshot(Phase.CLOSED))
        self.credential_file = self.hold(self.house.credentials[Role.ADMIN])
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.ready: Future[str] = Future()
        self.stop = asyncio.Event()

    def _serve(self) -> None:
        async def serve() -> None:
            async with TestServer(self.house.app()) as server:
                self.ready.set_result(str(server.make_url("")).rstrip("/"))
                await self.stop.wait()

        self.loop.run_until_complete(serve())
        self.loop.close()

    def hold(self, text: str) -> Path:
        path = self.folder / "held.credential"
        path.unlink(missing_ok=True)
        path.write_text(f"{text}\n")
        path.chmod(0o400)
        return path

    @property
    def environ(self) -> dict[str, str]:
        return {
            "GATEWAY_CTL_URL": self.url,
            "GATEWAY_CTL_CREDENTIAL_FILE": str(self.credential_file),
        }

    def run(self, *words: str, **environ: str) -> Result:
        return CliRunner().invoke(ctl, words, env=self.environ | environ)

    def see(self, phase: Phase, **changes: Any) -> None:
        self.house.room().observe(a_snapshot(phase, **changes))

    @property
    def policy(self) -> Policy:
        held = self.house.policies.held.get("wave-1")
        return held.policy if held else Policy()


@pytest.fixture
def silence() -> Iterator[None]:
    """Both sides are this process: only what the operator's side says is looked at."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def gateway(tmp_path: Path, silence: None) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path)
    gateway.thread.start()
    gateway.url = gateway.ready.result(10)
    yield gateway
    gateway.loop.call_soon_threadsafe(gateway.stop.set)
    gateway.thread.join(10)


def test_a_change_is_told_with_its_revision_and_who_goes_by_it(gateway: Gateway) -> None:
    result = gateway.run("rate", "25", "--confirm", "25", "--reason", "store fine")
    assert result.exit_code == 0, result.output
    head, _, tail = result.stdout.partition(" in ")
    assert head == "revision 2: rate 10/s → 25/s, 2 of 2 processes confirmed"
    assert float(tail.removesuffix(" s\n")) <= 1
    assert gateway.policy.rate_per_s == 25
    assert gateway.house.policies.records["wave-1"][0]["reason"] == "store fine"
    assert gateway.house.policies.records["wave-1"][0]["who"] == "admin"


def test_a_burst_that_no_longer_fits_is_lowered_and_that_is_said(gateway: Gateway) -> None:
    result = gateway.run("rate", "5/s", "--reason", "careful")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == "burst is lowered to 5: at most one second of rate"
    assert "rate 10/s → 5/s, burst 10 → 5" in result.stdout
    result = gateway.run("rate", "0.5", "--confirm", "0.5", "--reason", "careful")
    assert "rate 5/s → 0.5/s, burst 5 → 1" in result.stdout
    result = gateway.run("rate", "50", "--burst", "40", "--confirm=50", "--reason", "go")
    assert "rate 0.5/s → 50/s, burst 1 → 40" in result.stdout


@pytest.mark.parametrize("word", ["fast", "nan", "inf", "1e999", ""])
def test_a_rate_that_is_no_number_is_refused_before_anybody_is_asked(
    gateway: Gateway, word: str
) -> None:
    result = gateway.run("rate", word, "--reason", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "must be a number" in result.stderr


def test_rate_0_is_refused_with_the_hint_to_pause(gateway: Gateway) -> None:
    result = gateway.run("rate", "0", "--reason", "stop")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "rate_per_s must be from 0.001 to 100000" in result.stderr
    assert "to stop, use paused" in result.stderr
    assert not gateway.house.made()


def test_pause_and_resume_are_undone_by_each_other(gateway: Gateway) -> None:
    result = gateway.run("pause", "--reason", "store slow")
    assert (
        'revision 2: paused no → yes, message "" → "sejak / since 16:00 WIB · store slow", 2 of 2 processes'
        in result.stdout
    )
    assert gateway.policy.paused
    result = gateway.run("pause", "--reason", "store slow")
    assert (result.exit_code, result.stdout) == (0, "revision 2: nothing to change\n")
    result = gateway.run("resume")
    assert "revision 3: paused yes → no" in result.stdout
    assert (gateway.policy.paused, gateway.policy.message) == (False, "")


def test_while_a_wave_is_open_a_change_needs_a_reason_and_resuming_does_not(
    gateway: Gateway,
) -> None:
    for phase in (Phase.OPEN, Phase.PREQUEUE):
        gateway.see(phase)
        for words in (("rate", "25"), ("pause",), ("set", "quota=5")):
            result = gateway.run(*words)
            assert (result.exit_code, result.stdout) == (2, "")
            assert "--reason" in result.stderr
    assert not gateway.house.made()
    gateway.see(Phase.SCHEDULED)
    assert gateway.run("rate", "25").exit_code == 0
    assert gateway.run("resume").exit_code == 0


def test_a_dry_run_says_what_would_be_and_changes_nothing(gateway: Gateway) -> None:
    result = gateway.run("rate", "25", "--dry-run")
    first, header, *rows = result.stdout.splitlines()
    assert first == "dry run: rate 10/s → 25/s; nothing was changed"
    assert header.split() == ["now", "after"]
    assert [row.split()[-1] for row in rows if "admitted" in row] == ["5.56/s"]
    assert (
        "⚠ the form cap of 1,000 would hold the rate at 5.56/s; form_cap=4500 would not"
        in result.stdout
    )
    assert (
        "! rate_per_s is more than half up or down from 10: it takes --confirm=25" in result.stdout
    )
    assert not gateway.house.made()
    plan = json.loads(gateway.run("pause", "--dry-run", "--json").stdout)
    assert (plan["dry_run"], plan["revision"]) == (True, 1)
    assert gateway.run("rate", "0", "--dry-run").exit_code == 2


def test_set_changes_several_fields_at_once_or_none(gateway: Gateway) -> None:
    words = ("set", "quota=164000", "message=Kami kembali pukul 16.00 – sabar", "paused=true")
    result = gateway.run(*words, "--confirm", "164000", "--reason", "x")
    assert result.exit_code == 0, result.output
    assert "quota 1,000 → 164,000" in result.stdout
    assert gateway.policy.message == "Kami kembali pukul 16.00 – sabar"
    result = gateway.run("set", "quota=NaN", "form_cap=many", "colour=7", "--reason", "x")
    assert result.exit_code == 2
    for word in ("quota must be a int", "form_cap must be a int", "colour is not a policy field"):
        assert word in result.stderr
    assert gateway.policy.quota == 164_000


@pytest.mark.parametrize("words", [(), ("quota",), ("quota=1", "x")])
def test_set_without_a_pair_is_misuse(gateway: Gateway, words: tuple[str, ...]) -> None:
    assert gateway.run("set", *words).exit_code == 2


def test_a_process_that_does_not_follow_is_told_and_the_code_says_degraded(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctl_change, "CONFIRM_S_MAX", 0.2)
    gateway.processes.behind = {"serve-2"}
    result = gateway.run("pause", "--reason", "x", "--json")
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert (answer["confirmed"], answer["processes"]) == (1, 2)
    result = gateway.run("resume")
    assert "1 of 2 processes confirmed after 0." in result.stdout


def test_a_change_that_came_second_is_refused_and_not_merged(gateway: Gateway) -> None:
    gateway.house.policies.faster = 1
    result = gateway.run("pause", "--reason", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "The policy has changed" in result.stderr
    assert not gateway.policy.paused


def test_status_says_how_the_wave_stands(gateway: Gateway) -> None:
    gateway.see(
        Phase.OPEN, issued=592_949, called=1_000, outstanding=930, accepted=41, backlog=37, stock=5
    )
    result = gateway.run("status")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "wave-1  OPEN  closes Sat 11 Apr 2020 17:00 WIB, in 1 h 0 min   open since 15:59 WIB",
        "  waiting 591,954   on form 930 of 1,000   registered 41 of 1,000   pending 37",
        "  rate 10/s (burst 10)   revision 1",
        "  polls 0/s, expected 42/s, budget 2,000/s",
        "",
        "wave-2  CLOSED  closes Sat 11 Apr 2020 17:00 WIB, in 1 h 0 min",
        "",
        "3 processes, snapshot 0.0 s old, accepting",
    ]


def test_status_measures_the_advance_and_promises_the_last_in_line_a_range(
    gateway: Gateway,
) -> None:
    room = gateway.house.room()
    room.policy = replace(room.policy, message="Sabar")
    for second in range(11):
        clock_us = NOW_US + second * 1_000_000
        gateway.see(Phase.OPEN, clock_us=clock_us, near=20, issued=1_000, called=second * 10)
    gateway.see(Phase.OPEN, clock_us=clock_us, near=20, issued=1_000, called=100, missing=2)
    text = gateway.run("status", "--wave", "wave-1").stdout
    assert (
        "called 10.0/s   next 0 s to 10 s   median 30 s to 1 min   last in line 1 min to 2 min"
        in text
    )
    assert "message: Sabar" in text
    assert "✖ 2 acknowledged registrations could not be found again" in text
    assert "wave-2" not in text


@pytest.mark.parametrize(
    ("phase", "code", "words"),
    [
        (Phase.SCHEDULED, 0, "SCHEDULED  opens "),
        (Phase.PREQUEUE, 0, "PREQUEUE  opens "),
        (Phase.OPEN, 0, "OPEN  closes "),
        (Phase.FULL, 0, "FULL  closes "),
        (Phase.PAUSED, 4, "PAUSED  closes "),
        (Phase.CLOSED, 5, "CLOSED  closed Sat 11 Apr 2020 15:00 WIB"),
        (Phase.RECOVERING, 3, "RECOVERING  closes "),
    ],
)
def test_the_code_of_status_says_the_state_in_short(
    gateway: Gateway, phase: Phase, code: int, words: str
) -> None:
    closes_at_us = NOW_US - 60 * MINUTE_US if phase is Phase.CLOSED else NOW_US + 60 * MINUTE_US
    gateway.see(phase, opens_at_us=NOW_US + 30 * MINUTE_US, closes_at_us=closes_at_us)
    result = gateway.run("status")
    assert (result.exit_code, words in result.stdout) == (code, True), result.stdout


def test_old_snapshots_and_hazards_are_degraded_with_their_reasons(gateway: Gateway) -> None:
    gateway.house.condition.hazards = ("Redis has appendfsync everysec",)
    gateway.house.condition.notices = ("redis.unsafe_ok is set",)
    gateway.house.clock_s += 5
    result = gateway.run("status")
    assert result.exit_code == 3
    assert "not accepting\n✖ Redis has appendfsync everysec\n" in result.stdout
    assert "✖ wave-1: last seen 5.0 s ago" in result.stdout
    assert "! redis.unsafe_ok is set" in result.stdout
    gateway.house.room().snapshot = None
    assert "wave-1  not seen yet" in gateway.run("status").stdout


def test_json_is_what_the_gateway_answers_and_nothing_else(gateway: Gateway) -> None:
    status = json.loads(gateway.run("status", "--json").stdout)
    assert [wave["wave"] for wave in status["waves"]] == ["wave-1", "wave-2"]
    assert status["schema"] == 1
    policy = json.loads(gateway.run("policy", "--json").stdout)
    assert (policy["wave"], policy["revision"], policy["policy"]["quota"]) == ("wave-1", 1, 1_000)
    changed = json.loads(gateway.run("pause", "--reason", "x", "--json").stdout)
    assert changed["changes"] == {
        "paused": {"before": False, "after": True}, "message": {"before": "", "after": "sejak / since 16:00 WIB · x"},
    }  # fmt: skip
    assert (changed["revision"], changed["confirmed"], changed["processes"]) == (2, 2, 2)
    (record,) = json.loads(gateway.run("audit", "--json").stdout)["records"]
    assert record["reason"] == "x"


def test_policy_and_audit_are_tables(gateway: Gateway) -> None:
    text = gateway.run("policy").stdout
    assert text.startswith("wave-1  revision 1\n  rate_per_s                   10/s\n")
    assert '  message                      ""\n' in text
    gateway.run("rate", "25", "--confirm", "25", "--reason", "store fine")
    header, row = gateway.run("audit", "--wave", "wave-1").stdout.splitlines()
    assert header.split() == ["REV", "AT", "WAVE", "WHO", "FROM", "CHANGE", "REASON"]
    assert row == "2    2020-04-11 16:00:00  wave-1  admin  127.0.0.1  rate 10/s → 25/s  store fine"


def test_which_wave_is_asked_for_where_several_could_be_meant(gateway: Gateway) -> None:
    gateway.house.room("wave-2").observe(OPEN)
    result = gateway.run("policy")
    assert result.exit_code == 2
    assert "wave-1 (open), wave-2 (open)" in result.stderr
    assert gateway.run("policy", "--wave", "wave-2").stdout.startswith("wave-2  revision 1")
    result = gateway.run("pause", "--wave", "wave-9", "--reason", "x")
    assert result.exit_code == 2
    assert "there is no wave wave-9; there are wave-1 (open)" in result.stderr


@pytest.mark.parametrize("role", [Role.VIEWER, None])
def test_who_may_not_is_refused(gateway: Gateway, role: Role | None) -> None:
    text = gateway.house.credentials[Role.VIEWER]
    if role is None:
        gateway.house.operators.clear()
    gateway.credential_file = gateway.hold(text)
    result = gateway.run("pause", "--reason", "x")
    assert result.exit_code == 2
    wanted = "This credential lacks the role" if role else "renews the credential"
    assert wanted in result.stderr
    assert text not in result.output


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (None, 0o400, "there is no credential at"),
        ("gwo_ctl_short_00000000", 0o400, "holds no credential"),
        ("\u00fc", 0o400, "cannot be read: not a credential"),
        ("x", 0o404, "open to everybody"),
    ],
)
def test_a_credential_file_that_cannot_be_used_is_refused_with_its_name(
    gateway: Gateway, text: str | None, mode: int, words: str
) -> None:
    path = gateway.folder / "other"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    result = gateway.run("status", "--credential-file", str(path))
    assert result.exit_code == 2
    assert words in result.stderr
    assert str(path) in result.stderr


def test_where_nobody_answers_the_code_is_6(gateway: Gateway) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        result = gateway.run("status", "--operator", url)
    assert (result.exit_code, result.stdout) == (6, "")
    assert f"cannot reach the gateway at {url}: Connection refused" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>no>",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_gateway_is_not_believed_and_not_followed(
    gateway: Gateway, answer: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        result = gateway.run("status", "--operator", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join(5)
    assert (result.exit_code, result.stdout) == (6, "")


def test_a_gateway_that_never_answers_is_given_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ctl_client.TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        began_s = time.monotonic()
        result = gateway.run("status", "--operator", url)
    assert result.exit_code == 6
    assert "no answer within 0.1 s" in result.stderr
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "127.0.0.1:8081",
        "http://",
        "http://x/y",
        "http://[x",
        "http://x:99999",
        "http://a:b@x",
    ],
)
def test_a_url_that_is_none_is_misuse(gateway: Gateway, url: str) -> None:
    result = gateway.run("status", "--operator", url)
    assert result.exit_code == 2
    assert "--operator must be http://host:port" in result.stderr


def test_an_outage_of_redis_is_a_problem_and_no_refusal(gateway: Gateway) -> None:
    gateway.house.policies.outage = PortUnavailableError("away")
    result = gateway.run("pause", "--reason", "x")
    assert result.exit_code == 1
    assert "Redis does not answer. Nothing was changed." in result.stderr
    gateway.house.policies.outage = OutcomeUnknownError("no answer")
    assert "may have been made" in gateway.run("pause", "--reason", "x").stderr


def test_options_stand_before_or_after_the_command_and_win_over_the_environment(
    gateway: Gateway,
) -> None:
    wrong = {"GATEWAY_CTL_URL": "http://127.0.0.1:1"}
    assert gateway.run("status", "--operator", gateway.url, **wrong).exit_code == 0
    assert gateway.run("--operator", gateway.url, "status", **wrong).exit_code == 0
    assert gateway.run("status", **wrong).exit_code == 6


def test_colours_are_for_terminals_that_want_them(gateway: Gateway) -> None:
    runner = CliRunner()
    coloured = runner.invoke(ctl, ["status"], env=gateway.environ, color=True)
    assert "\x1b[" in coloured.stdout
    plain = runner.invoke(ctl, ["status"], env=gateway.environ | {"NO_COLOR": "1"}, color=True)
    assert "\x1b[" not in plain.stdout


def test_watching_goes_on_through_an_outage_and_ends_with_ctrl_c(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[float] = []

    def pause(seconds: float) -> None:
        rounds.append(seconds)
        gateway.processes.broken = len(rounds) == 1
        if len(rounds) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("gateway.ctl.time.sleep", pause)
    result = gateway.run("status", "--watch", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["accepting"] for line in result.stdout.splitlines()] == [True, True]
    assert "A problem on our side" in result.stderr
    assert rounds == [1.0] * 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (90, "2 min"),
        (3_540, "59 min"),
        (11_820, "3 h 17 min"),
        (400_000, "4 days 15 h"),
    ],
)
def test_durations_are_told_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rate_per_s", 10.0, "10/s"),
        ("rate_per_s", 0.125, "0.125/s"),
        ("poll_budget_per_s", 2_000, "2,000/s"),
        ("quota", 164_000, "164,000"),
        ("paused", True, "yes"),
        ("message", "Sabar", '"Sabar"'),
        ("later", None, "None"),
    ],
)
def test_values_are_told_with_their_unit(name: str, value: Any, text: str) -> None:
    assert value_text(name, value) == text


def a_status(**wave: Any) -> dict[str, Any]:
    policy = {"rate_per_s": 50.0, "form_cap": 9_000}
    usual = {"wave": "wave-1", "phase": "open", "waiting": 7, "rate_per_s": 50.0, "outstanding": 8}
    delivery = {"circuit": "closed", "capacity_per_s": 68.0}
    closed = {"wave": "wave-0", "phase": "closed"}
    waves = [closed, usual | {"policy": policy} | wave]
    return {"waves": waves, "deliveries": [{"delivery": delivery}]}


def test_status_suggests_a_rate_where_the_store_takes_more_and_people_wait() -> None:
    assert suggestion(a_status()) == (
        "gateway ctl rate 64.6 --wave wave-1 --dry-run    # the store takes 68/s"
    )
    fast = a_status() | {"deliveries": [{"delivery": {"circuit": "closed", "capacity_per_s": 900}}]}
    assert "rate 75 " in (suggestion(fast) or ""), "no step that would need a confirmation"


@pytest.mark.parametrize(
    "changes",
    [
        *({"phase": phase} for phase in ("paused", "prequeue", "full", "scheduled")),
        {"waiting": 0},
        {"rate_per_s": 20.0},
        {"outstanding": 9_000},
        {"policy": {"rate_per_s": 60.0, "form_cap": 9_000}, "rate_per_s": 60.0},
    ],
)
def test_status_suggests_nothing_that_would_help_nobody(changes: dict[str, Any]) -> None:
    assert suggestion(a_status(**changes)) is None


def test_status_suggests_nothing_of_a_store_that_is_not_known_or_is_shared() -> None:
    status = a_status()
    for told in (
        {"circuit": "open", "capacity_per_s": 68.0},
        {"circuit": "closed", "capacity_per_s": None},
    ):
        assert (
            suggestion(status | {"deliveries": [*status["deliveries"], {"delivery": told}]}) is None
        )
    assert suggestion(status | {"deliveries": []}) is None
    other = {"wave": "wave-2", "phase": "prequeue"}
    assert suggestion(status | {"waves": [*status["waves"], other]}) is None


def test_status_says_who_is_refused_and_why() -> None:
    state = {
        "threshold": 0.62,
        "pending": 30,
        "in_flight_max": 40,
        "shed": {"far_poll": 1_200, "near_poll": 0, "join": 3},
        "signals": {"lag_s": 0.0071, "memory_free_ratio": 0.5, "descriptors_free_ratio": 0.9},
        "thresholds": {"lag_ms": 5},
    }
    quiet = state | {"threshold": 1.0}
    status = {
        "at": "2020-04-11T16:00:00+07:00",
        "accepting": True,
        "reasons": [],
        "notices": [],
        "waves": [],
    }
    rows = [{"shedding": quiet}, {"shedding": state}, {}]
    told = status_text(status | {"processes": rows}, [])
    assert told.splitlines()[-1] == (
        "! shedding: 62% of ranks let in, lag 7.1 of 5 ms, in flight 30 of 40, memory free 50%, "
        "descriptors free 90%, refused so far: far_poll 1,200, join 3"
    )
    assert "shedding" not in status_text(status | {"processes": [{"shedding": quiet}]}, [])
