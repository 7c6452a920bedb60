"""The samples for what stands around a gateway are taken by the programs they are written for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = Path("config").absolute()
UNIT, HAPROXY = CONFIG / "systemd/gateway.service", CONFIG / "haproxy/gateway.cfg"
DOWN = "gateway-down.http"
SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


def tool(name: str) -> str:
    """Return where it is, or skip and say so."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    return found or pytest.skip(f"{name} is not installed")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_haproxy_takes_its_sample_without_a_warning(tmp_path: Path) -> None:
    haproxy, sample = tool("haproxy"), tmp_path / "gateway.cfg"
    named = f"/etc/haproxy/{DOWN}"
    text = HAPROXY.read_text()
    assert named in text
    sample.write_text(text.replace(named, str(HAPROXY.with_name(DOWN))))
    assert "WARNING" not in run(haproxy, "-c", "-f", str(sample))


def test_what_haproxy_says_when_all_gateways_are_down_is_a_whole_answer_with_nginxs_page() -> None:
    head, _, body = HAPROXY.with_name(DOWN).read_bytes().partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    assert first == "HTTP/1.1 503 Service Unavailable"
    assert {"Retry-After: 30", "Cache-Control: no-store"} <= set(fields)
    assert body == (CONFIG / "nginx/down.html").read_bytes()


def test_systemd_takes_the_unit_and_its_commands_are_ours(tmp_path: Path) -> None:
    analyze, unit = tool("systemd-analyze"), tmp_path / "gateway.service"
    bin_folder = Path(sys.executable).parent
    text = UNIT.read_text()
    here = text.replace("/opt/gateway/.venv/bin", str(bin_folder))
    here = here.replace("/opt/gateway", str(CONFIG.parent))
    unit.write_text(here)
    said = run(analyze, "verify", "--man=no", str(unit))
    assert "gateway.service" not in said, said
    for command in ("check-config", "up"):
        assert f"/opt/gateway/.venv/bin/gateway {command} --config" in text
        assert "--config" in run(str(bin_folder / "gateway"), command, "--help")
