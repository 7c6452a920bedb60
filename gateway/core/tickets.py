"""Is this ticket one of ours? Signed tickets and passes, checked without asking anybody.

Layout, all integers big-endian: version u8 · key id u8 · kind u8 · length u8 and programme · length u8
and wave · epoch 8 bytes · number u64 · serial u32 · issued-at u64 (us) · nonce 8 bytes · MAC 16 bytes.
The MAC is keyed BLAKE2b (RFC 7693) over everything before it. As text: base64url (RFC 4648) without
padding, in its one canonical spelling.
"""

import binascii
from base64 import urlsafe_b64encode
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from typing import NamedTuple

VERSION = 1
MAC_BYTES = 16
TEXT_BYTES_MAX = 512
_PERSON = b"gateway-ticket"
_HEAD = Struct(">BBB")
BYTES_MIN = _HEAD.size + MAC_BYTES
_TAIL = Struct(">8sQIQ8s")
_OWNER_AT = 2  # behind version and key id: kind, programme, wave
_NUMBER = Struct(">8xQ")  # of the tail
_FROM_URLSAFE = bytes.maketrans(b"-_", b"+/")
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")


class Kind(IntEnum):
    """What a credential is good for; inside the signed bytes."""

    TICKET = 1  # says who is in the room
    PASS = 2  # an admission


class Credential(NamedTuple):
    """A ticket or a pass, taken apart."""

    kind: Kind
    programme_id: str
    wave_id: str
    epoch: str  # 16 hex digits
    number: int
    serial: int  # of the pass; 0 in tickets
    issued_at_us: int
    nonce: bytes  # 8 bytes


@dataclass(frozen=True, slots=True)
class Key:
    """One signing key."""

    id: int  # 0..255, written into what it signs
    secret: bytes = field(repr=False)  # 32 bytes


@dataclass(frozen=True, slots=True)
class Keyring:
    """Several keys verify, one signs."""

    current: Key
    others: tuple[Key, ...] = ()

    def find(self, key_id: int) -> Key | None:
        """Return the key of that id, if it is still in use."""
        if key_id == self.current.id:
            return self.current
        return next((key for key in self.others if key.id == key_id), None)


def owner_of(kind: Kind, programme_id: str, wave_id: str) -> bytes:
    """Return how kind, programme and wave are written into what is signed, each length told."""
    programme, wave = programme_id.encode(), wave_id.encode()
    return bytes([kind, len(programme)]) + programme + bytes([len(wave)]) + wave


def sign(keys: Keyring, credential: Credential) -> str:
    """Return the credential as text, signed with the current key."""
    body = b"".join(
        (
            bytes([VERSION, keys.current.id]),
            owner_of(credential.kind, credential.programme_id, credential.wave_id),
            _TAIL.pack(
                bytes.fromhex(credential.epoch),
                credential.number,
                credential.serial,
                credential.issued_at_us,
                credential.nonce,
            ),
        )
    )
    return urlsafe_b64encode(body + _mac(keys.current, body)).rstrip(b"=").decode()


def verify(keys: Keyring, text: str | bytes, kind: Kind, wave_id: str) -> Credential | None:
    """Return what was signed, or None for anything ``sign`` did not make, of this kind, for this wave."""
    body = _open(keys, text)
    if body is None:
        return None
    credential = _unpack(body)
    if credential.kind is not kind or credential.wave_id != wave_id:
        return None
    return credential


def verify_number(keys: Keyring, text: bytes, owner: bytes) -> int | None:
    """Return the number in what was signed for ``owner``, and nothing else of it; None as ``verify``.

    For polls, where taking the whole credential apart would cost more than verifying it.
    """
    body = _open(keys, text)
    if body is None or not body.startswith(owner, _OWNER_AT):
        return None
    number: int = _NUMBER.unpack_from(body, _OWNER_AT + len(owner))[0]
    return number


def _open(keys: Keyring, text: str | bytes) -> bytes | None:
    """Return the signed bytes. The MAC is compared before anything inside is looked at, in constant time."""
    if len(text) > TEXT_BYTES_MAX:
        return None
    try:
        spelling = text.encode("ascii") if isinstance(text, str) else text
        raw = a2b_base64(spelling.translate(_FROM_URLSAFE) + b"==")
    except (UnicodeEncodeError, binascii.Error):
        return None
    # Decoders take other alphabets, padding and loose last bits: only our own spelling is ours.
    if b2a_base64(raw, newline=False).translate(_TO_URLSAFE, b"=") != spelling:
        return None
    if len(raw) < BYTES_MIN:
        return None
    body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    key = keys.current if raw[1] == keys.current.id else keys.find(raw[1])
    return body if key is not None and compare_digest(_mac(key, body), mac) else None


def _mac(key: Key, body: bytes) -> bytes:
    keyed = _keyed(key.secret).copy()
    keyed.update(body)
    return keyed.digest()


@lru_cache(maxsize=16)
def _keyed(secret: bytes) -> blake2b:
    """Return the state of the MAC with the key taken in: half of the work for so short a message."""
    return blake2b(key=secret, digest_size=MAC_BYTES, person=_PERSON)


def _unpack(body: bytes) -> Credential:
    """Take apart what we once signed; its layout needs no doubt any more."""
    _, _, kind = _HEAD.unpack_from(body)
    programme_end = 4 + body[3]
    wave_end = programme_end + 1 + body[programme_end]
    epoch, number, serial, issued_at_us, nonce = _TAIL.unpack_from(body, wave_end)
    return Credential(
        kind=Kind(kind),
        programme_id=body[4:programme_end].decode(),
        wave_id=body[programme_end + 1 : wave_end].decode(),
        epoch=epoch.hex(),
        number=number,
        serial=serial,
        issued_at_us=issued_at_us,
        nonce=nonce,
    )
