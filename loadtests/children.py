"""Processes that a run starts, and ends again whatever happens."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

Child = subprocess.Popen[bytes]


def spawn(command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> Child:
    """Start a process that talks into a file.

    It gets a session of its own: Ctrl-C is for the run, which then ends its children in order.
    """
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  our own commands
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
            start_new_session=True,
        )


def end(child: Child, gently: signal.Signals, seconds_max: float) -> int:
    """Ask a process to end, and make it end where that does not help; return its exit code."""
    if child.poll() is None:
        child.send_signal(gently)
    try:
        return child.wait(seconds_max)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
