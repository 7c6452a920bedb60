"""What does the page make of what it is told? When it looks again, as ``applicant.js`` works it out."""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from loadtests.steps import Answer, Step


class Look(NamedTuple):
    """What a look at place or board was answered with."""

    state: str
    wait_s: float  # until the next
    far: bool = False  # the next one is the board's


Looking = Generator[Step, Answer, Look]


def instants(answer: Answer) -> Mapping[str, float]:
    """Return when a request was sent for the last time, and when it was answered."""
    return {"asked_s": answer.asked_s, "answered_s": answer.answered_s}


def seconds_between(first: str, then: str) -> float:
    """Return the time from one instant of a document to another."""
    return (datetime.fromisoformat(then) - datetime.fromisoformat(first)).total_seconds()


def far_poll_s(position: int, board: Mapping[str, Any]) -> float:
    """Return when the page's script looks at the board again."""
    stretch = board["stretch"]
    far_s = (position - board["near"]) / board["approach_per_s"]
    return float(min(stretch * min(120.0, max(4.0, 0.5 * far_s)), 0.8 * far_s + 4.0))
