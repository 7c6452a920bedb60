"""Shells complete commands that were not imported yet."""

import os
import subprocess
import sys

import pytest


def complete(*words: str) -> list[str]:
    environ = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main()"],
        env={**os.environ, **environ, "_GATEWAY_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (("gateway", "ct"), ["ctl"]),
        (("gateway", "ctl", "pau"), ["pause"]),
        (("gateway", "ctl", "dead-letters", "re"), ["retry"]),
        (("gateway", "ctl", "rate", "--conf"), ["--confirm"]),
        (("gateway", "operators", "add", "--role", "help"), ["helpdesk"]),
        (("gateway", "completion", "f"), ["fish"]),
    ],
)
def test_a_line_is_completed_down_to_its_options(
    words: tuple[str, ...], completed: list[str]
) -> None:
    assert complete(*words) == completed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "completion", shell],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert f"_GATEWAY_COMPLETE={shell}_complete" in done.stdout
