"""How do audit records and tickets look on a terminal?"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.ctl_text import changes_text, table

Document = Mapping[str, Any]


def audit_text(records: Sequence[Document]) -> str:
    """Return the records as a table, newest first."""
    header = ("REV", "AT", "WAVE", "WHO", "FROM", "CHANGE", "REASON")
    rows = [
        (
            str(record["revision"]),
            f"{datetime.fromisoformat(record['at']):%Y-%m-%d %H:%M:%S}",
            record["wave"],
            record["who"],
            record["origin"] or "-",
            _done(record),
            record["reason"] or "-",
        )
        for record in records
    ]
    return table([header, *rows])


def _done(record: Document) -> str:
    """Say what was done, or was not."""
    done = changes_text(record["changes"]) or record.get("did", "")
    if "refused" in record:
        return f"refused ({record['refused']}) {done}"
    if "result" in record:
        return f"result: {result_text(record['result'])}"
    if record.get("did", "").startswith("undo") or record.get("did") == "timer":
        return f"{record['did']}: {done}"
    return f"{done} until {record['until'][11:16]}" if "until" in record else done


def history_text(records: Sequence[Document]) -> str:
    """Return the changes of a policy as a table, newest first, with what came of them."""
    header = ("REV", "AT", "WHO", "CHANGE", "REASON", "RESULT")
    rows = [
        (
            str(record["revision"]),
            f"{datetime.fromisoformat(record['at']):%a %H:%M:%S}",
            record["who"],
            _done({name: value for name, value in record.items() if name != "result"}),
            record["reason"] or "-",
            result_text(record["result"]) if record["result"] else "-",
        )
        for record in records
    ]
    return table([header, *rows])


def result_text(result: Document) -> str:
    """Return the minute before a change beside the one five minutes after it."""
    before, after = result["before"], result["after"]
    return ", ".join(
        f"{word} {before[name]:g} → {after[name]:g}{unit}"
        for name, word, unit in (
            ("admitted_per_s", "admitted", "/s"),
            ("registered_per_s", "registered", "/s"),
            ("backlog", "pending", ""),
        )
    )


def ticket_text(ticket: Document) -> str:
    """Return how one ticket stands."""
    facts = [f"ticket {ticket['number']:,}", ticket["wave"], ticket["state"].upper()]
    if ticket["ahead"] is not None:
        facts.append(f"ahead {ticket['ahead']:,}")
    if ticket["eta_s"] is not None:
        at = datetime.fromisoformat(ticket["at"])
        low, high = ((at + timedelta(seconds=s)).strftime("%H:%M") for s in ticket["eta_s"])
        facts.append(f"told {low} to {high}")
    if "expires_at" in ticket:
        facts.append(
            f"pass until {ticket['expires_at'][11:16]}, extended {ticket['extensions']} times"
        )
    return "  ".join(facts)
