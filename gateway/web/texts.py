"""What pages say, in every language there is a catalogue for. Adding a language is adding a file.

Catalogues are gettext's (``pages/locales/*.po``) with symbolic names; numbers and dates follow CLDR.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

from babel.dates import format_date
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_group_symbol

from gateway.core.clock import local
from gateway.core.form import Texts, said
from gateway.core.programme import ZONE_OFFSETS_H, Programme, Zone

_CATALOGUES = files("gateway.web") / "pages" / "locales"
# The first is spoken where the client asks for none of them.
LANGUAGES = tuple(
    sorted(
        (file.name[:-3] for file in _CATALOGUES.iterdir() if file.name.endswith(".po")),
        key=lambda name: (name != "id", name),
    )
)
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Speech:
    """One language."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, name: str, **values: object) -> str:
        """Return one text with its values in place."""
        return self.texts[name].format(**values)

    def fill(self, name: str, values: Mapping[str, str]) -> str:
        """Return one text with the values that are known in place; the others stay to be filled in."""
        return PLACEHOLDER.sub(lambda m: values.get(m[1], m[0]), self.texts[name])

    def of(self, texts: Texts) -> str:
        """Return a programme's own text; in a language it does not speak, what it says first."""
        return said(texts, self.language)

    def for_programme(self, programme: Programme) -> "Speech":
        """Return the same language with the programme's own words in place of ours."""
        own = {
            name: said
            for name, texts in programme.texts.items()
            if (said := texts.get(self.language))
        }
        return replace(self, texts={**self.texts, **own}) if own else self

    @property
    def colon(self) -> str:
        """Return what stands between hours and minutes."""
        return self.texts["colon"]

    @property
    def group(self) -> str:
        """Return what separates thousands."""
        return get_group_symbol(self.language)

    def number(self, value: int) -> str:
        """Return a whole number as people write it."""
        return str(format_decimal(value, locale=self.language))

    def hour(self, instant: datetime) -> str:
        """Return a clock time without its zone."""
        return f"{instant:%H}{self.colon}{instant:%M}"

    def after(self, at: str, seconds: int) -> str:
        """Return the clock time so long after an instant in ISO 8601, in its own zone."""
        return self.hour(datetime.fromisoformat(at) + timedelta(seconds=seconds))

    def when(self, instant_us: int, zone: Zone) -> str:
        """Return day, date, clock time and zone: "Kamis, 16 April 2020, pukul 16.00 WIB"."""
        instant = local(instant_us, zone)
        day = format_date(instant, "EEEE, d MMMM y", locale=self.language)
        return self("when", day=day, time=self.hour(instant), zone=zone)

    def zones(self, instant_us: int) -> str:
        """Return one clock time in all of Indonesia: "16.00 WIB = 17.00 WITA = 18.00 WIT"."""
        return " = ".join(f"{self.hour(local(instant_us, zone))} {zone}" for zone in ZONE_OFFSETS_H)


def gaps(text: str) -> set[str]:
    """Return the names of what is filled in; a brace that names nothing is one of no name."""
    rest = PLACEHOLDER.sub("", text)
    return {*PLACEHOLDER.findall(text), *([""] if "{" in rest or "}" in rest else [])}


@cache
def speech(language: str) -> Speech:
    """Read one catalogue."""
    text = (_CATALOGUES / f"{language}.po").read_bytes()
    catalogue = read_po(io.BytesIO(text), locale=language)
    return Speech(language, {str(m.id): str(m.string) for m in catalogue if m.id})
