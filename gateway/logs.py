"""What may stand in the log, and how much of it: one JSON object a line, on stderr.

Nothing personal: texts are cut, members whose names say that they are a person's or a secret are
withheld, and objects are told by their type alone, since a ``repr`` may hold a form. Of an exception
the frames are told, never its words. An event logged with ``sampled=True`` is told so many times a
minute, and the next one says how many were held back.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict

CHARACTERS_MAX = 256
MEMBERS_MAX = 32  # of a line, and of anything in it
DEPTH_MAX = 3
FRAMES_MAX = 8
LINE_BYTES_MAX = 4_000  # what a pipe takes in one piece: lines of several processes do not mix
LINES_A_MINUTE = 30  # of one sampled event
EVENTS_MAX = 256  # sampled events remembered
IDENTITY = ("time", "level", "logger", "event", "request")
WITHHELD = frozenset(
    "authorization cookie credential email nik pass payload person phone receipt secret ticket values".split()  # noqa: SIM905
)


def configure(level: str, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
    """Tell lines of ``level`` (debug, info, warning, error) and above, and what libraries warn of."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            Sampler(monotonic_s),
            structlog.processors.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            tell_exception,
            keep_short,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Writer,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Libraries()]
    root.setLevel(max(number, logging.WARNING))  # what they say below that is for their makers


class Sampler:
    """Drops what is said too often, and counts what it has dropped."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._minutes: dict[str, tuple[float, int]] = {}  # event -> since when, how often

    def __call__(self, _logger: Any, _method: str, members: EventDict) -> EventDict:
        """Pass a line on, or drop it."""
        if not members.pop("sampled", False):
            return members
        event, now_s = str(members["event"]), self._monotonic_s()
        since_s, count = self._minutes.pop(event, (now_s, 0))
        if now_s - since_s >= 60:
            if count > LINES_A_MINUTE:
                members["held_back"] = count - LINES_A_MINUTE
            since_s, count = now_s, 0
        if len(self._minutes) >= EVENTS_MAX:
            del self._minutes[next(iter(self._minutes))]
        self._minutes[event] = since_s, count + 1
        if count >= LINES_A_MINUTE:
            raise structlog.DropEvent
        return members


def tell_exception(_logger: Any, _method: str, members: EventDict) -> EventDict:
    """Put kind and frames in place of an exception: its words may quote what an applicant sent."""
    said = members.pop("exc_info", None)
    exception = sys.exc_info()[1] if said is True else said
    if isinstance(exception, tuple):
        exception = exception[1]
    if isinstance(exception, BaseException):
        frames = traceback.extract_tb(exception.__traceback__)[-FRAMES_MAX:]
        members["kind"] = type(exception).__name__
        members["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return members


def keep_short(_logger: Any, _method: str, members: EventDict) -> EventDict:
    """Cut and withhold; what identifies the line stands first, and is never cut off."""
    first = {name: members[name] for name in IDENTITY if name in members}
    short: EventDict = _short({**first, **members}, DEPTH_MAX)
    return short


def _short(value: Any, depth: int) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if abs(value) < 2**63 else type(value).__name__
        case str():  # str(): an enum's own text; half a surrogate pair is no text
            return str(value)[:CHARACTERS_MAX].encode("utf-8", "replace").decode()
        case dict() if depth:
            pairs = list(value.items())[:MEMBERS_MAX]
            return {
                _short(str(name), 0): "[withheld]"
                if name in WITHHELD
                else _short(member, depth - 1)
                for name, member in pairs
            }
        case list() | tuple() if depth:
            return [_short(member, depth - 1) for member in value[:MEMBERS_MAX]]
        case _:
            return type(value).__name__


def render(_logger: Any, _method: str, members: EventDict) -> str:
    """Return the line; of one that is too long only what identifies it."""
    line = orjson.dumps(members)
    if len(line) > LINE_BYTES_MAX:
        kept = {name: members[name] for name in IDENTITY if name in members}
        line = orjson.dumps(kept | {"cut_bytes": len(line)})
    return line.decode()


class _Writer:
    """Writes lines to stderr as it is now, under the name the logger was asked for."""

    def __init__(self, name: str = "gateway") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = msg


class _Libraries(logging.Handler):
    """Passes on what libraries say: their constant words, never the values put into them."""

    def emit(self, record: logging.LogRecord) -> None:
        words = str(record.msg).partition("\n")[0]
        logger = structlog.get_logger(record.name)
        logger.log(record.levelno, words, exc_info=record.exc_info, sampled=True)
