"""A receipt: 128 random bits that a person can type, with a check character that finds slips.

Thirty-two digits without look-alikes (Crockford's base32: no I, L, O, U); 26 of them carry the bits,
the 27th is a check over GF(32): the sum of digit x generator^place. Any single wrong digit changes it,
and so does swapping two neighbours, because the weights of all places differ (ISO 7064 wants the same).
"""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
DIGITS = 26  # 130 bits for 128: the first digit is below 8
LENGTH = DIGITS + 1
GROUP = 4
TEXT_MAX = 64  # longer is not a receipt, whatever it says
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
_READ = str.maketrans({"I": "1", "L": "1", "O": "0", "-": "", " ": ""})
_POLYNOMIAL = 0b100101  # x^5 + x^2 + 1, primitive: 2 generates all 31 non-zero values


_TWICE = [value << 1 ^ (_POLYNOMIAL if value & 0b10000 else 0) for value in range(32)]


def _check(digits: list[int]) -> int:
    """Return the check digit, by Horner's rule: place weights are powers of the generator."""
    total = 0
    for digit in digits:
        total = _TWICE[total ^ digit]
    return total


def make(random: bytes) -> str:
    """Return the receipt of 16 random bytes, as it is stored: 27 characters, no dashes."""
    if len(random) != 16:
        raise ValueError("a receipt is made of 16 random bytes")
    number = int.from_bytes(random, "big")
    digits = [number >> (5 * place) & 31 for place in range(DIGITS - 1, -1, -1)]
    return "".join(ALPHABET[digit] for digit in [*digits, _check(digits)])


def parse(text: str) -> str | None:
    """Read a receipt as somebody typed it, or None when a character is wrong."""
    if len(text) > TEXT_MAX:
        return None
    letters = text.upper().translate(_READ)
    if len(letters) != LENGTH or not all(letter in _VALUES for letter in letters):
        return None
    digits = [_VALUES[letter] for letter in letters]
    return letters if _check(digits[:-1]) == digits[-1] else None


def display(receipt: str) -> str:
    """Return a receipt as it is shown: in groups of four."""
    return "-".join(receipt[start : start + GROUP] for start in range(0, len(receipt), GROUP))
