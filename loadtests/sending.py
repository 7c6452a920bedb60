"""Locust at work: started, watched, told of as it goes, and ended whatever happens."""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from loadtests.children import end, spawn
from loadtests.rehearsal.processes import Processes
from loadtests.scenario import Scenario
from loadtests.system import Gateway

LOOPBACK = "127.0.0.1"
PROGRESS_S = 10.0
STOP_S_MAX = 30.0
LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def send(
    options: argparse.Namespace, gateway: Gateway, processes: Processes, *, opens_s: float
) -> None:
    """Let Locust send the crowd, and tell how far it is."""
    folder, workers = gateway.folder, options.expect_workers
    scenario: Scenario = options.scenario
    command = [
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)),
        *("--headless", "--only-summary", "--host", gateway.url, "--loglevel", "WARNING"),
        *("--stop-timeout", "0", "--wave", gateway.wave, *scenario.arguments()),
        *("--folder", str(folder), "--html", str(folder / "locust.html")),
        *("--csv", str(folder / "locust")),
        *(_sharing(workers) if workers > 1 else ()),
    ]
    locust = spawn(command, folder / "locust.log")
    processes.generator = locust.pid
    limit_s = opens_s + scenario.profile.open_s + scenario.profile.tail_s + STOP_S_MAX
    try:
        while locust.poll() is None and time.time() < limit_s:
            try:
                locust.wait(PROGRESS_S)
            except subprocess.TimeoutExpired:
                print(_progress(gateway, scenario, time.time() - opens_s), flush=True)
    finally:
        end(locust, signal.SIGTERM, STOP_S_MAX)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(locust.pid, signal.SIGKILL)  # its workers, should it have left any
        processes.generator = None


def _sharing(workers: int) -> list[str]:
    """Return the arguments by which Locust shares the crowd out, on a port that no other run uses."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = f"{probe.getsockname()[1]}"
    return [
        *("--processes", f"{workers}", "--master-bind-host", LOOPBACK, "--master-bind-port", port),
        *("--master-host", LOOPBACK, "--master-port", port),
    ]


def _progress(gateway: Gateway, scenario: Scenario, at_s: float) -> str:
    said = f"  {at_s:+6.0f} s  {scenario.stage(at_s):<9}"
    try:
        board = gateway.board()
    except (OSError, ValueError) as error:
        return f"{said}  the board does not answer: {error}"
    accepted = board["quota"] - board["places_left"]
    return (
        f"{said}  {board['phase']:<10} {board['issued']:>7,} joined {board['called']:>7,} called "
        f"{board['admitted']:>7,} admitted {accepted:>7,} registered"
    )
