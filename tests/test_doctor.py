"""``gateway doctor`` on a real system: clean where all is well, and with the cure where it is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from gateway.settings import load_settings
from tests.gateways import RunningGateway
from tests.support import wait_for


def doctor(gateway: RunningGateway) -> tuple[int, str]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gateway",
            "doctor",
            "--config",
            str(gateway.folder / "gateway.toml"),
        ],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.mark.timeout(120)
def test_a_system_that_runs_is_looked_at_and_an_unsafe_redis_is_found_with_its_cure(
    running_gateway: RunningGateway,
) -> None:
    wait_for(lambda: doctor(running_gateway)[0] == 0, timeout_s=20, what="all is well")
    _, said = doctor(running_gateway)
    assert "✖" not in said
    for words in (
        "✔ what Redis acknowledges is on its disk",
        "✔ 2 front doors and 1 deliveries are seen",
        "✔ all front doors go by the same policies",
        "✔ store sqlite: a row could be written",
        "✔ keys in",
    ):
        assert words in said
    settings = load_settings(running_gateway.folder / "gateway.toml", {})
    with redis.Redis(unix_socket_path=f"{settings.data.dir}/valkey.sock") as client:
        client.config_set("appendfsync", "everysec")
        try:
            code, said = doctor(running_gateway)
        finally:
            client.config_set("appendfsync", "always")
    assert code == 1
    assert (
        "✖ Redis has appendfsync everysec, wanted always. Cure: CONFIG SET appendfsync always"
        in said
    )


def test_where_nothing_was_started_it_says_what_is_missing_and_makes_nothing(
    tmp_path: Path,
) -> None:
    programme = Path("config/programmes/demo.toml").absolute()
    data = tmp_path / "data"
    (tmp_path / "gateway.toml").write_text(
        f'[data]\ndir = "{data}"\n[programmes]\nfiles = ["{programme}"]\n'
    )
    code, said = doctor(RunningGateway(tmp_path))
    assert code == 1
    assert "ticket.key: cannot be read" in said
    assert "⚠ `gateway up` does not run: its Redis was not looked at" in said
    assert "⚠ there is no store at" in said
    assert not data.exists()
