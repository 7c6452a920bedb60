"""The calendar returns everybody exactly when due."""

import random

import numpy as np
import pytest

from gateway.simulation.calendar import BIN_TICKS, FEW, Calendar


@pytest.mark.parametrize("batch", [1, FEW, FEW + 1, 500])
def test_everybody_is_taken_at_its_tick_and_once(batch: int) -> None:
    rng = random.Random(batch)
    calendar = Calendar(2_000, np.random.default_rng(1))
    due_at = dict.fromkeys(range(2_000), 0)
    idle = list(range(2_000))
    for tick in range(1, 6 * BIN_TICKS):
        if len(idle) >= batch:
            going, idle = idle[:batch], idle[batch:]
            due = [tick + rng.randrange(0 if tick > 1 else 1, 3 * BIN_TICKS) + 1 for _ in going]
            due_at |= dict(zip(going, due, strict=True))
            calendar.put(np.array(going), np.array(due))
        taken = calendar.take(tick).tolist()
        assert sorted(taken) == [visitor for visitor, due in due_at.items() if due == tick]
        idle += taken
