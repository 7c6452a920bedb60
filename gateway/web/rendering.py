"""Which bytes does a page have? Templates and texts put together, and the policy that fits them.

The page of a wave is the same for everybody: made once per language and times, compressed once. Its
inline style and script are named by their hashes in the Content-Security-Policy, so nothing else runs.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import segno
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.core import receipts
from gateway.core.clock import iso
from gateway.core.programme import Programme
from gateway.ports import ReceiptRecord
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web.documents import Document, make_document
from gateway.web.negotiation import language_of
from gateway.web.problems import Refused
from gateway.web.texts import LANGUAGES, Speech, speech

HTML = "text/html; charset=utf-8"
CACHE = "public, max-age=10"
_SCRIPT_TEXTS = (
    "scheduled.", "prequeue.", "join.", "waiting.", "selection.", "called.", "admitted.", "form.",
    "received.", "recorded.", "rejected.", "receipt.reference", "receipt.open", "full.", "closed.",
    "paused.", "left.", "missed.", "busy.text", "recovering.text", "offline.", "button.join", "button.again",
    "button.claim", "button.move",
    "button.extend", "button.leave", "button.send", "button.print", "leave.", "countdown",
    "error.",
)  # fmt: skip


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class Pages:
    """Everything that is HTML."""

    def __init__(self, programmes: Sequence[Programme]) -> None:
        folder = files("gateway.web") / "pages" / "templates"
        self._programmes = programmes
        self._environment = Environment(
            loader=FileSystemLoader(str(folder)),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._style = (folder / "style.css").read_text("utf-8").strip()
        scripts = ("draw.js", "applicant.js")
        self._script = "\n".join((folder / name).read_text("utf-8").strip() for name in scripts)
        self.csp = (
            f"default-src 'none'; script-src {_hash(self._script)}; style-src {_hash(self._style)}; "
            "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'; require-trusted-types-for 'script'"
        )
        self._waves: dict[tuple[str, str, int, int], Document] = {}

    def html(self, template: str, language: str, **values: Any) -> bytes:
        """Render one template."""
        says = speech(language)
        base = {
            "language": language,
            "t": says,
            "style": Markup(self._style),  # noqa: S704  our own file, named in the policy
            "other": "",
            "other_language": next(other for other in LANGUAGES if other != language),
            "name": says("home.title"),
            "help_line": "",
        }
        return self._environment.get_template(template).render(base | values).encode()

    def of(self, programme: Programme, language: str) -> dict[str, Any]:
        """Return what every page of a programme shows."""
        return {"name": programme.name[language], "help_line": programme.help_line[language]}

    def home(self, rooms: Rooms, language: str) -> Document:
        """Return the programme page."""
        says = speech(language)
        programmes = [
            {
                "name": programme.name[language],
                "prepare": programme.prepare[language],
                "waves": [
                    _wave_facts(rooms.get(wave.id), says)
                    | {
                        "id": wave.id,
                        "ordinal": wave.ordinal,
                        "quota": says.number(wave.policy.quota),
                    }
                    for wave in programme.waves
                ],
            }
            for programme in self._programmes
        ]
        other = f"/?lang={_other(language)}"
        body = self.html(
            "home.html", language, title=says("home.title"), programmes=programmes, other=other
        )
        return self._document(body)

    def wave(self, room: LiveRoom, language: str) -> Document:
        """Return the applicant's page of a wave; made once for its times, which do not change."""
        snapshot = room.current()
        key = (room.wave.id, language, snapshot.opens_at_us, snapshot.closes_at_us)
        if key not in self._waves:
            self._waves[key] = self._document(self._wave(room, language))
        return self._waves[key]

    def _wave(self, room: LiveRoom, language: str) -> bytes:
        says, snapshot, zone = speech(language), room.current(), room.programme.zone
        name = wave_name(room, says)
        payload = {
            "wave": room.wave.id,
            "name": name,
            "title": f"{room.programme.name[language]}: {name}",
            "language": language,
            "zone": zone,
            "selection": room.programme.selection,
            "opens": says.when(snapshot.opens_at_us, zone),
            "closes": says.when(snapshot.closes_at_us, zone),
            "before": f"{says.zones(snapshot.opens_at_us)}. {room.programme.prepare[language]}",
            "opens_iso": iso(snapshot.opens_at_us, zone),
            "colon": says.colon,
            "group": says.group,
            "t": {k: v for k, v in says.texts.items() if k.startswith(_SCRIPT_TEXTS)},
        }
        # "<" is written out of the way: nothing in a text can end the block it stands in.
        texts = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        )
        return self.html(
            "wave.html",
            language,
            title=payload["title"],
            wave=room.wave,
            texts=Markup(texts),  # noqa: S704  escaped above
            script=Markup(self._script),  # noqa: S704  our own file, named in the policy
            other=f"/waves/{room.wave.id}?lang={_other(language)}",
            **self.of(room.programme, language),
        )

    def receipt(self, request: web.Request, record: ReceiptRecord, room: LiveRoom) -> web.Response:
        """Return a receipt's page: its reference, what became of it, and its address as QR code."""
        language = language_of(request)
        says, zone = speech(language), room.programme.zone
        state = record.state if record.state in {"received", "recorded"} else "rejected"
        address = str(request.url.with_query(None))
        body = self.html(
            "receipt.html",
            language,
            title=says(f"{state}.title", wave=wave_name(room, says)),
            text=says(f"{state}.text"),
            reference=receipts.display(record.receipt),
            received=says.when(record.received_at_us, zone),
            recorded=says.when(record.recorded_at_us, zone) if state == "recorded" else "",
            qr=_qr(address),
            selection=says(f"selection.{room.programme.selection}"),
            refresh_s=3 if state == "received" else 0,
            other=f"?lang={_other(language)}",
            **self.of(room.programme, language),
        )
        return web.Response(body=body, headers=self.headers())

    def device(self, room: LiveRoom, ticket: str, origin: str, language: str) -> web.Response:
        """Return the page that moves a place: a link and its QR code, the ticket behind ``#``."""
        says = speech(language)
        link = f"{origin}/waves/{room.wave.id}#t={ticket}"
        body = self.html(
            "device.html",
            language,
            title=says("device.title"),
            link=link,
            qr=_qr(link),
            back=f"/waves/{room.wave.id}?lang={language}",
            **self.of(room.programme, language),
        )
        return web.Response(body=body, headers=self.headers())

    def problem(self, _request: web.BaseRequest, refused: Refused) -> web.Response:
        """Return a refusal as a page; where waiting helps, it asks again by itself."""
        body = self.html(
            "problem.html",
            refused.language,
            title=refused.title,
            text=refused.detail,
            refresh_s=refused.retry_after_s or 0,
        )
        return web.Response(body=body, headers=self.headers())

    def headers(self) -> dict[str, str]:
        """Return what every personal page carries."""
        return {
            "Content-Type": HTML,
            "Content-Security-Policy": self.csp,
            "Cache-Control": "no-store",
        }

    def _document(self, body: bytes) -> Document:
        headers: Mapping[str, str] = self.headers() | {
            "Cache-Control": CACHE,
            "Vary": "Accept-Language, Accept-Encoding",
        }
        headers = {name: value for name, value in headers.items() if name != "Content-Type"}
        return make_document(body, HTML, headers)


def _qr(text: str) -> Markup:
    drawn = segno.make_qr(text, error="l").svg_inline(svgclass="qr", omitsize=True)
    return Markup(drawn)  # noqa: S704  squares, drawn here


def wave_name(room: LiveRoom, says: Speech) -> str:
    """Return "Gelombang 1"."""
    return says("home.wave", n=room.wave.ordinal)


def _other(language: str) -> str:
    return next(other for other in LANGUAGES if other != language)


def _wave_facts(room: LiveRoom | None, says: Speech) -> dict[str, str]:
    """Return what is known of a wave's times and phase."""
    if room is None or room.snapshot is None:
        return {"phase": "", "opens": "", "closes": ""}
    zone, seen = room.programme.zone, room.snapshot
    return {
        "phase": seen.phase,
        "opens": says.when(seen.opens_at_us, zone),
        "opens_zones": says.zones(seen.opens_at_us),
        "closes": says.when(seen.closes_at_us, zone),
        "closes_zones": says.zones(seen.closes_at_us),
    }
