"""What is a sealed form, and to which entry does it belong?

Layout: mark u8 · key id u8 · nonce 12 bytes · ciphertext and tag of AES-256-GCM (NIST SP 800-38D). The mark
begins no JSON, so forms in clear, from before sealing was switched on, are told apart. The associated
data name the one entry it opens in; ``redis/sealed`` seals and opens.
"""

MARK = 1  # and version of this layout
NONCE_BYTES = 12  # fresh and random: safe for 2^32 forms under one key
HEAD_BYTES = 2 + NONCE_BYTES
TAG_BYTES = 16


def is_sealed(payload: bytes) -> bool:
    """Say whether a payload is no form in clear."""
    return payload[:1] == bytes([MARK])


def associated_data(programme_id: str, wave_id: str, receipt: str, key_id: int) -> bytes:
    """Return what must be the same when it is opened, length-prefixed: no two entries share it."""
    parts = (programme_id.encode(), wave_id.encode(), receipt.encode())
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return bytes([MARK, key_id]) + framed


def join(key_id: int, nonce: bytes, text: bytes) -> bytes:
    """Put a sealed form together."""
    return bytes([MARK, key_id]) + nonce + text


def split(sealed: bytes) -> tuple[int, bytes, bytes] | None:
    """Take a sealed form apart: key id, nonce, text; None where it was cut."""
    if not is_sealed(sealed) or len(sealed) < HEAD_BYTES + TAG_BYTES:
        return None
    return sealed[1], sealed[2:HEAD_BYTES], sealed[HEAD_BYTES:]
