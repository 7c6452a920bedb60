"""What the page of one visitor shows in each state: titles, lines, buttons and the form as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.core.clock import local
from gateway.core.form import Field
from gateway.core.receipts import display
from gateway.ports import ReceiptRecord
from gateway.services.rooms import LiveRoom
from gateway.web.facts import opening
from gateway.web.receipt_views import receipt_poll_s, state_of
from gateway.web.texts import Speech

INPUT_TYPES = {"birth-date": "date", "phone": "tel", "email": "email"}
AUTOCOMPLETE = {"phone": "tel", "email": "email", "birth-date": "bday"}
NUMERIC = frozenset({"nik", "digits"})
NIK_DIGITS = 16
SEPARATORS = str.maketrans("", "", " .-")  # what people put into numbers to read them
BUTTONS: Mapping[str, Sequence[str]] = {
    "join": ["join"],
    "open": ["join"],
    "prequeue": ["leave"],
    "waiting": ["leave"],
    "called": ["claim", "leave"],
    "admitted": ["extend", "leave"],
    "paused": ["leave"],
    "left": ["join"],
    "missed": ["join"],
}
Texts = Mapping[str, str]  # by name, with all that is fixed filled in
View = dict[str, Any]


@dataclass(slots=True)
class Filled:
    """What was typed, and what is wrong with it."""

    values: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)  # field -> error code


def outside(board: Mapping[str, Any], texts: Texts, says: Speech, room: LiveRoom) -> View:
    """Return the page of somebody without a ticket."""
    phase = "shut" if board["joins_paused"] else str(board["phase"])
    state = "join" if phase == "prequeue" else phase
    view = _simple(state, texts)
    if phase == "open":
        view["lines"] = [_left(board, texts, says), texts["open.text"], texts["selection"]]
    if phase in {"scheduled", "prequeue"}:
        view |= _before(board, texts, says, room)
    if phase in {"paused", "recovering"}:  # what is said of a place is for its holder
        view["lines"] = [texts[f"outside.{phase}"]]
        view["buttons"] = ["join"] if phase == "paused" else []
    return view | {"message": board["message"], "poll_s": float(board["poll_s"])}


def inside(
    place: Mapping[str, Any],
    texts: Texts,
    says: Speech,
    room: LiveRoom,
    record: ReceiptRecord | None,
) -> View:
    """Return the page of a ticket's holder; ``record`` is what became of its registration."""
    state = str(place["state"])
    if state == "registered":
        known = state_of(record)
        return _simple(known, texts) | {
            "state": state, "buttons": [], "message": "", "poll_s": receipt_poll_s(room, record),
            "receipt": display(place["receipt"]),
        }  # fmt: skip
    view = _simple(state, texts)
    if state == "prequeue":
        view |= _before(place, texts, says, room)
    elif state == "waiting":
        view |= _wait_lines(place, texts, says)
    elif state == "called":
        view["lines"] = [texts["called.go"]]
    elif state == "admitted":
        view |= _turn(place, texts, says)
    if state in {"waiting", "paused"}:
        view["lines"].append(texts["waiting.number"].format(number=place["number"]))
    return view | {"message": place["message"], "poll_s": float(place["poll_s"])}


def refilled(texts: Texts, reason: str) -> View:
    """Return the form's page for what could not be taken in; how its visitor stands is not known."""
    title = texts["form.title"]
    shown = {"state": "refilled", "title": title, "tab": title, "big": "", "lines": []}
    return shown | {"buttons": [], "message": "", "poll_s": 0.0, "reason": reason}


def _simple(state: str, texts: Texts) -> View:
    line = texts.get(f"{state}.text", "")
    return {
        "state": state,
        "title": texts[f"{state}.title"],
        "tab": "",
        "big": "",
        "lines": [line] if line else [],
        "buttons": list(BUTTONS.get(state, [])),
    }


def _before(document: Mapping[str, Any], texts: Texts, says: Speech, room: LiveRoom) -> View:
    """Say when it opens, by the server's clock, and what to prepare."""
    state = str(
        document.get("state") or ("join" if document["phase"] == "prequeue" else "scheduled")
    )
    left_s = max(0, (room.current().opens_at_us - room.now_us()) // 1_000_000)
    time = f"{left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02}"
    now = says.hour(local(room.now_us(), room.programme.zone))
    return {
        "big": texts["countdown"].format(time=time),
        "lines": [texts[f"{state}.text"], texts["clock"].format(time=now), opening(room, says)],
    }


def _wait_lines(place: Mapping[str, Any], texts: Texts, says: Speech) -> View:
    ahead = says.number(place["ahead"])
    time = texts["waiting.unknown"]
    if place["eta_s"]:
        low, high = place["eta_s"]
        times = {"a": says.after(place["at"], low), "b": says.after(place["at"], high)}
        minutes = {"m1": says.number(low // 60), "m2": says.number(-(-high // 60))}
        time = texts["waiting.eta"].format(**times, **minutes)
    position = texts["waiting.place"].format(position=says.number(place["position"] + 1))
    lines = [
        f"{texts['waiting.status'].format(ahead=ahead)} {time}",
        f"{position} {_left(place, texts, says)}",
    ]
    if place["outlook"] == "unlikely":
        lines.insert(1, texts["waiting.unlikely"])
    return {
        "tab": texts["waiting.tab"].format(ahead=ahead),
        "lines": [*lines, texts["waiting.text"], texts["selection"]],
    }


def _turn(place: Mapping[str, Any], texts: Texts, says: Speech) -> View:
    until, left_s = place["expires_at"], _seconds_between(place["at"], place["expires_at"])
    text = texts["admitted.text"].format(
        t=until[11:16].replace(":", says.colon), m=max(0, -(-left_s // 60))
    )
    left = place["extensions_left"]
    buttons = BUTTONS["admitted"] if left else ["leave"]
    return {"lines": [text, texts["admitted.more"]], "buttons": list(buttons), "left": left}


def _seconds_between(earlier: str, later: str) -> int:
    return round((datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())


def _left(document: Mapping[str, Any], texts: Texts, says: Speech) -> str:
    left, quota = says.number(document["places_left"]), says.number(document["quota"])
    return texts["waiting.left"].format(places_left=left, quota=quota)


def form_of(room: LiveRoom, says: Speech, filled: Filled) -> View:
    """Return the form's part of the page, with what was typed where something is wrong."""
    fields = [_shown(each, says) for each in room.programme.fields]
    return {
        "fields": fields,
        "errors": {each["name"]: _error(each, says, filled) for each in fields},
        "values": {each["name"]: filled.values.get(each["name"], "") for each in fields},
    }


def _error(shown: Mapping[str, Any], says: Speech, filled: Filled) -> str:
    code = filled.codes.get(shown["name"])
    if not code:
        return ""
    typed = filled.values.get(shown["name"], "")
    counted = shown["numeric"] and typed
    return says(f"error.{code}") + (
        f" {says('form.typed', n=len(typed.translate(SEPARATORS)))}" if counted else ""
    )


def _shown(each: Field, says: Speech) -> View:
    return {
        "name": each.name,
        "kind": each.kind,
        "label": says.of(each.label),
        "hint": says.of(each.hint) if any(each.hint.values()) else "",
        "required": each.required,
        "type": INPUT_TYPES.get(each.kind, "text"),
        "numeric": each.kind in NUMERIC,
        "length": NIK_DIGITS if each.kind == "nik" else each.max_length,
        "autocomplete": each.autocomplete or AUTOCOMPLETE.get(each.kind, ""),
        "choices": [
            {"value": choice.value, "label": says.of(choice.label)} for choice in each.choices
        ],
    }


def tidied(room: LiveRoom, name: str, value: str) -> str:
    """Take out what people put into numbers to read them: spaces, dots and dashes."""
    kinds = {each.name: each.kind for each in room.programme.fields}
    if kinds.get(name) in NUMERIC:
        return value.translate(SEPARATORS)
    return value
