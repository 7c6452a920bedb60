"""How much comes in a second, and what becomes of it? Counted beside the metrics, told to operators.

Hits are all requests that got an answer or a refusal. Polls are boards and places; pages are whatever is no
API. What is refused, for lack of room or for asking too often, is told apart. A window is about a second.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.core.flood import Throttled
from gateway.core.shedding import Rank
from gateway.web.counting import Meter
from gateway.web.endpoints import WAVE
from gateway.web.gate import Gate

POLLS = frozenset({f"{WAVE}/board", f"{WAVE}/place"})
KINDS = ("hits", "pages", "polls", "shed", "throttled")
WINDOW_S = 1.0


class Traffic:
    """A ``Meter`` in front of another one, for one process."""

    def __init__(self, meter: Meter, gate: Gate) -> None:
        self._meter, self._gate = meter, gate
        self._counts: Counter[str] = Counter()  # ever
        self._seen: Counter[str] = Counter()  # of them at the end of the last window
        self._seen_at_s: float | None = None
        self.per_s: Mapping[str, float] = {}  # by kind, in the last window

    def look(self, now_s: float) -> None:
        """Tell the last window by the second, once it is over."""
        since_s = self._seen_at_s
        if since_s is not None and now_s - since_s < WINDOW_S:
            return
        self._counts["hits"] = self._gate.quick + self._gate.handled
        if since_s is not None:
            self.per_s = {
                f"{kind}_per_s": round(
                    (self._counts[kind] - self._seen[kind]) / (now_s - since_s), 1
                )
                for kind in KINDS
            }
        self._seen, self._seen_at_s = self._counts.copy(), now_s

    def _answered(self, method: str, route: str, status: int, count: int) -> None:
        if method == "GET" and status < 400:  # a refusal is no page
            if route in POLLS:
                self._counts["polls"] += count
            elif not route.startswith("/v1"):
                self._counts["pages"] += count

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one answer."""
        self._answered(method, route, status, 1)
        self._meter.answered(method, route, status, took_s)

    def answered_many(self, method: str, route: str, status: int, count: int) -> None:
        """Count answers of the lane."""
        self._answered(method, route, status, count)
        self._meter.answered_many(method, route, status, count)

    def answered_in(self, method: str, route: str, status: int, took_s: Sequence[float]) -> None:
        """Count answers of acts."""
        self._answered(method, route, status, len(took_s))
        self._meter.answered_in(method, route, status, took_s)

    def shed(self, rank: Rank, count: int) -> None:
        """Count requests that found no room."""
        self._counts["shed"] += count
        self._meter.shed(rank, count)

    def throttled(self, why: Throttled, count: int) -> None:
        """Count requests whose client asks too often."""
        self._counts["throttled"] += count
        self._meter.throttled(why, count)

    def refused(self, code: str) -> None:
        """Hand on one refusal."""
        self._meter.refused(code)
