"""What is registered for, when, by whom: programmes and their waves.

Values only: ``gateway.programmes`` reads them from files, ``redis/room`` keeps a wave's times once
its room exists. All instants are microseconds since 1970 (UTC).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.core.form import Field, Texts
from gateway.core.look import Look
from gateway.core.policy import Policy

Zone = Literal["WIB", "WITA", "WIT"]
ZONE_OFFSETS_H: Mapping[Zone, int] = {"WIB": 7, "WITA": 8, "WIT": 9}  # Indonesia has no summer time


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, or a distance from the making of the room (demo programmes only)."""

    us: int
    relative: bool = False  # True: `us` counts from the making of the room

    def at(self, made_at_us: int) -> int:
        """Return the instant, for a room made at ``made_at_us``."""
        return made_at_us + self.us if self.relative else self.us


@dataclass(frozen=True, slots=True)
class Wave:
    """One opening of a programme. Its id is unique over all programmes."""

    id: str  # [a-z0-9-]{1,64}
    programme_id: str
    ordinal: int  # the "Gelombang {n}" of the pages
    prequeue_at: Moment  # from here on people may join
    opens_at: Moment  # the draw happens here
    closes_at: Moment
    policy: Policy  # the first revision: operators change it live


@dataclass(frozen=True, slots=True)
class Programme:
    """What a person may register for once, whatever the number of waves."""

    id: str  # [a-z0-9-]{1,64}
    name: Texts
    zone: Zone  # in which clock times are shown
    selection: Literal["first-come", "lottery"]  # lottery: chosen after the wave has closed
    person_field: str  # the form field that identifies a person ("nik")
    help_line: Texts
    prepare: Texts  # what to have at hand, one sentence
    fields: tuple[Field, ...]
    waves: tuple[Wave, ...]
    look: Look = field(default_factory=Look)
    texts: Mapping[str, Texts] = field(default_factory=dict)  # page text -> in its own words
