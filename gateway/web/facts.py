"""What does the script of a page have to know? The same for everybody, or one person's turn.

Texts come with all that is fixed filled in, so a script only ever fills in what it has just heard.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from gateway.core.clock import iso, local
from gateway.core.programme import Programme
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web.texts import Speech

ROOM_TEXTS = (
    "scheduled.text", "join.text", "prequeue.text", "open.", "countdown", "message", "waiting.title",
    "waiting.left", "called.title", "called.text", "full.", "closed.", "paused.", "left.", "missed.", "moved",
    "busy.text", "busy.none", "busy.title", "throttled.", "recovering.", "offline.text", "offline.back",
    "button.join", "button.again", "button.leave", "button.still", "button.auto", "leave.sure", "selection",
)  # fmt: skip
WAIT_TEXTS = (
    "waiting.", "shut.", "outside.", "already.", "tell.granted", "tell.denied",
    "button.find", "button.tell", "button.refresh",
)  # fmt: skip
FORM_TEXTS = (
    "admitted.title",
    "admitted.text",
    "tell.body",
    "form.",
    "already.",
    "button.find",
    "offline.form",
    "button.claim",
    "leave.sure",
    "error.",
)
DRAW_TEXTS = (
    "draw.count",
    "draw.wait",
    "draw.mine",
    "draw.later",
    "draw.all",
    "draw.wrong",
    "offline.form",
)
MINUTE = len("2020-04-16T16:00")  # as texts tell it
_WITH_NEXT = ("waiting.unlikely", "full.text", "closed.text")  # tell when the next wave opens


def wave_name(room: LiveRoom, says: Speech) -> str:
    """Return "Gelombang 1"."""
    return says("home.wave", n=room.wave.ordinal)


def fixed(room: LiveRoom, rooms: Rooms, says: Speech) -> dict[str, str]:
    """Return what does not change while a wave lasts, by the names that stand in texts."""
    snapshot, zone = room.current(), room.programme.zone
    return {
        "programme": says.of(room.programme.name),
        "wave": wave_name(room, says),
        "opens": says.when(snapshot.opens_at_us, zone),
        "closes": says.when(room.policy.closes_us(snapshot.closes_at_us), zone),
        "hour": f"{says.hour(local(snapshot.opens_at_us, zone))} {zone}",
        "zone": zone,
        "next": _next_wave(room, rooms, says),
    }


def wave_texts(room: LiveRoom, rooms: Rooms, says: Speech) -> dict[str, str]:
    """Return all texts of a wave with what is fixed filled in."""
    values = fixed(room, rooms, says)
    texts = {name: says.fill(name, values) for name in says.texts}
    for name in _WITH_NEXT:
        texts[name] = f"{texts[name]} {values['next']}".strip()
    texts["selection"] = texts[f"selection.{room.programme.selection}"]
    return texts


def _next_wave(room: LiveRoom, rooms: Rooms, says: Speech) -> str:
    """Return "Gelombang 2 dibuka …", or nothing where no other wave is known to follow."""
    for wave in sorted(room.programme.waves, key=lambda wave: wave.ordinal):
        after = rooms.get(wave.id)
        if wave.ordinal > room.wave.ordinal and after is not None and after.snapshot is not None:
            when = says.when(after.snapshot.opens_at_us, room.programme.zone)
            return says("next", wave=wave_name(after, says), opens=when)
    return ""


def opening(room: LiveRoom, says: Speech) -> str:
    """Return the hour of the opening in all zones, and what to prepare."""
    return f"{says.zones(room.current().opens_at_us)}. {says.of(room.programme.prepare)}"


def room_facts(room: LiveRoom, rooms: Rooms, says: Speech) -> Markup:
    """Return what the waiting page's script is told."""
    snapshot = room.current()
    texts = wave_texts(room, rooms, says)
    return block(
        _common(room, says, texts, ROOM_TEXTS)
        | {
            "group": says.group,
            "title": texts["scheduled.title"],
            "opens_iso": iso(snapshot.opens_at_us, room.programme.zone),
            "before": opening(room, says),
        }
    )


def wait_texts(room: LiveRoom, rooms: Rooms, says: Speech) -> str:
    """Return what the waiting page's second script brings along, as a statement."""
    texts = _wanted(wave_texts(room, rooms, says), WAIT_TEXTS)
    closes_us = room.policy.closes_us(room.current().closes_at_us)
    texts["closes_at"] = iso(closes_us, room.programme.zone)[:MINUTE]
    # ASCII: a line separator in a text would end the line in browsers before ES2019.
    return f"var more={json.dumps(texts, separators=(',', ':'))};for(var k in more)P.t[k]=more[k];"


def draw_facts(room: LiveRoom, rooms: Rooms, says: Speech) -> Markup:
    """Return what the check of the draw is told."""
    texts = wave_texts(room, rooms, says)
    known = {"group": says.group, "commitment": room.commitment()}
    return block(_common(room, says, texts, DRAW_TEXTS) | known)


def form_facts(room: LiveRoom, rooms: Rooms, says: Speech, place: Mapping[str, Any]) -> Markup:
    """Return what the script of the form is told; it is one person's own."""
    texts = wave_texts(room, rooms, says)
    known = {"until": place["expires_at"], "at": place["at"], "left": place["extensions_left"]}
    return block(_common(room, says, texts, FORM_TEXTS) | known)


def _common(
    room: LiveRoom, says: Speech, texts: Mapping[str, str], wanted: Sequence[str]
) -> dict[str, Any]:
    return {
        "wave": room.wave.id,
        "language": says.language,
        "colon": says.colon,
        "t": _wanted(texts, wanted),
    }


def _wanted(texts: Mapping[str, str], wanted: Sequence[str]) -> dict[str, str]:
    """Return the texts of these names; one that ends in a dot stands for all that begin so."""
    prefixes = tuple(name for name in wanted if name.endswith("."))
    return {
        name: text for name, text in texts.items() if name in wanted or name.startswith(prefixes)
    }


def block(facts: Mapping[str, Any]) -> Markup:
    """Return JSON that may stand in a page: nothing in a text can end the block it stands in."""
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704  escaped above


def listed(rooms: Rooms, programme: Programme, wave_id: str, says: Speech) -> dict[str, str]:
    """Return what the programme page tells of a wave: its times once its room has been seen."""
    room = rooms.get(wave_id)
    wave = next(wave for wave in programme.waves if wave.id == wave_id)
    known = {"id": wave.id, "name": says("home.wave", n=wave.ordinal), "phase": "", "opens": ""}
    if room is None or room.snapshot is None:
        return known | {"quota": says.number(wave.policy.quota)}
    zone, seen = programme.zone, room.snapshot
    closes_us = room.policy.closes_us(seen.closes_at_us)
    return known | {
        "quota": says.number(room.policy.quota),
        "phase": says(f"phase.{seen.phase}"),
        "opens": says.when(seen.opens_at_us, zone),
        "opens_zones": says.zones(seen.opens_at_us),
        "closes": says.when(closes_us, zone),
        "closes_zones": says.zones(closes_us),
    }
