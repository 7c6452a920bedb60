"""A response tells what it says, and no more."""

from types import SimpleNamespace
from typing import Any

import pytest

from loadtests.steps import Ask
from loadtests.wire import answer_of, headers_of, word_of

PLACE = Ask("place", "GET", "/p", (200,), cookie="ticket.w=t")
PAGE = Ask("page", "GET", "/w", (200,), etag='"e"')


def response(status: int, content: bytes | None, **headers: str) -> Any:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, content=content, headers=told)


def test_a_page_is_asked_for_as_browsers_do_and_data_as_scripts_do() -> None:
    page, place = headers_of(PAGE), headers_of(PLACE)
    assert page["Accept"].startswith("text/html")
    assert page["If-None-Match"] == '"e"'
    assert "Cookie" not in page
    assert place["Accept"] == "application/json"
    assert place["Cookie"] == "ticket.w=t"


@pytest.mark.parametrize(
    ("status", "headers", "word"),
    [
        (200, {}, "200"),
        (503, {"Retry_After": "3"}, "shed"),
        (503, {}, "503"),
        (503, {"Retry_After": "soon"}, "503"),
        (429, {"Retry_After": "3"}, "throttled"),
        (429, {}, "429"),
        (0, {}, "0"),
    ],
)
def test_a_refusal_counts_as_one_only_when_it_says_when_to_come_again(
    status: int, headers: dict[str, str], word: str
) -> None:
    answer = answer_of(PLACE, response(status, b"{}", **headers), 1.0, 2.0)
    assert word_of(answer) == word


def test_the_finer_wait_counts_where_one_is_told() -> None:
    coarse = answer_of(PLACE, response(503, b"", Retry_After="3"), 1.0, 2.0)
    fine = answer_of(PLACE, response(503, b'{"retry_in_ms": 2125}', Retry_After="3"), 1.0, 2.0)
    assert (coarse.retry_s, fine.retry_s) == (3.0, 2.125)


@pytest.mark.parametrize("content", [None, b"", b"<html>", b"[1]", b"\xff"])
def test_what_is_no_document_is_an_empty_one(content: bytes | None) -> None:
    assert answer_of(PLACE, response(502, content), 1.0, 2.0).document == {}


def test_pages_are_not_read_but_their_names_are_kept() -> None:
    answer = answer_of(PAGE, response(200, b'{"a": 1}', ETag='"f"'), 1.0, 2.0)
    assert answer.document == {}
    assert answer.etag == '"f"'
    assert answer_of(PLACE, response(200, b'{"a": 1}', ETag='"f"'), 1.0, 2.0).etag == ""
