"""What aiohttp's parser disliked, as one of our problems.

The parser names its reasons in words only. The words that matter stand here, a row each, and the
tests send every one of them over a socket.
"""

import re

from aiohttp.http_exceptions import (
    BadHttpMethod,
    HttpProcessingError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
)

from gateway.web.problems import Problem

TARGET_BYTES_MAX = 4096
# Of a name, and of a value. Differs from the target's, so that the error tells which it was.
PART_BYTES_MAX = TARGET_BYTES_MAX - len(": ")
FIELDS_MAX = 64

_REASONS = (  # the first that is found decides
    ("'host'", "host"),
    ("too many headers", "header-too-large"),
    ("content-length", "framing"),
    ("transfer-encoding", "framing"),
    ("invalid http version", "http-version"),
    ("pri/upgrade", "http-version"),  # the preface of HTTP/2
    ("header", "header"),
)
_METHOD = re.compile(r"\n\n  b'[A-Za-z]+ ")  # a word where the method belongs


class HeadTooLargeError(HttpProcessingError):
    """A head grew beyond all its limits together before it was complete."""


def parser_problem(exception: BaseException | None) -> Problem:
    """Name the problem. None of them leaves the connection usable."""
    match exception:
        case HeadTooLargeError():
            code = "header-too-large"
        case LineTooLong():
            code = "uri-too-long" if exception.args[1] == TARGET_BYTES_MAX else "header-too-large"
        case InvalidURLError():
            code = "target"
        case InvalidHeader():
            code = "header"
        case BadHttpMethod() if _METHOD.search(exception.message):
            return Problem("method", status=400, close=True)
        case HttpProcessingError():
            # What the client sent follows an empty line: only the words before it count.
            words = exception.message.partition("\n\n")[0].lower()
            code = next((code for word, code in _REASONS if word in words), "framing")
        case _:
            code = "framing"
    return Problem(code, close=True)
