"""``python -m loadtests.goodput.stand_in none|middleware …``: the gateway, shedding otherwise than it does.

``none`` lets everybody in. ``middleware`` refuses by the same ranks and limits, but where most applications
would: in an aiohttp middleware, behind the parser, counting what has reached a handler. Nothing of this is in
the product; it is put over its modules here, before the process begins.
"""

import sys
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway import cli, compose, supervise
from gateway.core.shedding import DEFAULTS, Rank, Signals, Thresholds
from gateway.web.gate import Gate
from gateway.web.lane import Lane
from gateway.web.lane_acts import ActRoute
from gateway.web.problems import Problem

SEAMS: dict[str, Any] = vars(compose)
OPEN = (sys.maxsize,) * len(Rank)
RETRY_S = 6.0  # the mean of what the gate tells


class OpenGate(Gate):
    """A gate that only watches: whoever asks ``limits`` finds room."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.kept, self.limits = self.limits, OPEN
        self.in_handlers = 0

    def turn(self, signals: Signals, by: Thresholds = DEFAULTS) -> None:
        """Know the limits, and let everybody in."""
        super().turn(signals, by)
        self.kept, self.limits = self.limits, OPEN


def shed_by_middleware() -> None:
    """Have ``compose`` put a middleware in front of its application."""
    made: list[Lane] = []
    make_app, make_lane = SEAMS["public_app"], SEAMS["make_lane"]

    @web.middleware
    async def shed(request: web.Request, handler: Handler) -> web.StreamResponse:
        lane, gate = made[0], made[0].gate
        assert isinstance(gate, OpenGate)
        rank = lane.rank_of(request.method, request.path)
        if rank is not None and gate.in_handlers >= gate.kept[rank]:
            raise Problem("overloaded", retry_after_s=RETRY_S)
        gate.in_handlers += 1
        try:
            return await handler(request)
        finally:
            gate.in_handlers -= 1

    def app(*args: Any, **named: Any) -> web.Application:
        application: web.Application = make_app(*args, **named)
        application.middlewares.insert(1, shed)  # inside the one that makes answers of problems
        return application

    def lane(*args: Any) -> Lane:
        made.append(make_lane(*args))
        return made[0]

    SEAMS.update(public_app=app, make_lane=lane)
    ActRoute.begin = _left_to_aiohttp  # type: ignore[assignment, method-assign]


def _left_to_aiohttp(*_: Any) -> None:
    """Begin no act in the lane: no middleware would see it."""


def main() -> None:
    """Be that gateway."""
    kind = sys.argv.pop(1)
    again = (sys.executable, "-m", "loadtests.goodput.stand_in", kind)
    vars(supervise)["up"] = partial(supervise.up, command=again)  # what it starts stands in, too
    SEAMS["Gate"] = OpenGate
    if kind == "middleware":
        shed_by_middleware()
    cli.main()


if __name__ == "__main__":
    main()
