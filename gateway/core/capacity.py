"""How many rows a second does the store take? Measured where it works, at each number of batches in flight.

A store with one writer is no quicker with four batches than with one, a store with many is: nobody knows
beforehand. So rows and busy time are kept by concurrency, and the estimate is that of the highest
concurrency seen lately: slots divided by service time where slots help, completions where they do not.
Time without work counts nowhere, so a quiet store is not taken for a slow one. Old figures fade by half
every ``HALF_LIFE_US``. A batch counts when it ends, if it had the same company nearly all its life: others
would credit one concurrency with what another did. One that hangs is told by ``is_fresh`` alone.
"""

HALF_LIFE_US = 5_000_000
FRESH_US = 15_000_000  # without a committed batch for longer, nothing is known
PURE = 0.9  # of a batch's life at one concurrency
WEIGHT_MIN = 0.1  # of the busy time: below it a concurrency was seen too little


class Capacity:
    """The store's speed, by batches in flight."""

    __slots__ = ("_ended_us", "_last_us", "_lives", "_next", "_rows", "_time_us")

    def __init__(self, slots: int) -> None:
        self._time_us = [0.0] * (slots + 1)  # busy, by batches in flight
        self._rows = [0.0] * (slots + 1)
        self._lives: dict[int, list[int]] = {}  # batch -> its time, by batches in flight
        self._next = 0
        self._last_us = 0
        self._ended_us: int | None = None

    def begin(self, now_us: int) -> int:
        """Note that a batch is sent; return its name for ``end``."""
        self._advance(now_us)
        self._next += 1
        self._lives[self._next] = [0] * len(self._time_us)
        return self._next

    def end(self, batch: int, rows: int, now_us: int) -> None:
        """Note that a batch is over; ``rows`` is 0 where it failed."""
        self._advance(now_us)
        life = self._lives.pop(batch)
        level = max(range(len(life)), key=life.__getitem__)
        if life[level] >= PURE * sum(life) > 0:
            self._time_us[level] += sum(life)
            self._rows[level] += rows * level  # its company does as much
        if rows:
            self._ended_us = now_us

    def is_fresh(self, now_us: int) -> bool:
        """Whether a batch was committed lately."""
        return self._ended_us is not None and now_us - self._ended_us <= FRESH_US

    def per_s(self, now_us: int) -> float | None:
        """Return the estimate; None: nothing is known."""
        self._advance(now_us)
        busy_us = sum(self._time_us)
        if not self.is_fresh(now_us):
            return None
        levels = range(len(self._time_us) - 1, 0, -1)
        level = next((n for n in levels if self._time_us[n] >= WEIGHT_MIN * busy_us > 0), 0)
        return self._rows[level] * 1_000_000 / self._time_us[level] if level else None

    def _advance(self, now_us: int) -> None:
        step_us = max(0, now_us - self._last_us)
        self._last_us = now_us
        fading = 0.5 ** (step_us / HALF_LIFE_US)
        self._time_us = [value * fading for value in self._time_us]
        self._rows = [value * fading for value in self._rows]
        level = len(self._lives)
        for life in self._lives.values():
            life[level] += step_us
