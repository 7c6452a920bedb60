"""What does an audit record hold, and how is it told?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.clock import iso
from gateway.core.policy_change import Changes
from gateway.services.rooms import LiveRoom


@dataclass(frozen=True, slots=True)
class By:
    """Whose wish it is."""

    who: str
    reason: str = ""
    origin: str = ""  # from where


def record_of(by: By) -> dict[str, str]:
    """Return what an audit record says of whoever acts."""
    return {"who": by.who, "origin": by.origin, "reason": by.reason}


def told(room: LiveRoom, record: Mapping[str, str]) -> dict[str, Any]:
    """Return a record as operators read it."""
    changes = json.loads(record.get("changes", "{}"))
    if "dead_before" in record:
        changes["dead_letters"] = int(record["dead_before"]), int(record["dead_after"])
    zone = room.programme.zone
    document = {
        "id": record["id"],
        "wave": room.wave.id,
        "revision": int(record["revision"]),
        "at": iso(int(record["at_us"]), zone),
        "who": record.get("who", ""),
        "origin": record.get("origin", ""),
        "reason": record.get("reason", ""),
        "changes": describe(changes),
    }
    document |= {name: record[name] for name in ("did", "refused") if name in record}
    if "timer_us" in record:
        document["until"] = iso(int(record["timer_us"]), zone)
    document |= {name: json.loads(record[name]) for name in ("plan", "result") if name in record}
    return document


def describe(changes: Changes) -> dict[str, dict[str, Any]]:
    """Return changes as operators read them: field -> before and after."""
    return {name: {"before": before, "after": after} for name, (before, after) in changes.items()}
