"""Which positions are set? One bit each, with the five questions that Redis answers in one command.

The twin of a Redis string used with ``SETBIT``, ``GETBIT``, ``BITCOUNT … BIT`` and ``BITPOS … BIT``.
"""


class Bitmap:
    """Bits by position. Beyond its end every bit is 0."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __contains__(self, position: int) -> bool:
        byte = position >> 3
        return byte < len(self._bytes) and bool(self._bytes[byte] >> (position & 7) & 1)

    def set(self, position: int) -> None:
        """Set one bit."""
        missing = (position >> 3) + 1 - len(self._bytes)
        if missing > 0:
            self._bytes.extend(bytes(missing))
        self._bytes[position >> 3] |= 1 << (position & 7)

    def clear(self, position: int) -> None:
        """Clear one bit."""
        if position >> 3 < len(self._bytes):
            self._bytes[position >> 3] &= ~(1 << (position & 7))

    def count(self, low: int, high: int) -> int:
        """Count the bits set in ``[low, high)``."""
        high = min(high, len(self._bytes) * 8)
        if low >= high:
            return 0
        first, last = low >> 3, (high - 1) >> 3
        bits = int.from_bytes(self._bytes[first : last + 1], "little")
        bits >>= low & 7
        return (bits & ((1 << (high - low)) - 1)).bit_count()

    def first_zero(self, low: int, high: int) -> int:
        """Return the first clear position in ``[low, high)``, or ``high``."""
        return next((position for position in range(low, high) if position not in self), high)

    def after_nth(self, n: int, low: int, high: int) -> int:
        """Return the position behind the ``n``-th set bit of ``[low, high)``; ``low`` for n = 0.

        Halves the range by counting, as the script does: O(log) counts. The range must hold ``n`` bits.
        """
        if n <= 0:
            return low
        start = low
        while high - low > 1:
            middle = (low + high) // 2
            if self.count(start, middle) >= n:
                high = middle
            else:
                low = middle
        return high
