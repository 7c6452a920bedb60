"""What is measured, and that the figures of several processes meet."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.snapshot import Phase
from gateway.measures import COUNTED, MEASURES, TOLD
from gateway.metrics import Metrics, prepare
from gateway.ports import PortUnavailableError, Recording
from gateway.services.delivery_meter import DeliveryMeter, Failure
from gateway.services.rooms import Rooms
from gateway.web.counting import Meter, counting_middleware
from gateway.web.problems import Problem, problem_middleware
from tests.operations_house import OperatorsHouse, a_snapshot
from tests.support import wait_until

if TYPE_CHECKING:
    from gateway.services.admission import TickWitness

OTHER_PROCESS = """
import sys
from gateway.metrics import Metrics
metrics = Metrics(sys.argv[1])
metrics.answered("GET", "/v1/waves/{wave}/board", 200, 0.001)
metrics.oldest_age_s(500.0)
metrics.close()
"""
NOBODY: Rooms = Rooms({}, bytes(32), lambda: 0.0)


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    metrics = Metrics(tmp_path / "metrics")
    yield metrics
    metrics.close()


def samples(text: bytes) -> dict[str, float]:
    """Return every sample by its name and labels."""
    return {
        sample.name
        + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_facade_is_what_web_and_delivery_want(metrics: Metrics) -> None:
    meters: tuple[Meter, DeliveryMeter, TickWitness] = (metrics, metrics, metrics)
    assert len(set(meters)) == 1


def test_what_is_counted_is_told_under_its_name(metrics: Metrics) -> None:
    room = OperatorsHouse().room()
    metrics.answered("GET", "/v1/waves/{wave}/board", 200, 0.002)
    metrics.answered("GET", "/v1/waves/{wave}/board", 200, 0.002)
    metrics.answered("GET", "/v1/waves/{wave}/board", 503, 20.0)
    metrics.answered("BREW", "none", 405, 0.0)
    metrics.refused("wave-full")
    metrics.ticked(room)
    metrics.missed(room, PortUnavailableError("away"))
    metrics.batch(0.04)
    metrics.settled(Recording.RECORDED, 500)
    metrics.settled(Recording.REJECTED, 1)
    metrics.failure(Failure.STORE)
    metrics.oldest_age_s(1.5)
    told = samples(metrics.render(NOBODY))
    assert told["gateway_requests_total GET /v1/waves/{wave}/board 200"] == 2
    assert told["gateway_requests_total other none 405"] == 1
    assert told["gateway_request_seconds_count /v1/waves/{wave}/board"] == 3
    assert told["gateway_request_seconds_bucket 0.0025 /v1/waves/{wave}/board"] == 2
    assert told["gateway_problems_total wave-full"] == 1
    assert told["gateway_ticks_total done"] == told["gateway_ticks_total missed"] == 1
    assert told["gateway_store_batch_seconds_sum"] == 0.04
    assert told["gateway_store_rows_total recorded"] == 500
    assert told["gateway_store_rows_total rejected"] == 1
    assert told["gateway_store_rows_total duplicate"] == 0
    assert told["gateway_delivery_failures_total store"] == 1
    assert told["gateway_delivery_oldest_seconds"] == 1.5


def test_promises_are_counted_once_however_often_the_room_ticks(metrics: Metrics) -> None:
    room = OperatorsHouse().room()
    for made, kept in ((0, 0), (10, 9), (10, 9), (12, 10)):
        room.promises.made, room.promises.kept = made, kept
        metrics.ticked(room)
    told = samples(metrics.render(NOBODY))
    assert told["gateway_promises_total yes wave-1"] == 10
    assert told["gateway_promises_total no wave-1"] == 2


def test_the_rooms_are_told_from_the_latest_snapshot(metrics: Metrics) -> None:
    house = OperatorsHouse()
    house.room("wave-2").snapshot = None
    told = samples(metrics.render(house.rooms))
    assert told["gateway_tickets_issued_total wave-1"] == 100
    assert told["gateway_tickets_called_total wave-1"] == 10
    assert told["gateway_tickets_waiting wave-1"] == 90
    assert told["gateway_quota_places wave-1"] == 1_000
    assert told["gateway_rate_per_second wave-1"] == 10
    assert told["gateway_wave_phase open wave-1"] == 1
    assert told["gateway_wave_phase closed wave-1"] == 0
    assert not [name for name in told if "wave-2" in name], "nothing is known of it yet"
    house.room().observe(a_snapshot(Phase.CLOSED, issued=101))
    told = samples(metrics.render(house.rooms))
    assert told["gateway_tickets_issued_total wave-1"] == 101
    assert told["gateway_wave_phase closed wave-1"] == 1


def test_answers_told_together_are_counted_as_if_told_one_by_one(metrics: Metrics) -> None:
    took_s = [0.0, 0.001, 0.0011, 0.3, 10.0, 10.5, 99.0]
    for each in took_s:
        metrics.answered("POST", "/a", 201, each)
    metrics.answered_in("POST", "/b", 201, took_s)
    told = samples(metrics.render(NOBODY))
    by_route = [
        {name.replace(route, ""): value for name, value in told.items() if route in name}
        for route in (" /a", " /b")
    ]
    assert by_route[0] == by_route[1]
    assert by_route[0]["gateway_request_seconds_count"] == len(took_s)


def other_process(directory: Path) -> None:
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(directory)], check=True)


def test_counts_of_processes_are_added_and_outlive_them_but_not_their_gauges(
    metrics: Metrics, tmp_path: Path
) -> None:
    metrics.answered("GET", "/v1/waves/{wave}/board", 200, 0.001)
    metrics.oldest_age_s(2.0)
    other_process(tmp_path / "metrics")
    told = samples(metrics.render(NOBODY))
    assert told["gateway_requests_total GET /v1/waves/{wave}/board 200"] == 2
    assert told["gateway_delivery_oldest_seconds"] == 2.0


def test_a_new_system_begins_to_count_at_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "metrics"
    prepare(directory)
    other_process(directory)
    (directory / "kept.txt").write_text("not ours")
    prepare(directory)
    assert [path.name for path in directory.iterdir()] == ["kept.txt"]


def test_every_metric_has_one_row_and_a_name_of_our_form(metrics: Metrics) -> None:
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names) == len(COUNTED) + len(TOLD) + 3
    for measure in MEASURES:
        assert re.fullmatch(r"gateway_[a-z_]+", measure.name)
        assert measure.name.endswith("_total") == (measure.kind == "counter"), measure.name
        assert measure.meaning.endswith("."), measure.name
        assert not {"ticket", "number", "address", "nik", "receipt"} & set(measure.labels)


def test_nothing_is_told_that_has_no_row(metrics: Metrics) -> None:
    metrics.answered("GET", "/", 200, 0.001)
    text = metrics.render(OperatorsHouse().rooms).decode()
    told = {family.name for family in text_string_to_metric_families(text)}
    assert told <= {measure.name.removesuffix("_total") for measure in MEASURES}


def test_processor_time_is_told_of_every_process_that_lives(
    metrics: Metrics, tmp_path: Path
) -> None:
    other_process(tmp_path / "metrics")  # has ended
    before_s = time.process_time()
    told = samples(metrics.render(NOBODY))
    used = {name: value for name, value in told.items() if "cpu_seconds" in name}
    assert list(used) == [f"gateway_process_cpu_seconds_total {os.getpid()}"]
    (used_s,) = used.values()
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    assert before_s - 2 * tick_s <= used_s <= time.process_time() + 2 * tick_s


def test_round_trips_to_redis_are_told_finer_than_answers(metrics: Metrics) -> None:
    for took_s in (0.0002, 0.0004, 0.04):
        metrics.redis_answered("claim", took_s)
    metrics.redis_answered("other", 0.001)
    told = samples(metrics.render(NOBODY))
    name = "gateway_redis_command_duration_seconds"
    assert told[f"{name}_bucket claim 0.00025"] == 1
    assert told[f"{name}_bucket claim 0.0005"] == 2
    assert told[f"{name}_count claim"] == 3
    assert told[f"{name}_count other"] == 1


async def test_the_lag_of_the_event_loop_is_measured(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.metrics.LAG_EVERY_S", 0.001)
    watching = asyncio.create_task(metrics.watch_loop())
    await wait_until(
        lambda: samples(metrics.render(NOBODY)).get("gateway_event_loop_lag_seconds", 0) > 0
    )
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def test_every_answer_is_counted_under_its_routes_pattern(metrics: Metrics) -> None:
    async def handler(request: web.Request) -> web.Response:
        match request.match_info["case"]:
            case "refused":
                raise Problem("wave-full")
            case "away":
                raise PortUnavailableError("away")
            case "moved":
                raise web.HTTPSeeOther("/")
            case "broken":
                raise RuntimeError
        return web.Response()

    app = web.Application(middlewares=[problem_middleware, counting_middleware(metrics)])
    app.router.add_get("/{case}", handler)
    wanted = {"fine": 200, "refused": 409, "away": 503, "moved": 303, "broken": 500}
    async with TestClient(TestServer(app)) as client:
        for path, status in wanted.items():
            assert (await client.get(f"/{path}", allow_redirects=False)).status == status
        assert (await client.get("/a/b")).status == 404
        assert (await client.put("/a")).status == 405
    told = samples(metrics.render(NOBODY))
    for status in wanted.values():
        assert told[f"gateway_requests_total GET /{{case}} {status}"] == 1
    assert told["gateway_requests_total GET none 404"] == 1
    assert told["gateway_requests_total PUT none 405"] == 1
    codes = {"wave-full", "redis-unavailable", "internal", "not-found", "method"}
    assert {name.split()[1] for name in told if name.startswith("gateway_problems_total")} == codes
