"""What does a registration look like in a file for others? CSV for spreadsheets, JSON lines for programs.

The file is made anew, for the owner's eyes only, and is taken away again when the export fails. Times are
ISO 8601 in UTC. A cell that a spreadsheet would take for a formula gets a leading quote.
"""

import csv
import io
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from gateway.ports import ArchivePort, IntakeEntry

ROWS = 500
FORMULA = re.compile(r"[=+\-@\t\r]")  # OWASP, CSV injection
NUMBER = re.compile(r"[+-]?[0-9]+")  # of a telephone, say: no formula
HEAD = ("receipt", "wave", "accepted_at", "recorded_at")
OTHER = "other"  # what a form holds beyond the programme's fields, as JSON
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Line = Callable[[IntakeEntry, int], bytes]


class FormsElsewhereError(Exception):
    """The store is somebody else's: the forms are there, and only there."""


async def export(
    archive: ArchivePort, programme_id: str, line: Line, file: BinaryIO
) -> AsyncIterator[int]:
    """Write every registration of a programme; yield how many were written, page by page.

    Raises:
        FormsElsewhereError: the store keeps no forms here.
        PortUnavailableError: it is down.
    """
    after = ""
    while page := await archive.recorded_rows(programme_id, after, ROWS):
        if not all(entry.payload for entry, _ in page):
            raise FormsElsewhereError
        file.write(b"".join(line(*row) for row in page))
        after = page[-1][0].receipt
        yield len(page)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Make a file that was not there, mode 0600; on disk at the end, gone where the writing fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def csv_head(fields: Sequence[str]) -> bytes:
    """Return the first line."""
    return _csv_line([*HEAD, *fields, OTHER])


def csv_line(fields: Sequence[str]) -> Line:
    """Return what makes a line of a registration whose form has these fields."""

    def line(entry: IntakeEntry, recorded_at_us: int) -> bytes:
        form: dict[str, Any] = json.loads(entry.payload)
        cells = [form.pop(name, "") for name in fields]
        other = json.dumps(form, ensure_ascii=False) if form else ""
        return _csv_line([*_head(entry, recorded_at_us), *cells, other])

    return line


def json_line(entry: IntakeEntry, recorded_at_us: int) -> bytes:
    """Return one line of JSON; the form in it is byte for byte what was acknowledged."""
    head = dict(zip(HEAD, _head(entry, recorded_at_us), strict=True))
    start = json.dumps(head).encode().removesuffix(b"}")
    return start + b', "form": ' + entry.payload.replace(b"\n", b" ") + b"}\n"


def cell(value: Any) -> str:
    """Return a value as a spreadsheet may have it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _csv_line(cells: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([cell(each) for each in cells])
    return text.getvalue().encode()


def _head(entry: IntakeEntry, recorded_at_us: int) -> tuple[str, str, str, str]:
    return entry.receipt, entry.wave_id, _time(entry.accepted_at_us), _time(recorded_at_us)


def _time(instant_us: int) -> str:
    try:
        return (EPOCH + timedelta(microseconds=instant_us)).isoformat()
    except OverflowError:  # a number is told as it is
        return str(instant_us)
