"""How ``gateway ctl`` talks to a gateway: one bounded request at a time, and a name for every failure.

Nothing is followed or kept, and nothing repeated that might have been done. The credential comes from a file,
never from a flag or a URL.
"""

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click

from gateway.core.credentials import parse
from gateway.ctl_text import told_value

TIMEOUT_S = 5.0  # for each read and write
HURRIED_MAX, HURRIED_S_MAX = 4, 2.0  # tries of somebody who asks too often, and the wait between
ANSWER_BYTES_MAX = 4 * 1024 * 1024
OPEN_TO_OTHERS = 0o007

Document = dict[str, Any]


class RefusedError(click.ClickException):
    """The gateway will not do this; asking again will not help."""

    exit_code = 2


class ProblemError(click.ClickException):
    """Something is wrong on the gateway's side."""

    exit_code = 1


class UnreachableError(click.ClickException):
    """No gateway answers there."""

    exit_code = 6


@dataclass(frozen=True, slots=True)
class Held:
    """A policy as it was read."""

    revision: int
    policy: Document


class Client:
    """The operator listener of one gateway."""

    def __init__(self, url: str, credential_file: Path) -> None:
        """Read the credential.

        Raises:
            RefusedError: the file or the URL cannot be used.

        """
        try:
            parts = urlsplit(url)
            plain = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            plain = None
        if not plain or parts.path.strip("/") or "@" in parts.netloc:
            raise RefusedError(f"--operator must be http://host:port, not {url}")
        self._url = url
        self._secure, self._address = parts.scheme == "https", parts.netloc
        self._credential = _read_credential(credential_file)

    def status(self) -> Document:
        """Return all there is to know."""
        return self._ask("GET", "/v1/status")[0]

    def audit(self, wave_id: str | None, *, verify: bool = False, before: str = "") -> Document:
        """Return the latest records, newest first, and whether all there are follow each other."""
        asked = {"wave": wave_id, "verify": "1" if verify else None, "before": before}
        query = "&".join(
            f"{name}={quote(value, safe='')}" for name, value in asked.items() if value
        )
        return self._ask("GET", f"/v1/audit{'?' if query else ''}{query}")[0]

    def every_record(self, wave_id: str) -> Iterator[Document]:
        """Yield all records of a wave, newest first, a page at a time."""
        before = ""
        while records := self.audit(wave_id, before=before)["records"]:
            yield from records
            before = records[-1]["id"]

    def ticket(self, wave_id: str, number: int) -> Document:
        """Return how one ticket stands."""
        return self._ask("GET", f"/v1/tickets/{number}?wave={quote(wave_id, safe='')}")[0]

    def policy(self, wave_id: str) -> Held:
        """Return the policy in force."""
        document, etag = self._ask("GET", f"/v1/waves/{quote(wave_id, safe='')}/policy")
        return Held(int(etag.strip('"')), document)

    def forecast(self, wave_id: str) -> Document:
        """Return how a wave goes on as it is."""
        return self._ask("GET", f"/v1/waves/{quote(wave_id, safe='')}/forecast")[0]

    def change(
        self,
        wave_id: str,
        revision: int,
        fields: Document,
        *,
        reason: str,
        dry_run: bool,
        confirm: str = "",
        for_s: int | None = None,
    ) -> Document:
        """Change a policy, or ask what it would bring."""
        asked = {"dry_run": "1" if dry_run else "", "confirm": confirm, "for_s": for_s}
        query = "&".join(f"{n}={quote(str(v), safe='')}" for n, v in asked.items() if v)
        return self._change("PUT", wave_id, f"policy?{query}", fields, revision, reason)

    def undo(
        self, wave_id: str, revision: int, to: int | None, *, reason: str, dry_run: bool
    ) -> Document:
        """Go back to an earlier policy, or ask what that would bring."""
        path = "undo?dry_run=1" if dry_run else "undo"
        body = {} if to is None else {"to": to}
        return self._change("POST", wave_id, path, body, revision, reason)

    def _change(
        self, method: str, wave_id: str, path: str, body: Document, revision: int, reason: str
    ) -> Document:
        headers: dict[str, str | bytes] = {"If-Match": f'"{revision}"'}
        if reason:
            headers["X-Reason"] = reason.encode()
        return self._ask(method, f"/v1/waves/{quote(wave_id, safe='')}/{path}", body, headers)[0]

    def dead_letters(self, wave_id: str | None) -> list[Document]:
        """Return the oldest dead letters."""
        query = "" if wave_id is None else f"?wave={quote(wave_id, safe='')}"
        letters: list[Document] = self._ask("GET", f"/v1/dead-letters{query}")[0]["dead_letters"]
        return letters

    def retry(self, wave_id: str, ids: Sequence[str], *, reason: str) -> Document:
        """Have these dead letters tried again, or all of the wave where none is named."""
        wanted = {"wave": wave_id} | ({"ids": list(ids)} if ids else {})
        headers = {"X-Reason": reason.encode()} if reason else {}
        return self._ask("POST", "/v1/dead-letters/retry", wanted, headers)[0]

    def reconcile(self, wave_id: str, *, reason: str) -> int:
        """Have every receipt compared with the store; return the number of this wish."""
        headers = {"X-Reason": reason.encode()} if reason else {}
        answer = self._ask("POST", "/v1/reconciliation", {"wave": wave_id}, headers)[0]
        return int(answer["asked"][wave_id])

    def reload(self, *, reason: str) -> Document:
        """Have all processes of one machine follow themselves."""
        headers = {"X-Reason": reason.encode()} if reason else {}
        return self._ask("POST", "/v1/reload", {}, headers)[0]

    def _ask(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        headers: Mapping[str, str | bytes] = {},
    ) -> tuple[Document, str]:
        """Return an answer's document and ETag; who asks too often waits, for nothing was done yet."""
        for _ in range(HURRIED_MAX):
            status, document, etag = self._once(method, path, body, headers)
            if status != 429:
                break
            time.sleep(min(HURRIED_S_MAX, document.get("retry_in_ms", 0) / 1_000))
        if status != 200:
            raise _failure(status, document)
        return document, etag

    def _once(
        self, method: str, path: str, body: Document | None, headers: Mapping[str, str | bytes]
    ) -> tuple[int, Document, str]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        every: dict[str, Any] = {
            "Authorization": f"Bearer {self._credential}",
            "Accept": "application/json",
            "Accept-Language": "en",
        }
        data = None
        if body is not None:
            data, every["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            connection = kind(self._address, timeout=TIMEOUT_S)
            try:
                connection.request(method, path, data, every | dict(headers))
                response = connection.getresponse()
                text = response.read(ANSWER_BYTES_MAX)
            finally:
                connection.close()
        except TimeoutError as error:
            reason = f"no answer within {TIMEOUT_S:g} s"
            raise UnreachableError(f"cannot reach the gateway at {self._url}: {reason}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnreachableError(f"cannot reach the gateway at {self._url}: {reason}") from error
        document = _document(text, self._url)
        return response.status, document, response.headers.get("ETag", "")


def _read_credential(path: Path) -> str:
    try:
        if path.stat().st_mode & OPEN_TO_OTHERS:
            raise RefusedError(f"{path} is open to everybody: chmod 0400 it")
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        hint = "`gateway up` makes one; name another with --credential-file"
        raise RefusedError(f"there is no credential at {path}: {hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a credential"
        raise RefusedError(f"{path} cannot be read: {reason}") from error
    if parse(text) is None:
        raise RefusedError(f"{path} holds no credential: it is malformed, or was cut")
    return text


def _document(text: bytes, url: str) -> Document:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UnreachableError(f"what answers at {url} is no gateway's operator listener")
    return document


def _failure(status: int, problem: Document) -> click.ClickException:
    """Tell a problem as a person would want it told."""
    lines = [f"{problem.get('title', status)}: {problem.get('detail', '')}".rstrip(": ")]
    for error in problem.get("errors", ()):
        field = str(error.get("pointer", "")).lstrip("/") or "a field"
        hint = f" ({error['hint']})" if error.get("hint") else ""
        lines.append(f"  {field} {error.get('detail', error.get('code', ''))}{hint}")
    for step in problem.get("confirm", ()):
        lines.append(f"  {step['name']} is {step['why']}")
        lines.append(f"  if this is meant, add --confirm={told_value(step['value'])}")
    if status == 401:
        lines.append("  `gateway up` renews the credential of this machine when it starts")
    message = "\n".join(lines)
    # 429 is over soon, as an outage is: the others are ours to put right.
    return ProblemError(message) if status >= 500 or status == 429 else RefusedError(message)
