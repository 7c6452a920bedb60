"""Bytes that are the same for everybody: made once, compressed once, sent by ETag.

Such an answer sets no cookie and depends on no header but ``Accept-Language`` and
``Accept-Encoding``, so any cache on the way may keep it.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.web.negotiation import accepts_gzip


@dataclass(frozen=True, slots=True)
class Document:
    """A prebuilt answer."""

    body: bytes
    gzipped: bytes
    etag: str  # weak: the gzipped bytes go by the same
    headers: Mapping[str, str]


def make_document(body: bytes, content_type: str, headers: Mapping[str, str]) -> Document:
    """Compress and name a body."""
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    every = {"Content-Type": content_type, "Vary": "Accept-Encoding", "ETag": etag} | dict(headers)
    return Document(body, gzip.compress(body, 9, mtime=0), etag, every)


def serve(request: web.Request, document: Document) -> web.Response:
    """Send a document, or say that the client has it."""
    known = request.headers.get("If-None-Match", "")
    return choose(document, gzipped=accepts_gzip(request), held=holds(document, known))


def holds(document: Document, if_none_match: str) -> bool:
    """Say whether the client has the document already."""
    return document.etag in (tag.strip() for tag in if_none_match.split(","))


def choose(document: Document, *, gzipped: bool, held: bool) -> web.Response:
    """Return the answer for a client that takes gzip or not, and has the document or not."""
    headers = dict(document.headers)
    if held:
        del headers["Content-Type"]
        return web.Response(status=304, headers=headers)
    if gzipped:
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=document.gzipped, headers=headers)
    return web.Response(body=document.body, headers=headers)
