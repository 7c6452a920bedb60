"""What does somebody do who only looks? The load of the front doors alone, without a crowd's ways."""

from typing import Any

from loadtests.browser import Browser, Outcome
from loadtests.steps import Way


class Visitor(Browser):
    """Somebody who looks at page and board, evenly, and never joins."""

    def __init__(self, *args: Any, looks: int, every_s: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._looks, self._every_s = looks, every_s

    def live(self) -> Way:
        """Look so often."""
        for _ in range(self._looks):
            yield from self.try_once("page", "GET", self.page, 200, 304)
            yield from self.try_once("board", "GET", f"{self.api}/board", 200)
            yield from self.rest(self._every_s)
        self.tell("end", outcome=Outcome.LOOKED, habit=self.person.habit)
        return Outcome.LOOKED
