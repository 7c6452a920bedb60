"""What delivery counts: told through one small protocol, so that nobody here knows of metrics."""

from enum import StrEnum
from typing import Protocol

from gateway.core.breaker import Circuit
from gateway.ports import Recording


class Failure(StrEnum):
    """What went wrong."""

    INTAKE = "intake"  # not read, or not settled
    STORE = "store"  # down or late: the batch is tried again
    BATCH = "batch"  # raised for a reason of its own: the batch is split
    ROW = "row"  # one row was refused, or took the answer away: it is tried again


class DeliveryMeter(Protocol):
    """Counts what delivery does. Called in the event loop: neither raises nor waits."""

    def batch(self, took_s: float) -> None:
        """One batch was committed."""

    def settled(self, recording: Recording, count: int) -> None:
        """So many entries have left the intake so; ``REJECTED``: to the dead letters."""

    def failure(self, failure: Failure) -> None:
        """One attempt failed."""

    def oldest_age_s(self, age_s: float) -> None:
        """Tell the age of the oldest entry in hand; 0 when the intake had none to hand out."""

    def circuit(self, circuit: Circuit) -> None:
        """The breaker in front of the store has come to stand so."""
