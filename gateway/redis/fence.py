"""What this process has seen of each room: shown with every call, so that a lesser room is found out.

A Redis that was emptied, or put back from an older copy, holds less than it has acknowledged. The script
that compares refuses before it changes anything.
"""

from gateway.core.snapshot import Phase, Snapshot
from gateway.ports import RoomMissingError


class Fences:
    """The highest counters seen, by wave."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int, int]] = {}  # wave -> (epoch, issued, accepted)

    def text(self, wave_id: str) -> str:
        """Return what scripts take as their fence; empty where nothing was seen yet."""
        seen = self._seen.get(wave_id)
        return f"{seen[0]}:{seen[1]}:{seen[2]}" if seen else ""

    def issued(self, wave_id: str) -> int:
        """Return how many numbers are known to have been given."""
        return self._seen.get(wave_id, ("", 0, 0))[1]

    def accepted(self, wave_id: str) -> int:
        """Return how many registrations are known to have been acknowledged."""
        return self._seen.get(wave_id, ("", 0, 0))[2]

    def observe(self, wave_id: str, snapshot: Snapshot) -> None:
        """Take in a snapshot; one of another epoch is a room that was recovered, or made anew.

        Raises:
            RoomMissingError: numbers that were given are not known there: recover first.
        """
        epoch, issued, accepted = self._seen.get(wave_id, (snapshot.epoch, 0, 0))
        same = snapshot.epoch == epoch
        if snapshot.issued < issued:
            # The next call shows it to the room as it is now, which closes it.
            self._seen[wave_id] = (snapshot.epoch, issued, accepted if same else 0)
            raise RoomMissingError("the room holds less than it has given")
        if not same:
            accepted = 0  # what was lost has been reported by recovery
        # Of a room that is being put back nobody was given the numbers of its margin.
        given = issued if snapshot.phase is Phase.RECOVERING else snapshot.issued
        self._seen[wave_id] = (snapshot.epoch, given, max(accepted, snapshot.accepted))

    def expect(self, wave_id: str, epoch: str, issued: int, accepted: int) -> None:
        """Take in what a checkpoint has kept."""
        if wave_id not in self._seen:
            self._seen[wave_id] = (epoch, issued, accepted)

    def took_in(self, wave_id: str, fence: str, accepted: int) -> None:
        """Note how many registrations the room had acknowledged that stands behind ``fence``."""
        epoch, issued, before = self._seen.get(wave_id, ("", 0, 0))
        if epoch and fence.startswith(f"{epoch}:"):  # not the room before a recovery
            self._seen[wave_id] = (epoch, issued, max(before, accepted))

    def joined(self, wave_id: str, number: int) -> None:
        """Note a number that was given."""
        epoch, issued, accepted = self._seen.get(wave_id, ("", 0, 0))
        if epoch:
            self._seen[wave_id] = (epoch, max(issued, number + 1), accepted)
