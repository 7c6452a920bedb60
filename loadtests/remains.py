"""Read what a run left behind: the journals of its applicants, beside the rows of its store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loadtests.evidence import Evidence, Held, Issued, Joined, Row, Terms
from loadtests.journal import Totals, read_events

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Read:
    """What the journals tell."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self.held: list[Held] = []
        # A bot is shown the pass that it has as often as it is refused the rest.
        self.passes: dict[str, Issued] = {}
        self.joins: list[Joined] = []
        self.positions: dict[int, int] = {}
        self.surprises: list[str] = []
        self.silences: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()

    def take(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "receipt":
                self.held.append(Held(event["person"], event["receipt"], event["form"]))
            case "pass":
                issued = _issued(event, self._terms.pass_ttl_s)
                self.passes.setdefault(event["pass"], issued)
            case "join":
                instants_us = _us(event["asked_s"]), _us(event["answered_s"])
                self.joins.append(Joined(event["number"], *instants_us))
            case "position":
                self.positions[event["number"]] = event["position"]
            case "surprise":
                self.surprises.append(f"{event['name']}: {event['status']} {event['what']}")
            case "silence":
                self.silences[event["name"]] += 1
            case "end":
                self.outcomes[event["outcome"]] += 1


def gather(
    terms: Terms, folder: Path, totals: Totals, rows: Sequence[Row], **more: Any
) -> Evidence:
    """Put journals, totals and rows together; ``more`` goes into the evidence as it is."""
    read = _Read(terms)
    for event in read_events(folder):
        read.take(event)
    return Evidence(
        terms=terms,
        lives=totals.lives,
        waiting=totals.waiting,
        held=read.held,
        passes=list(read.passes.values()),
        joins=read.joins,
        positions=read.positions,
        rows=rows,
        outcomes=read.outcomes,
        surprises=read.surprises,
        silences=read.silences,
        answers={name: totals.words(name=name) for name in {key[1] for key in totals.answers}},
        requests=totals.requests,
        lag_p99_ms=totals.lags.quantile_ms(0.99),
        looks_ms=totals.looks_ms,
        **more,
    )


def _issued(event: Mapping[str, Any], pass_ttl_s: int) -> Issued:
    expires_at_us = (datetime.fromisoformat(event["expires_at"]) - EPOCH) // timedelta(
        microseconds=1
    )
    told = event.get("told_s")
    return Issued(
        number=event["number"],
        issued_at_us=expires_at_us - pass_ttl_s * 1_000_000,
        asked_at_us=_us(event["asked_s"]),
        answered_at_us=_us(event["answered_s"]),
        called_at_us=_us(event.get("called_s", 0.0)),
        told_us=(_us(told[1]), _us(told[2])) if told else None,
        told_at_us=_us(told[0]) if told else 0,
        is_first=event["first"],
    )


def _us(instant_s: float) -> int:
    return int(instant_s * 1e6)
