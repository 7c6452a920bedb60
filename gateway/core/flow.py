"""How long do people fill the form, and how many of them finish? Read off the room's counters, once a second.

Passes of a few form times are held against the registrations that came one form time later: whoever waited
for passes to expire would know only after ten minutes. The history is bounded by time; a room that was put
back starts it anew.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

FORM_S = 60.0  # until somebody has registered
FORM_S_MIN, FORM_S_MAX = 5.0, 600.0
SHARE_MIN = 0.2
FORMS = 4  # form times looked back on
FORMS_MIN = 3  # of them known, or slow and quick applicants weigh wrongly
ENOUGH = 50  # passes, for a share to mean something
HISTORY_US = round((FORMS + 1) * FORM_S_MAX * 1_000_000)


@dataclass(frozen=True, slots=True)
class _Seen:
    at_us: int
    admitted: int
    accepted: int
    form_us: int


@dataclass(slots=True)
class Flow:
    """One wave's way from pass to registration."""

    form_s: float = FORM_S  # mean
    share: float = 1.0  # of passes that end in a registration; 1 until enough is known
    on_form: int = 0  # passes issued within the last form time
    _history: list[_Seen] = field(default_factory=list)  # one a second, in order

    def observe(self, now_us: int, admitted: int, accepted: int, form_us: int) -> None:
        """Take in the room's counters."""
        seen = _Seen(now_us, admitted, accepted, form_us)
        history = self._history
        if history and (now_us < history[-1].at_us or admitted < history[-1].admitted):
            history.clear()
        if history and now_us == history[-1].at_us:  # the wave clock stands: no history in that
            history.pop()
        history.append(seen)
        if now_us - history[0].at_us > HISTORY_US:
            del history[0]
        window = self._at(now_us - round(FORMS * self.form_s * 1_000_000))
        registered = accepted - window.accepted
        if registered > 0:
            mean_s = (form_us - window.form_us) / registered / 1_000_000
            self.form_s = min(FORM_S_MAX, max(FORM_S_MIN, mean_s))
        form_time_us = round(self.form_s * 1_000_000)
        self.on_form = admitted - self._at(now_us - form_time_us).admitted
        self._learn_share(now_us, accepted, form_time_us)

    def _learn_share(self, now_us: int, accepted: int, form_time_us: int) -> None:
        """Hold registrations against the passes issued one form time before them."""
        # Of registrations before this instant nothing is known of their passes.
        first_us = self._history[0].at_us + form_time_us
        since = self._at(max(first_us, now_us - FORMS * form_time_us))
        issued = self._at(now_us - form_time_us).admitted
        issued -= self._at(since.at_us - form_time_us).admitted
        if issued >= ENOUGH and now_us - since.at_us >= FORMS_MIN * form_time_us:
            self.share = min(1.0, max(SHARE_MIN, (accepted - since.accepted) / issued))

    def _at(self, at_us: int) -> _Seen:
        """Return what was seen at an instant, or the first that is known."""
        index = bisect_right(self._history, at_us, key=lambda seen: seen.at_us)
        return self._history[max(0, index - 1)]
