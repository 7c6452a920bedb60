"""A seed for each run of these tests, told when one fails."""

import pytest

from tests.loadtests.told import SEED


@pytest.fixture(autouse=True)
def _print_the_seed() -> None:
    print(f"seed {SEED}")  # noqa: T201  shown when a test fails
