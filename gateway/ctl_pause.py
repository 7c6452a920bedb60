"""What does a pause say on every page? Since when it is, why, and when there is news, in the wave's zone.

The console says the same in the same words. One text is shown in every language, so its few fixed words stand
in both.
"""

import re
from datetime import datetime

from gateway.ctl_text import zone_of

_SINCE = re.compile(r"^sejak / since \S+ \S+")


def message(reason: str, next_news: str | None, at: str, opens_at: str) -> str:
    """Return the message of a pause that begins at an instant; ``opens_at`` knows the zone."""
    here = datetime.fromisoformat(opens_at)
    since = datetime.fromisoformat(at).astimezone(here.tzinfo)
    news = f"kabar berikutnya / next news: {next_news} {zone_of(here)}" if next_news else ""
    return " · ".join(filter(None, [f"sejak / since {since:%H:%M} {zone_of(here)}", reason, news]))


def go_on(before: str, after: str) -> str:
    """Return the message ``after`` with the beginning of the one that stands: it is the same pause."""
    since = _SINCE.match(before)
    return _SINCE.sub(since[0], after) if since else after


def are_of_one_pause(one: str, other: str) -> bool:
    """Say whether two messages were said of the same pause, however its news has changed."""
    return one == other or (_SINCE.match(one) is not None and go_on(one, other) == other)
