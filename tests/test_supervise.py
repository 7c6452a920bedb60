"""A whole supervisor with a real Valkey; small programs stand in for front doors and delivery."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway import data
from gateway.faults import ConfigurationError
from gateway.settings import load_settings
from gateway.supervise import prepare_secrets
from tests.support import wait_for

STUB = """
import json, os, signal, sys
from gateway.notify import notify
record = os.environ["STUB_RECORD"]
def write(what):
    descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = json.dumps({"what": what, "command": sys.argv[1:], "pid": os.getpid(),
        "environ": {k: v for k, v in os.environ.items() if k.startswith("GATEWAY_")}})
    os.write(descriptor, line.encode() + b"\\n")
    os.close(descriptor)
def end(*_):
    write("end")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
if os.environ.get("STUB_CODE"):
    sys.exit(int(os.environ["STUB_CODE"]))
write("start")
notify(os.environ)
while True:
    signal.pause()
"""
DRIVER = """
import json, os, sys
from gateway.faults import CannotStartError
from gateway.settings import load_settings
from gateway.supervise import up
def on_ready(running):
    print(json.dumps([running.public_url, running.operator_url, running.first_start]), flush=True)
def say(text):
    print(text, file=sys.stderr, flush=True)
try:
    up(load_settings(None, os.environ), None, os.environ, fresh="--fresh" in sys.argv,
       command=[sys.executable, sys.argv[1]], on_ready=on_ready, say=say)
except CannotStartError as error:
    sys.exit(str(error))
"""


@dataclass
class Up:
    """A supervisor that said it was ready."""

    process: "subprocess.Popen[str]"
    public_url: str
    operator_url: str
    first_start: bool

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Stop it; return its exit code and what it said."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


class Place:
    """A directory with data and the record of what ran on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.record = folder / "record"
        (folder / "stub.py").write_text(STUB)
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(Path.cwd()),
            "STUB_RECORD": str(self.record),
            "GATEWAY_DATA_DIR": str(self.data),
            "GATEWAY_PUBLIC_PORT": "0",
            "GATEWAY_OPERATOR_PORT": "0",
            "GATEWAY_SERVE_DRAIN_S": "5",
        }

    @property
    def socket(self) -> Path:
        return self.data / "valkey.sock"

    def events(self, what: str) -> list[dict[str, Any]]:
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return [event for event in map(json.loads, lines) if event["what"] == what]

    def commands(self, what: str) -> list[str]:
        return [event["command"][0] for event in self.events(what)]

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.folder / "stub.py"), *arguments],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, *arguments: str, **environ: str) -> Iterator[Up]:
        """Yield a supervisor that is ready; end it afterwards if the test has not."""
        with self.start(*arguments, **environ) as process:
            assert process.stdout
            try:
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                yield Up(process, *json.loads(line))
            finally:
                process.terminate()

    def refusal(self, *arguments: str, **environ: str) -> str:
        """Return why it did not start."""
        with self.start(*arguments, **environ) as process:
            try:
                out, error = process.communicate(timeout=30)
            finally:
                process.terminate()
        assert process.returncode == 1, out
        assert out == ""
        return error.strip()


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        yield Place(Path(folder))


def is_gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_it_starts_valkey_two_doors_and_a_delivery_and_tells_them_where_all_is(
    place: Place,
) -> None:
    with place.running() as up:
        assert up.first_start
        assert sorted(place.commands("start")) == ["deliver", "serve", "serve"]
        for event in place.events("start"):
            assert event["environ"]["GATEWAY_REDIS_URL"] == f"unix://{place.socket}"
            assert up.public_url == f"http://127.0.0.1:{event['environ']['GATEWAY_PUBLIC_PORT']}"
            assert up.operator_url.endswith(f":{event['environ']['GATEWAY_OPERATOR_PORT']}")
        assert up.public_url != up.operator_url
        assert not up.public_url.endswith(":0")


def test_its_valkey_is_durable_private_and_without_a_port(place: Place) -> None:
    with place.running(), redis.Redis(unix_socket_path=str(place.socket)) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "slowlog-log-slower-than": "-1",
            "port": "0",
        }
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        assert int(client.config_get("maxmemory")["maxmemory"]) > 0
        for path in (place.data, place.data / "valkey", place.socket):
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_doors_then_delivery_and_exits_with_0(
    place: Place, number: signal.Signals
) -> None:
    with place.running() as up:
        assert up.end(number) == (0, "")
    assert place.commands("end") == ["serve", "serve", "deliver"]
    assert {path.name for path in place.data.iterdir()} == {"lock", "metrics", "secrets", "valkey"}


def test_what_valkey_holds_survives_a_restart(place: Place) -> None:
    with place.running() as up:
        with redis.Redis(unix_socket_path=str(place.socket)) as client:
            client.set("a", "1")
        assert up.end() == (0, "")
    with place.running() as up:
        assert not up.first_start
        with redis.Redis(unix_socket_path=str(place.socket)) as client:
            assert client.get("a") == b"1"


def test_killed_children_are_back_within_a_second_and_valkey_with_its_data(place: Place) -> None:
    with place.running() as up:
        with redis.Redis(unix_socket_path=str(place.socket)) as client:
            client.set("a", "1")
            server_pid = client.info("server")["process_id"]
        for pid in (place.events("start")[0]["pid"], server_pid):
            os.kill(pid, signal.SIGKILL)
        killed_s = time.monotonic()
        wait_for(lambda: len(place.events("start")) == 4, what="a child is back")

        def answers() -> bool:
            try:
                with redis.Redis(unix_socket_path=str(place.socket)) as client:
                    return bool(client.get("a") == b"1")
            except redis.RedisError:
                return False

        wait_for(answers, what="Valkey is back with its data")
        assert time.monotonic() - killed_s < 3  # a second on an idle machine
        code, said = up.end()
    assert code == 0
    assert "valkey was ended by SIGKILL; starts again at once" in said


def test_a_second_one_on_the_same_data_says_so(place: Place) -> None:
    with place.running() as up:
        refusal = place.refusal()
        assert refusal.startswith(f"a gateway is already running on {place.data}")
        assert f"process {up.process.pid}" in refusal
        assert len(place.events("start")) == 3


def test_a_second_one_on_the_same_port_says_so(place: Place) -> None:
    with place.running() as up:
        port = up.public_url.rpartition(":")[2]
        other = str(place.folder / "other")
        refusal = place.refusal(GATEWAY_DATA_DIR=other, GATEWAY_PUBLIC_PORT=port)
        assert refusal.startswith(f"127.0.0.1:{port} cannot be used")
        assert refusal.endswith("choose another public.port")


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_starts(place: Place) -> None:
    with place.running() as up:
        with redis.Redis(unix_socket_path=str(place.socket)) as client:
            client.set("a", "1")
            pids = [client.info("server")["process_id"]]
        pids += [event["pid"] for event in place.events("start")]
        up.process.kill()
        up.process.wait()
        with place.running() as another, redis.Redis(unix_socket_path=str(place.socket)) as client:
            assert client.get("a") == b"1"
            assert another.process.poll() is None
        wait_for(lambda: all(map(is_gone, pids)), what="all children are gone")


def test_children_that_refuse_their_configuration_end_it_all(place: Place) -> None:
    refusal = place.refusal(STUB_CODE="78")
    assert refusal.endswith("refused its configuration")
    assert not place.socket.exists()


def test_a_valkey_that_cannot_start_is_explained_by_its_log(place: Place) -> None:
    directory = place.data / "valkey"
    (directory / "appendonlydir").mkdir(parents=True)
    (directory / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    place.data.chmod(0o700)
    (place.data / "secrets").mkdir()
    make_keys(place)
    refusal = place.refusal()
    assert "valkey ended 5 times before it was ready" in refusal
    assert "valkey.log ends:" in refusal
    assert "manifest" in refusal


def make_keys(place: Place) -> None:
    from gateway.secrets import make_secrets

    make_secrets(place.data / "secrets")


def test_with_a_redis_elsewhere_no_valkey_is_started(place: Place) -> None:
    url = "redis://user:secret@127.0.0.1:1/0"
    with place.running(GATEWAY_REDIS_URL=url):
        assert not (place.data / "valkey").exists()
        for event in place.events("start"):
            assert event["environ"]["GATEWAY_REDIS_URL"] == url


def test_data_under_a_long_path_get_their_socket_elsewhere(place: Place) -> None:
    place.data = place.folder / ("long" * 30)
    with place.running(GATEWAY_DATA_DIR=str(place.data)):
        url = place.events("start")[0]["environ"]["GATEWAY_REDIS_URL"]
        assert len(url) < 100
        assert not url.startswith(f"unix://{place.data}")
        with redis.Redis(unix_socket_path=url.removeprefix("unix://")) as client:
            assert client.ping()


def test_fresh_begins_without_queue_registrations_and_keys_and_deletes_nothing_else(
    place: Place,
) -> None:
    with place.running(), redis.Redis(unix_socket_path=str(place.socket)) as client:
        client.set("a", "1")
    pepper = (place.data / "secrets" / "pepper.key").read_text()
    for name in ("registrations.db", "registrations.db-wal", "notes.txt"):
        (place.data / name).write_text("x")
    with place.running("--fresh") as up:
        assert up.first_start
        with redis.Redis(unix_socket_path=str(place.socket)) as client:
            assert client.get("a") is None
    assert (place.data / "secrets" / "pepper.key").read_text() != pepper
    assert not (place.data / "registrations.db").exists()
    assert not (place.data / "registrations.db-wal").exists()
    assert (place.data / "notes.txt").exists()


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"GATEWAY_REDIS_URL": "redis://127.0.0.1:1"},
        {"GATEWAY_STORE_URL": "sqlite:////srv/r.db"},
        {"GATEWAY_STORE_URL": "postgresql:///registrations"},
        {"GATEWAY_STORE_URL": "https://registry.example/v1"},
    ],
)
def test_fresh_refuses_data_that_lie_elsewhere(place: Place, elsewhere: dict[str, str]) -> None:
    place.data.mkdir()
    settings = load_settings(None, {"GATEWAY_DATA_DIR": str(place.data), **elsewhere})
    (place.data / "valkey").mkdir()
    with pytest.raises(ConfigurationError, match="are elsewhere"):
        data.delete(settings)
    assert (place.data / "valkey").exists()


@pytest.mark.parametrize("made_with_keys", ["valkey", "registrations.db", "ledger.db"])
def test_keys_are_made_once_and_never_beside_data_that_need_older_ones(
    place: Place, made_with_keys: str
) -> None:
    settings = load_settings(None, {"GATEWAY_DATA_DIR": str(place.data)})
    place.data.mkdir()
    assert prepare_secrets(settings) is True
    assert prepare_secrets(settings) is False
    for key in (place.data / "secrets").iterdir():
        key.unlink()
    (place.data / made_with_keys).mkdir()
    with pytest.raises(ConfigurationError, match=r"holds no keys.*restore them"):
        prepare_secrets(settings)


def test_payload_keys_are_made_where_forms_are_to_be_sealed(place: Place) -> None:
    said = {"GATEWAY_DATA_DIR": str(place.data), "GATEWAY_INTAKE_ENCRYPT": "true"}
    place.data.mkdir()
    assert prepare_secrets(load_settings(None, {**said, "GATEWAY_INTAKE_ENCRYPT": "false"}), ["p"])
    assert not (place.data / "secrets" / "payload-p.key").exists()
    assert prepare_secrets(load_settings(None, said), ["p"]) is False
    assert (place.data / "secrets" / "payload-p.key").exists()


def test_a_lock_whose_holder_is_dead_is_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = data.lock(place.data)
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(gone.pid).encode(), 0)
    monkeypatch.setattr(data, "ENDING_S_MAX", 0.2)
    started_s = time.monotonic()
    with pytest.raises(data.DataInUseError):
        data.lock(place.data)
    assert time.monotonic() - started_s >= 0.2
    os.close(descriptor)
    os.close(data.lock(place.data))
