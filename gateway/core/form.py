"""Is this form filled in? Fields from the programme's file, checked all at once; nothing is coerced.

Values are text and stay text. What comes out is canonical: Unicode NFC, trimmed, one spelling of a
telephone number, fields in their order, empty optional ones left out. The canonical form is what is
digested, stored and compared.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from json.encoder import encode_basestring
from typing import Any, Literal

from gateway.core.autofill import Autocomplete
from gateway.core.nik import is_nik

Texts = Mapping[str, str]  # language code ("id", "en") -> text
Kind = Literal["nik", "digits", "text", "birth-date", "phone", "email", "choice"]
BIRTH_DATE_MIN = date(1900, 1, 1)
EMAIL_MAX = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
CONTENT_BYTES = 16
_ZERO_WIDTH = frozenset("\u200b\u200c\u200d\u2060\ufeff")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DIGITS = re.compile(r"[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PHONE = re.compile(r"(?:\+62|62|0)(8[0-9]{8,11})")
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


def said(texts: Texts, language: str) -> str:
    """Return a programme's own text; in a language it does not speak, as it says it first."""
    return texts.get(language) or next(iter(texts.values()), "")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a field's values."""

    value: str
    label: Texts


@dataclass(frozen=True, slots=True)
class Field:
    """One question of the form."""

    name: str
    kind: Kind
    required: bool
    label: Texts
    hint: Texts
    min_length: int  # of text and digits
    max_length: int
    choices: tuple[Choice, ...] = ()
    autocomplete: Autocomplete | None = None  # what the browser may fill in; None: as the kind says


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field. Never holds the value."""

    pointer: str  # RFC 6901, "/nik"
    code: str
    expected: Mapping[str, int | str | list[str]] = field(default_factory=dict)


def check(
    fields: Sequence[Field], values: Mapping[str, object]
) -> dict[str, str] | tuple[FieldError, ...]:
    """Return the canonical values in the order of the fields, or every field's error."""
    known = {each.name for each in fields}
    errors = [FieldError(_pointer(name), "field-unknown") for name in values if name not in known]
    canonical: dict[str, str] = {}
    for each in fields:
        value = values.get(each.name)
        if value is None or value == "":
            if each.required or (value is None and each.name in values):
                code = "field-type" if value is None and each.name in values else "field-missing"
                errors.append(FieldError(_pointer(each.name), code))
        elif not isinstance(value, str):
            errors.append(FieldError(_pointer(each.name), "field-type", {"type": "string"}))
        else:
            checked = _check_text(each, value)
            if isinstance(checked, FieldError):
                errors.append(checked)
            elif checked or each.required:
                canonical[each.name] = checked
    return tuple(errors) if errors else canonical


def _pointer(name: str) -> str:
    """Return the JSON pointer of a member; a long name of the client's is cut."""
    return "/" + name[:64].encode("utf-8", "replace").decode().replace("~", "~0").replace("/", "~1")


def _check_text(each: Field, value: str) -> str | FieldError:
    if not _is_clean(value):
        return FieldError(_pointer(each.name), "text-invalid")
    # A number is matched as it came: what a page may tidy up, the API does not.
    text = value if each.kind in ("nik", "digits", "choice") else normalise(value)
    if not text:
        return FieldError(_pointer(each.name), "field-missing") if each.required else ""
    return _CHECKS[each.kind](each, text)


def normalise(text: str) -> str:
    """Return the one spelling of a text: NFC, no space around it."""
    return unicodedata.normalize("NFC", text).strip()


def _is_clean(text: str) -> bool:
    """Say whether a text holds only what can be stored, shown and compared without surprise."""
    if text.isascii() and text.isprintable():  # nearly all of them
        return True
    if any(
        character in _BIDI or unicodedata.category(character) in {"Cc", "Cs"} for character in text
    ):
        return False
    visible = [c for c in text if c not in _ZERO_WIDTH and not c.isspace()]
    return bool(visible) or not any(c in _ZERO_WIDTH for c in text)


def _nik(each: Field, text: str) -> str | FieldError:
    return text if is_nik(text) else FieldError(_pointer(each.name), "nik-invalid", {"length": 16})


def _digits(each: Field, text: str) -> str | FieldError:
    if _DIGITS.fullmatch(text) and each.min_length <= len(text) <= each.max_length:
        return text
    bounds = {"min_length": each.min_length, "max_length": each.max_length}
    return FieldError(_pointer(each.name), "digits-invalid", bounds)


def _text(each: Field, text: str) -> str | FieldError:
    if each.min_length <= len(text) <= each.max_length:
        return text
    bounds = {"min_length": each.min_length, "max_length": each.max_length}
    return FieldError(_pointer(each.name), "text-invalid", bounds)


def _birth_date(each: Field, text: str) -> str | FieldError:
    # Python itself reads more spellings.
    if _DATE.fullmatch(text):
        with suppress(ValueError):
            if date.fromisoformat(text) >= BIRTH_DATE_MIN:
                return text
    return FieldError(_pointer(each.name), "date-invalid", {"format": "YYYY-MM-DD"})


def _phone(each: Field, text: str) -> str | FieldError:
    match = _PHONE.fullmatch(re.sub(r"[ .-]", "", text))
    if match:
        return f"+62{match[1]}"
    return FieldError(_pointer(each.name), "phone-invalid", {"prefix": ["08", "+62"]})


def _email(each: Field, text: str) -> str | FieldError:
    local = text.partition("@")[0]
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    if len(text) <= EMAIL_MAX and _EMAIL.fullmatch(text) and not dots:
        return text
    return FieldError(_pointer(each.name), "email-invalid", {"max_length": EMAIL_MAX})


def _choice(each: Field, text: str) -> str | FieldError:
    allowed = [choice.value for choice in each.choices]
    return (
        text
        if text in allowed
        else FieldError(_pointer(each.name), "choice-invalid", {"one_of": allowed})
    )


_CHECKS: Mapping[Kind, Callable[[Field, str], str | FieldError]] = {
    "nik": _nik,
    "digits": _digits,
    "text": _text,
    "birth-date": _birth_date,
    "phone": _phone,
    "email": _email,
    "choice": _choice,
}


def canonical_json(values: Mapping[str, str]) -> bytes:
    """Return the bytes that are digested and stored: sorted keys, UTF-8, no spaces."""
    quote = encode_basestring
    members = (f"{quote(name)}:{quote(values[name])}" for name in sorted(values))
    return f"{{{','.join(members)}}}".encode()


def person_digest(pepper: bytes, programme_id: str, person: str) -> bytes:
    """Return the only trace of a person outside payload and store, 32 bytes.

    HMAC-SHA-256 under a secret pepper: a plain hash of a sixteen-digit number is undone in minutes.
    """
    parts = (programme_id.encode(), person.encode())
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(pepper, b"person" + framed, hashlib.sha256)


def content_digest(pepper: bytes, content: bytes) -> bytes:
    """Return what tells one filled form from another, 16 bytes, under the same pepper."""
    return hmac.digest(pepper, b"content" + content, hashlib.sha256)[:CONTENT_BYTES]


def json_schema(fields: Sequence[Field], language: str) -> dict[str, Any]:
    """Return the form as JSON Schema 2020-12, with what a page needs to draw it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": [each.name for each in fields if each.required],
        "properties": {each.name: _property(each, language) for each in fields},
    }


def _property(each: Field, language: str) -> dict[str, Any]:
    title = said(each.label, language)
    described: dict[str, Any] = {"type": "string", "title": title, "x-kind": each.kind}
    if hint := said(each.hint, language):
        described["description"] = hint
    match each.kind:
        case "nik":
            described["pattern"] = "^[0-9]{16}$"
        case "digits":
            described["pattern"] = f"^[0-9]{{{each.min_length},{each.max_length}}}$"
        case "text":
            described |= {"minLength": each.min_length, "maxLength": each.max_length}
        case "birth-date":
            described["format"] = "date"
        case "email":
            described |= {"format": "email", "maxLength": EMAIL_MAX}
        case "choice":
            described["oneOf"] = [
                {"const": choice.value, "title": said(choice.label, language)}
                for choice in each.choices
            ]
        case "phone":
            described["format"] = "phone"
    return described
