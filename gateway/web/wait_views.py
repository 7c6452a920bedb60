"""What the page without script shows in each state: titles, lines, buttons and the form as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.clock import local
from gateway.core.form import Field
from gateway.core.receipts import display
from gateway.services.rooms import LiveRoom
from gateway.web.negotiation import Language
from gateway.web.rendering import wave_name
from gateway.web.texts import Speech

INPUT_TYPES = {"birth-date": "date", "phone": "tel", "email": "email"}
AUTOCOMPLETE = {"phone": "tel", "email": "email"}
NUMERIC = frozenset({"nik", "digits"})
BUTTONS: Mapping[str, Sequence[str]] = {
    "prequeue": ["leave"],
    "waiting": ["leave"],
    "called": ["claim", "leave"],
    "admitted": ["extend", "leave"],
    "paused": ["leave"],
    "left": ["join"],
    "missed": [],
}


@dataclass(slots=True)
class Filled:
    """What was typed, and what is wrong with it."""

    values: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)  # field -> error code


def outside(board: Mapping[str, Any], says: Speech, room: LiveRoom) -> dict[str, Any]:
    """Return the page of somebody without a ticket."""
    phase = str(board["phase"])
    view = _simple(phase if phase != "open" else "scheduled", says, room)
    if phase == "open":
        left = says(
            "waiting.left", left=says.number(board["places_left"]), quota=_quota(room, says)
        )
        view |= {
            "title": f"{room.programme.name[says.language]}: {wave_name(room, says)}",
            "lines": [says("join.now"), left],
        }
    elif phase == "prequeue":
        view["lines"] = [says("join.text")]
    if phase in {"scheduled", "prequeue"}:
        view["lines"] += _before(says, room)
    view["buttons"] = ["join"] if phase in {"open", "prequeue"} else []
    return view | {"message": board["message"], "poll_s": float(board["poll_s"])}


def inside(place: Mapping[str, Any], says: Speech, room: LiveRoom) -> dict[str, Any]:
    """Return the page of a ticket's holder."""
    state = str(place["state"])
    if state == "registered":
        title = says("recorded.title", wave=wave_name(room, says))
        return {
            "state": state, "title": title, "lines": [says("recorded.text")], "buttons": [],
            "message": "", "poll_s": 0.0, "receipt": display(place["receipt"]),
        }  # fmt: skip
    view = _simple(state, says, room)
    if state == "prequeue":
        view["lines"] += _before(says, room)
    elif state == "waiting":
        view["lines"] = _wait_lines(place, says, room)
    elif state == "called":
        view["lines"] = [says("called.go")]
    elif state == "admitted":
        zone = room.programme.zone
        until = place["expires_at"][11:16].replace(":", says.colon)
        view["lines"] = [says("admitted.text", t=until, zone=zone)]
        if not place["extensions_left"]:
            view["buttons"] = ["leave"]
    return view | {"message": place["message"], "poll_s": float(place["poll_s"])}


def _simple(state: str, says: Speech, room: LiveRoom) -> dict[str, Any]:
    snapshot, zone = room.current(), room.programme.zone
    values = {
        "wave": wave_name(room, says),
        "when": says.when(
            snapshot.closes_at_us if state == "closed" else snapshot.opens_at_us, zone
        ),
    }
    text = says(f"{state}.text", **values) if state != "admitted" else ""
    return {
        "state": state,
        "title": says(f"{state}.title", **values),
        "lines": [text] if text else [],
        "buttons": list(BUTTONS.get(state, [])),
    }


def _before(says: Speech, room: LiveRoom) -> list[str]:
    return [says.zones(room.current().opens_at_us), room.programme.prepare[says.language]]


def _wait_lines(place: Mapping[str, Any], says: Speech, room: LiveRoom) -> list[str]:
    lines = [says("waiting.status", ahead=says.number(place["ahead"]))]
    if place["eta_s"]:
        low, high = place["eta_s"]
        now_us, zone = room.now_us(), room.programme.zone
        times = [says.hour(local(now_us + 1_000_000 * seconds, zone)) for seconds in (low, high)]
        lines.append(
            says("waiting.eta", a=times[0], b=times[1], zone=zone, m1=low // 60, m2=-(-high // 60))
        )
    else:
        lines.append(says("waiting.unknown"))
    if place["outlook"] == "unlikely":
        lines.append(says("waiting.unlikely"))
    return [*lines, says("waiting.text"), says(f"selection.{room.programme.selection}")]


def _quota(room: LiveRoom, says: Speech) -> str:
    return says.number(room.policy.quota)


def form_of(room: LiveRoom, language: Language, says: Speech, filled: Filled) -> dict[str, Any]:
    """Return the form's part of the page; the identity number is typed anew after an error."""
    fields = [_shown(each, language) for each in room.programme.fields]
    errors = {each.name: "" for each in room.programme.fields}
    errors |= {name: says(f"error.{code}") for name, code in filled.codes.items() if name in errors}
    values = {each.name: filled.values.get(each.name, "") for each in room.programme.fields}
    return {
        "fields": fields,
        "errors": errors,
        "values": values,
    }


def _shown(each: Field, language: Language) -> dict[str, Any]:
    return {
        "name": each.name,
        "label": each.label[language],
        "hint": each.hint.get(language, ""),
        "required": each.required,
        "type": INPUT_TYPES.get(each.kind, "text"),
        "numeric": each.kind in NUMERIC,
        "autocomplete": AUTOCOMPLETE.get(each.kind, ""),
        "choices": [
            {"value": choice.value, "label": choice.label[language]} for choice in each.choices
        ],
    }


def tidied(room: LiveRoom, name: str, value: str) -> str:
    """Take out what people put into numbers to read them: spaces, dots and dashes."""
    kinds = {each.name: each.kind for each in room.programme.fields}
    if kinds.get(name) in NUMERIC:
        return value.translate(str.maketrans("", "", " .-"))
    return value
