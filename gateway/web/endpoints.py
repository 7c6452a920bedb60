"""The public API as data: ``public`` makes routes of it, ``openapi`` the description.

Whatever an endpoint can answer stands in its row; a test holds the rows and the handlers together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Shown = Literal["ticket", "pass"]
WAVE = "/v1/waves/{wave}"

# What every endpoint may meet, and what those that ask Redis may meet.
EVERYWHERE = ("host", "target", "header-too-large", "overloaded", "internal")
_REDIS = ("redis-unavailable", "recovering", "outcome-unknown")
_BODY = ("media-type", "too-large", "body-timeout", "json-invalid", "cross-site")
_TICKET = ("ticket-missing", "ticket-invalid", "credential-ambiguous")
_PASS = ("pass-missing", "pass-invalid", "pass-ended", "credential-ambiguous")
_FIELDS = (
    "field-unknown",
    "field-missing",
    "field-type",
    "text-invalid",
    "nik-invalid",
    "digits-invalid",
    "date-invalid",
    "phone-invalid",
    "email-invalid",
    "choice-invalid",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row: a method at a path."""

    name: str  # of the handler
    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    answers: Mapping[int, str]  # status -> schema; "" for none
    problems: tuple[str, ...] = ()  # codes, besides EVERYWHERE
    shown: Shown | None = None  # the credential it asks for
    body: str = ""  # schema
    parameters: tuple[str, ...] = field(default=("wave",))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "join",
        "POST",
        f"{WAVE}/tickets",
        "Join the waiting room. With a ticket of the wave: the same ticket again.",
        {201: "Ticket", 200: "Ticket"},
        (
            "wave-unknown",
            "wave-not-open",
            "joins-paused",
            "wave-full",
            "wave-closed",
            "ticket-invalid",
            "credential-ambiguous",
            "field-unknown",
            *_BODY,
            *_REDIS,
        ),
    ),
    Endpoint(
        "board",
        "GET",
        f"{WAVE}/board",
        "The public document: the same bytes for everybody.",
        {200: "Board"},
        ("wave-unknown", "redis-unavailable"),
    ),
    Endpoint(
        "place",
        "GET",
        f"{WAVE}/place",
        "Where the holder of a ticket stands; never more in front than ``?ahead=``, as last shown.",
        {200: "Place"},
        ("wave-unknown", "too-many-requests", *_TICKET, *_REDIS),
        "ticket",
    ),
    Endpoint(
        "leave",
        "DELETE",
        f"{WAVE}/place",
        "Give the place back, for good. Twice is once.",
        {204: ""},
        ("wave-unknown", "already-registered", "cross-site", *_TICKET, *_REDIS),
        "ticket",
    ),
    Endpoint(
        "claim",
        "POST",
        f"{WAVE}/pass",
        "Claim a pass once called. Again: the same pass. Too early: 202 with when to ask again.",
        {201: "Pass", 200: "Pass", 202: "Waiting"},
        (
            "wave-unknown",
            "place-ended",
            "already-registered",
            "field-unknown",
            *_TICKET,
            *_BODY,
            *_REDIS,
        ),
        "ticket",
    ),
    Endpoint(
        "extend",
        "POST",
        f"{WAVE}/pass/extension",
        "Lengthen a pass by one life, twice at most. With `?extensions_left=`, as seen, repeatable.",
        {200: "Extension"},
        ("wave-unknown", "extension-exhausted", "field-unknown", *_PASS, *_BODY, *_REDIS),
        "pass",
    ),
    Endpoint(
        "form",
        "GET",
        f"{WAVE}/form",
        "What is to be filled in, as JSON Schema 2020-12.",
        {200: "Form"},
        ("wave-unknown",),
    ),
    Endpoint(
        "register",
        "POST",
        f"{WAVE}/registrations",
        "Register. The receipt comes after the data are on disk; repeating is safe.",
        {201: "Registration"},
        (
            "wave-unknown",
            "pass-used",
            "already-registered",
            "too-many-persons",
            "too-many-requests",
            "backlog-full",
            *_FIELDS,
            *_PASS,
            *_BODY,
            *_REDIS,
        ),
        "pass",
        body="Values",
    ),
    Endpoint(
        "receipt",
        "GET",
        "/v1/registrations/{receipt}",
        "What became of a registration. No personal data.",
        {200: "Receipt"},
        ("receipt-unknown", *_REDIS),
        parameters=("receipt",),
    ),
)
