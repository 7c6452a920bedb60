"""A gateway for one run: `gateway up` as processes of its own, on free ports, in a folder of its own."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.supervise import THIS_GATEWAY
from loadtests.children import Child, end, spawn
from loadtests.evidence import Terms

WAVE = "load-1"
READY_S_MAX = 30.0
DRAIN_S_MAX = 30.0
ANSWER_S_MAX = 5.0

SETTINGS = """
[public]
port = 0
[operator]
port = 0
[data]
dir = "{folder}/data"
[serve]
drain_s = 5
processes = {processes}
[programmes]
files = ["{folder}/programme.toml"]
"""

# One field of every kind, so that every kind is checked, stored and compared.
PROGRAMME = """
id = "load"
demo = true
zone = "WIB"
selection = "first-come"
person_field = "nik"
name = {{ id = "Uji beban", en = "Load test" }}
help_line = {{ id = "Hanya uji.", en = "Only a test." }}
prepare = {{ id = "Siapkan NIK.", en = "Have your NIK ready." }}

[[waves]]
id = "{wave}"
ordinal = 1
prequeue_at = "+{prequeue_s}s"
opens_at = "+{opens_s}s"
closes_at = "+{closes_s}s"

[waves.policy]
quota = {quota}
rate_per_s = {rate_per_s}
burst = {burst}
form_cap = {form_cap}
pass_ttl_s = {pass_ttl_s}
check_in_s = {check_in_s}
poll_budget_per_s = {poll_budget_per_s}
"""
FIELD = """
[[fields]]
name = "{name}"
kind = "{kind}"
label = {{ id = "{name}", en = "{name}" }}
"""
FIELDS = {
    "nik": "nik",
    "family_card": "digits",
    "name": "text",
    "birth_date": "birth-date",
    "mobile": "phone",
    "email": "email",
    "province": "choice",
}
MORE = {
    "digits": "min_length = 16\nmax_length = 16\n",
    "email": "required = false\n",
    "choice": 'choices = [{ value = "31", label = { id = "Jakarta", en = "Jakarta" } }, '
    '{ value = "94", label = { id = "Papua", en = "Papua" } }]\n',
}


class NotReadyError(Exception):
    """The gateway did not start."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """`gateway up`, running, and where it is; or a system elsewhere, of which no process is ours."""

    child: Child | None
    folder: Path
    url: str
    operator_url: str = ""
    wave: str = WAVE

    @property
    def data(self) -> Path:
        """Where its data lie."""
        return self.folder / "data"

    @property
    def board_url(self) -> str:
        """Where the wave's public document is."""
        return f"{self.url}/v1/waves/{self.wave}/board"

    def board(self) -> dict[str, Any]:
        """Return the wave's public document.

        Raises:
            OSError: the gateway does not answer.

        """
        with urllib.request.urlopen(self.board_url, timeout=ANSWER_S_MAX) as answer:  # noqa: S310  our own
            document: dict[str, Any] = json.load(answer)
        return document

    def stop(self) -> int:
        """Have it drain; return its exit code, not 0 when it had to be killed."""
        return end(self.child, signal.SIGINT, DRAIN_S_MAX) if self.child else 0


def elsewhere(url: str, wave: str, folder: Path) -> Gateway:
    """Return a system that runs already.

    Raises:
        NotReadyError: it shows no board of this wave.

    """
    gateway = Gateway(None, folder, url.rstrip("/"), wave=wave)
    try:
        gateway.board()
    except (OSError, ValueError) as error:
        raise NotReadyError(f"{gateway.board_url}: {error}") from error
    return gateway


def start(
    folder: Path,
    terms: Terms,
    *,
    opens_s: float,
    more: str = "",
    processes: int = 2,
    command: Sequence[str] = THIS_GATEWAY,
) -> Gateway:
    """Start a gateway whose wave opens ``opens_s`` after the room is made, and wait until it is ready.

    ``more`` is added to its settings; ``command`` is what runs `gateway`.

    Raises:
        NotReadyError: it ended, or took too long.

    """
    (folder / "gateway.toml").write_text(
        SETTINGS.format(folder=folder, processes=processes) + more, "utf-8"
    )
    (folder / "programme.toml").write_text(programme(terms, opens_s=opens_s), "utf-8")
    log = folder / "gateway.log"
    config = str(folder / "gateway.toml")
    child = spawn([*command, "up", "--config", config], log, _environment())
    try:
        return Gateway(child, folder, *_addresses(child, log))
    except BaseException:
        end(child, signal.SIGINT, DRAIN_S_MAX)
        raise


def programme(terms: Terms, *, opens_s: float) -> str:
    prequeue_s = 0.0 if terms.prequeue_s is None else max(0.0, opens_s - terms.prequeue_s)
    wave = PROGRAMME.format(
        wave=WAVE,
        prequeue_s=round(prequeue_s),
        opens_s=round(opens_s),
        closes_s=round(opens_s + terms.open_s),
        quota=terms.quota,
        rate_per_s=float(terms.rate_per_s),
        burst=terms.burst,
        form_cap=terms.form_cap or terms.quota,
        pass_ttl_s=terms.pass_ttl_s,
        check_in_s=terms.check_in_s,
        poll_budget_per_s=terms.poll_budget_per_s,
    )
    fields = (
        FIELD.format(name=name, kind=kind) + MORE.get(kind, "") for name, kind in FIELDS.items()
    )
    return wave + "".join(fields)


def _environment() -> dict[str, str]:
    """Return ours without what would set the gateway otherwise than its file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _addresses(child: Child, log: Path) -> tuple[str, str]:
    """Wait for the lines that say it is ready; return the applicants' address and the operators'."""
    deadline_s = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline_s:
        text = log.read_text("utf-8")
        words = [line.split() for line in text.splitlines() if line.strip()]
        said = {line[0]: line[-1] for line in words}
        if {"Applicants", "Stop"} <= said.keys():
            return said["Applicants"].rstrip("/"), said["Operators"].rstrip("/")
        if child.poll() is not None:
            raise NotReadyError(f"`gateway up` ended with {child.returncode}:\n{text}")
        time.sleep(0.05)
    raise NotReadyError(f"`gateway up` was not ready within {READY_S_MAX:.0f} s")
