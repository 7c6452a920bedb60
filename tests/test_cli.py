"""The command line, as a person or a supervisor meets it."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.banner import banner, shown_waves
from gateway.programmes import load_programmes
from gateway.secrets import make_secrets
from gateway.settings import Settings, load_settings
from gateway.supervise import Running

HEAVY = ("aiohttp", "redis", "msgspec", "asyncio", "structlog", "jinja2", "prometheus_client")


def gateway(*arguments: str, stdin: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        env={**os.environ, **environ},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """Yield a settings file whose data are the test's own."""
    file = tmp_path / "gateway.toml"
    with tempfile.TemporaryDirectory(prefix="gw") as data:
        file.write_text(
            f'[data]\ndir = "{data}"\n[public]\nport = 0\n[operator]\nport = 0\n'
            '[programmes]\nfiles = ["config/programmes/demo.toml"]\n'
        )
        yield file


def lines(process: "subprocess.CompletedProcess[str]", code: int = 2) -> list[str]:
    """Return what was refused, after making sure that it was nothing but refused."""
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""
    said = process.stderr.splitlines()
    assert said
    assert all(line.startswith("gateway: ") for line in said)
    return [line.removeprefix("gateway: ") for line in said]


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['gateway', '--help']\n"
        "from gateway.cli import main\n"
        "try: main()\n"
        f"except SystemExit: print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    *usage, heavy = process.stdout.splitlines()
    for name in ("up", "serve", "deliver", "ctl", "check-config", "verify-draw", "version"):
        assert any(line.startswith(f"  {name} ") for line in usage), name
    assert heavy == "[]"


def test_version_is_that_of_the_package() -> None:
    process = gateway("version")
    assert process.returncode == 0
    assert process.stdout.strip().count(".") == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["up", "--nothing"], "No such option"),
        (["verify-draw"], "Missing option"),
        (["up", "--config", "/nowhere.toml"], "/nowhere.toml: cannot be read: No such file"),
        (["check-config", "--config", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
    ],
)
def test_what_a_person_can_put_right_is_told_in_one_line_with_code_2(
    arguments: list[str], reason: str
) -> None:
    (said,) = lines(gateway(*arguments))
    assert reason in said


@pytest.mark.parametrize("command", ["serve", "deliver"])
def test_a_process_that_refuses_its_configuration_ends_with_78(command: str, config: Path) -> None:
    (said,) = lines(gateway(command, "--config", "/nowhere.toml"), code=78)
    assert "cannot be read" in said
    (said,) = lines(gateway(command, "--config", str(config)), code=78)
    assert 'redis.url: "embedded" is for `gateway up`' in said
    elsewhere = gateway(command, "--config", str(config), GATEWAY_REDIS_URL="unix:///nowhere")
    assert all("secrets/" in line for line in lines(elsewhere, code=78))


def test_check_config_says_all_that_is_wrong_at_once(config: Path) -> None:
    config.write_text('[public]\nport = "x"\nhots = 1\n')
    said = lines(gateway("check-config", "--config", str(config), GATEWAY_LOG_LEVEL="loud"))
    assert [line.split(": ")[:2] for line in said] == [
        [str(config), "public.hots"],
        [str(config), "public.port"],
        ["environment", "GATEWAY_LOG_LEVEL"],
    ]


def test_check_config_reads_programmes_and_keys_as_well(config: Path, tmp_path: Path) -> None:
    process = gateway("check-config", "--config", str(config))
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.splitlines()[0] == "programme demo: 3 fields; waves demo-1"
    assert process.stdout.splitlines()[-1].endswith("nothing is wrong")
    make_secrets(tmp_path / "keys")
    (tmp_path / "keys" / "draw.key").chmod(0o444)
    keys = {"GATEWAY_SECRETS_DIR": str(tmp_path / "keys")}
    (said,) = lines(gateway("check-config", "--config", str(config), **keys))
    assert "draw.key: is open to everybody" in said
    broken = tmp_path / "broken.toml"
    broken.write_text("id = 3")
    files = {"GATEWAY_PROGRAMMES_FILES": str(broken)}
    said_all = lines(gateway("check-config", "--config", str(config), **files))
    assert f"{broken}: id: must be 1 to 64 of a-z, 0-9 and -" in said_all


def test_a_taken_port_is_told_before_anything_starts(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = gateway("up", "--config", str(config), GATEWAY_PUBLIC_PORT=str(port))
    (said,) = lines(process)
    assert said == (
        f"127.0.0.1:{port} cannot be used: Address already in use; choose another public.port"
    )


def test_fresh_asks_first_and_a_no_deletes_nothing(config: Path) -> None:
    data = Path(load_settings(config, {}).data.dir)
    (data / "registrations.db").write_text("x")
    process = gateway("up", "--config", str(config), "--fresh", stdin="n\n")
    assert process.returncode == 130
    assert f"Delete the queue, all registrations and the keys in {data}?" in process.stderr
    assert (data / "registrations.db").exists()


def test_python_without_its_assertions_is_refused() -> None:
    process = subprocess.run(
        [sys.executable, "-O", "-m", "gateway", "version"],
        capture_output=True,
        text=True,
        check=False,
    )
    (said,) = lines(process)
    assert "python -O" in said


def test_verify_draw_is_there_and_refuses_what_is_no_board(tmp_path: Path) -> None:
    assert "--board" in gateway("verify-draw", "--help").stdout
    (said,) = lines(gateway("verify-draw", "--board", str(tmp_path / "none.json")))
    assert "is no board" in said


def test_the_banner_names_a_few_waves_that_are_not_over() -> None:
    demo, prakerja = load_programmes(Settings().programmes.files)
    closes_us = prakerja.waves[0].closes_at.us
    assert shown_waves([demo, prakerja], now_us=closes_us) == ["demo-1"]
    assert shown_waves([demo, prakerja], now_us=closes_us - 1) == ["demo-1", "prakerja-2020-1"]
    assert len(shown_waves([demo] * 9, now_us=0)) == 4


def test_the_banner_says_where_to_go_and_how_to_stop_and_hides_passwords() -> None:
    running = Running("http://127.0.0.1:8080", "http://127.0.0.1:8081", first_start=True)
    text = banner(Settings(), running, ["demo-1"], ctl="gateway ctl", took_s=1.23)
    for part in (
        "Ready in 1.2 s",
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080/waves/demo-1",
        "http://127.0.0.1:8081",
        "gateway ctl status",
        str(Path(".data").resolve()),
        "Ctrl-C",
    ):
        assert part in text
    elsewhere = load_settings(None, {"GATEWAY_REDIS_URL": "redis://:hunter2@host"})
    again = Running("http://a", "http://b", first_start=False)
    text = banner(elsewhere, again, [], ctl="gateway ctl", took_s=1)
    assert "redis://***@host" in text
    assert "up --fresh" in text
