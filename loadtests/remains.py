"""Read what a run left behind: the journal of its applicants and the rows of its store."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loadtests.evidence import Evidence, Held, Issued, Row, Terms
from loadtests.journal import read_events

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SELECT = "SELECT receipt, person, payload FROM registrations WHERE wave_id = ?"


def gather(
    terms: Terms,
    folder: Path,
    tally: Mapping[str, Any],
    rows: Iterable[Row],
    *,
    pass_ttl_s: int,
    admitted: int | None,
    stop_code: int,
) -> Evidence:
    """Put journal, tally and rows together."""
    held: list[Held] = []
    passes: list[Issued] = []
    surprises: list[str] = []
    outcomes: Counter[str] = Counter()
    for event in read_events(folder):
        match event["event"]:
            case "receipt":
                held.append(Held(event["person"], event["receipt"], event["form"]))
            case "pass":
                passes.append(_issued(event, pass_ttl_s))
            case "surprise":
                surprises.append(f"{event['name']}: {event['status']} {event['what']}")
            case "end":
                outcomes[event["outcome"]] += 1
    return Evidence(
        terms=terms,
        held=held,
        passes=passes,
        rows=list(rows),
        outcomes=outcomes,
        surprises=surprises,
        answers=tally["answers"],
        lag_p99_ms=tally["lags_ms"][1],
        admitted=admitted,
        stop_code=stop_code,
    )


def _issued(event: Mapping[str, Any], pass_ttl_s: int) -> Issued:
    expires_at_us = (datetime.fromisoformat(event["expires_at"]) - EPOCH) // timedelta(
        microseconds=1
    )
    return Issued(
        number=event["number"],
        issued_at_us=expires_at_us - pass_ttl_s * 1_000_000,
        asked_at_us=int(event["asked_s"] * 1e6),
        answered_at_us=int(event["answered_s"] * 1e6),
    )


def read_store(path: Path, wave: str) -> list[Row]:
    """Return the wave's registrations, read without disturbing anybody; none before there is a file."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        return [Row(row[0], row[1], json.loads(row[2])) for row in store.execute(SELECT, (wave,))]
