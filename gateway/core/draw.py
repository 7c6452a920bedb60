"""Who stands where? The draw of the cohort: a permutation that anybody can recompute.

Before the opening only ``commitment = SHA-256(secret)`` is public. At the opening the cohort is frozen
and the secret shown; the seed follows from published values alone, and position = P(number) where P is
a Feistel network (Luby and Rackoff 1988) with SHA-256 as its round function, walked along its cycles
(Black and Rogaway 2002, "Ciphers with arbitrary finite domains") until it lands inside the cohort. It
needs no memory for the others' positions. Twins: the page's script, ``gateway verify-draw``.

Contract: b = max(6, bits of cohort - 1), left half a = b // 2 bits, right half c = b - a bits, ten rounds
r = 0 … 9: even rounds L ^= F(r, R) mod 2^a, odd rounds R ^= F(r, L) mod 2^c, where F(r, x) is the first
four bytes, big-endian, of SHA-256(seed ‖ byte r ‖ x in four bytes, big-endian).
"""

from dataclasses import dataclass
from hashlib import blake2b, sha256

from gateway.core.programme import Wave

ROUNDS = 10
BITS_MIN = 6  # on fewer, ten rounds do not reach every order of five people equally often
COHORT_MAX = 2**31


def draw_secret(key: bytes, programme_id: str, wave_id: str) -> bytes:
    """Return a wave's secret, fixed from its creation on; showing it tells nothing of ``key``."""
    return blake2b(
        _framed(programme_id) + _framed(wave_id), key=key, digest_size=32, person=b"gateway-draw"
    ).digest()


def commitment(secret: bytes) -> str:
    """Return what binds to ``secret`` without telling it, 64 hex digits."""
    return sha256(secret).hexdigest()


def committed(key: bytes, wave: Wave) -> str:
    """Return what binds a wave to the secret that follows from ``key``."""
    return commitment(draw_secret(key, wave.programme_id, wave.id))


def seed(secret: bytes, programme_id: str, wave_id: str, beacon: str, cohort: int) -> bytes:
    """Return the draw's seed: SHA-256 over secret, programme, wave, beacon and cohort.

    Texts are UTF-8 with their length in two bytes before them, the cohort is eight bytes, big-endian.
    """
    texts = _framed(programme_id) + _framed(wave_id) + _framed(beacon)
    return sha256(secret + texts + cohort.to_bytes(8, "big")).digest()


@dataclass(frozen=True, slots=True)
class Draw:
    """The order of one wave, once its cohort is frozen."""

    seed: bytes
    cohort: int

    def __post_init__(self) -> None:
        if not 0 <= self.cohort <= COHORT_MAX:
            raise ValueError(f"cohort {self.cohort} outside 0..{COHORT_MAX}")

    def position(self, number: int) -> int:
        """Return the position drawn for ``number``; those who came later stand where they came."""
        return self._walk(number, range(ROUNDS))

    def number(self, position: int) -> int:
        """Return whose position this is: the inverse of ``position``."""
        return self._walk(position, range(ROUNDS - 1, -1, -1))

    def _walk(self, value: int, rounds: range) -> int:
        if value >= self.cohort:
            return value
        value = self._pass(value, rounds)
        # Fewer than two steps on average where the domain is below 2 x cohort, 64 / cohort below that.
        while value >= self.cohort:
            value = self._pass(value, rounds)
        return value

    def _pass(self, value: int, rounds: range) -> int:
        bits = max(BITS_MIN, (self.cohort - 1).bit_length())
        left_bits = bits // 2
        right_bits = bits - left_bits
        left, right = value >> right_bits, value & ((1 << right_bits) - 1)
        for number in rounds:
            if number % 2 == 0:
                left ^= self._round(number, right) & ((1 << left_bits) - 1)
            else:
                right ^= self._round(number, left) & ((1 << right_bits) - 1)
        return left << right_bits | right

    def _round(self, number: int, half: int) -> int:
        digest = sha256(self.seed + bytes([number]) + half.to_bytes(4, "big")).digest()
        return int.from_bytes(digest[:4], "big")


def _framed(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw
