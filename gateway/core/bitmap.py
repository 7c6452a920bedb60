"""Which positions are set? One bit each, with the five questions that Redis answers in one command.

The twin of a Redis string used with ``SETBIT``, ``GETBIT``, ``BITCOUNT … BIT`` and ``BITPOS … BIT``. Set
bits are also counted by block, so that a count over a million positions adds up some hundred numbers.
"""

BLOCK_BYTES = 512
BLOCK_BITS = BLOCK_BYTES * 8


class Bitmap:
    """Bits by position. Beyond its end every bit is 0."""

    __slots__ = ("_bytes", "_counts")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._counts: list[int] = []  # set bits in each block of whole _bytes

    def __contains__(self, position: int) -> bool:
        byte = position >> 3
        return byte < len(self._bytes) and bool(self._bytes[byte] >> (position & 7) & 1)

    def set(self, position: int) -> None:
        """Set one bit."""
        byte, bit = position >> 3, 1 << (position & 7)
        if byte >= len(self._bytes):
            blocks = byte // BLOCK_BYTES + 1 - len(self._counts)
            self._bytes.extend(bytes(blocks * BLOCK_BYTES))
            self._counts.extend([0] * blocks)
        if not self._bytes[byte] & bit:
            self._bytes[byte] |= bit
            self._counts[byte // BLOCK_BYTES] += 1

    def clear(self, position: int) -> None:
        """Clear one bit."""
        if position in self:
            self._bytes[position >> 3] &= ~(1 << (position & 7))
            self._counts[position // BLOCK_BITS] -= 1

    def count(self, low: int, high: int) -> int:
        """Count the bits set in ``[low, high)``."""
        high = min(high, len(self._bytes) * 8)
        if low >= high:
            return 0
        first, last = -(-low // BLOCK_BITS), high // BLOCK_BITS  # the whole blocks between
        if first >= last:
            return self._count_bits(low, high)
        whole = sum(self._counts[first:last])
        edges = self._count_bits(low, first * BLOCK_BITS) + self._count_bits(
            last * BLOCK_BITS, high
        )
        return whole + edges

    def _count_bits(self, low: int, high: int) -> int:
        return self._bits(low, high).bit_count() if low < high else 0

    def _bits(self, low: int, high: int) -> int:
        """Return ``[low, high)`` as a number, ``low`` its lowest bit; the range ends inside the bytes."""
        bits = int.from_bytes(self._bytes[low >> 3 : (high + 7) >> 3], "little") >> (low & 7)
        return bits & ((1 << (high - low)) - 1)

    def first_zero(self, low: int, high: int) -> int:
        """Return the first clear position in ``[low, high)``, or ``high``."""
        end = min(high, len(self._bytes) * 8)
        while low < end:
            stop = min(end, low + BLOCK_BITS)
            clear = ~self._bits(low, stop)
            offset = (clear & -clear).bit_length() - 1  # of the lowest clear bit
            if low + offset < stop:
                return low + offset
            low = stop
        return min(high, low)

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
