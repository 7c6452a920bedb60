"""What a service's "no" is called over HTTP: the same for programs and for pages without script."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.form import FieldError
from gateway.core.snapshot import Phase
from gateway.ports import Ended, Ending, NotOpen, Refusal
from gateway.web.problems import Problem

_TELLABLE_KEY = re.compile(r"/[a-z_]{1,40}")
_REFUSALS: Mapping[Refusal, str] = {
    Refusal.PASS_ENDED: "pass-ended",
    Refusal.PASS_USED: "pass-used",
    Refusal.ALREADY_REGISTERED: "already-registered",
    Refusal.TOO_MANY_PERSONS: "too-many-persons",
    Refusal.BACKLOG_FULL: "backlog-full",
}
_NOT_OPEN: Mapping[Phase, tuple[str, str]] = {  # code, and the board's fact that matters
    Phase.PREQUEUE: ("joins-paused", "phase"),  # in these two only the policy takes nobody
    Phase.OPEN: ("joins-paused", "phase"),
    Phase.FULL: ("wave-full", "quota"),
    Phase.CLOSED: ("wave-closed", "closes_at"),
}


def not_open(answer: NotOpen, board: Mapping[str, Any]) -> Problem:
    """Say why the room takes nobody."""
    if answer.phase is Phase.RECOVERING:
        return Problem("recovering")
    code, name = _NOT_OPEN.get(answer.phase, ("wave-not-open", "opens_at"))
    return Problem(code, extra={name: board[name]})


def place_ended(ended: Ended) -> Problem:
    """Say why a ticket claims nothing any more."""
    return Problem("already-registered" if ended.why is Ending.REGISTERED else "place-ended")


def registration_problem(answer: Refusal | Sequence[FieldError]) -> Problem:
    """Say why a registration was not accepted: every field's error at once."""
    if isinstance(answer, Refusal):
        return Problem(_REFUSALS[answer])
    errors = [
        {"pointer": _pointer(error), "code": error.code}
        | ({"expected": dict(error.expected)} if error.expected else {})
        for error in answer
    ]
    return Problem(answer[0].code, errors=errors)


def _pointer(error: FieldError) -> str:
    # The names of unknown fields are the sender's own: only what looks like a name is told back.
    if error.code == "field-unknown" and not _TELLABLE_KEY.fullmatch(error.pointer):
        return ""
    return error.pointer
