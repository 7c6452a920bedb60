"""What stands in the log, and what never does."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway import logs
from gateway.core.snapshot import Phase

NIK = "3201010101010001"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def configured(clock: Clock) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("info", monotonic_s=clock)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def log(name: str = "gateway.test") -> Any:
    return structlog.get_logger(name)


def lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_a_line_is_one_json_object_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    log().info("policy changed", request="ab12", revision=3, paused=True, rate=2.5, none=None)
    (line,) = lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "policy changed",
        "level": "info",
        "logger": "gateway.test",
        "request": "ab12",
        "revision": 3,
        "paused": True,
        "rate": 2.5,
        "none": None,
    }


def test_only_the_level_asked_for_and_above_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    log().debug("no")
    log().info("yes")
    logs.configure("error")
    log().warning("no")
    log().error("yes")
    assert [line["event"] for line in lines(capsys)] == ["yes", "yes"]


def test_texts_lists_and_objects_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    deep: dict[str, Any] = {"a": {"a": {"a": {"a": NIK}}}}
    log().info("x" * 300, many=list(range(100)), deep=deep, large=2**70, phase=Phase.OPEN)
    (line,) = lines(capsys)
    assert line["event"] == "x" * 256
    assert line["many"] == list(range(32))
    assert NIK not in json.dumps(line)
    assert (line["large"], line["phase"]) == ("int", "open")


def test_a_line_has_a_greatest_length_whatever_it_is_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log().info("long", request="ab12", **{f"m{n}": "\x00" * 256 for n in range(31)})
    (line,) = lines(capsys)
    assert (line["event"], line["request"]) == ("long", "ab12")
    assert line["cut_bytes"] > logs.LINE_BYTES_MAX
    log().info("lines\nare\rnever\x1bbroken \ud800")
    ((_),) = lines(capsys)


def test_i40_what_is_personal_or_secret_is_withheld(capsys: pytest.CaptureFixture[str]) -> None:
    class Form:
        def __repr__(self) -> str:
            return NIK

    log().info("x", **dict.fromkeys(logs.WITHHELD, NIK), form=Form(), nested={"nik": NIK}, raw=b"x")
    (line,) = lines(capsys)
    assert NIK not in json.dumps(line)
    assert (line["nik"], line["form"], line["raw"]) == ("[withheld]", "Form", "bytes")


def test_i40_of_an_exception_the_frames_are_told_and_never_its_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        int(NIK + "x")
    except ValueError as error:
        log().error("failed", exc_info=error)
        log().exception("failed")
    first, second = lines(capsys)
    for line in (first, second):
        assert line["kind"] == "ValueError"
        assert "test_logs.py" in line["at"][-1]
        assert NIK not in json.dumps(line)


async def test_i40_libraries_are_told_in_their_constant_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request from %s", NIK)
    logging.getLogger("aiohttp.access").info("GET /%s", NIK)

    async def fail() -> None:
        raise ValueError(NIK)

    task = asyncio.ensure_future(fail())
    await asyncio.wait([task])
    loop = asyncio.get_running_loop()
    context = {"message": "Task exception was never retrieved", "future": task}
    loop.default_exception_handler(context | {"exception": task.exception()})
    first, second = lines(capsys)
    assert (first["logger"], first["event"]) == ("aiohttp.server", "Error handling request from %s")
    assert (second["logger"], second["kind"]) == ("asyncio", "ValueError")
    assert NIK not in json.dumps([first, second])


def test_refusals_are_sampled_and_what_was_held_back_is_counted(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    for _ in range(100):
        log().info("refused", sampled=True)
    log().info("other", sampled=True)
    assert [line["event"] for line in lines(capsys)] == ["refused"] * 30 + ["other"]
    clock.now_s = 61.0
    log().info("refused", sampled=True)
    log().info("refused", sampled=True)
    first, second = lines(capsys)
    assert first["held_back"] == 70
    assert "held_back" not in second
    assert "sampled" not in first


def test_the_table_of_sampled_events_is_bounded(clock: Clock) -> None:
    sampler = logs.Sampler(clock)
    for number in range(logs.EVENTS_MAX * 2):
        sampler(None, "info", {"event": str(number), "sampled": True})
    assert len(sampler._minutes) == logs.EVENTS_MAX
