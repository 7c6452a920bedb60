"""What comes in a second is told by what became of it, and reaches the metrics all the same."""

from pathlib import Path

from gateway.core.flood import Throttled
from gateway.core.shedding import Rank
from gateway.metrics import Metrics
from gateway.web.endpoints import WAVE
from gateway.web.gate import Gate
from gateway.web.traffic import Traffic
from tests.test_metrics import NOBODY, samples


def test_a_window_tells_every_kind_by_the_second_and_metrics_are_told_too(tmp_path: Path) -> None:
    metrics, gate = Metrics(tmp_path), Gate("https://gateway.example/problems", lambda: 0.0)
    traffic = Traffic(metrics, gate)
    traffic.look(-2.0)
    traffic.look(-1.0)
    assert set(traffic.per_s.values()) == {0.0}, "nobody has come yet"
    traffic = Traffic(metrics, gate)
    traffic.answered_many("GET", "/waves/{wave}", 200, 1_000)  # before anybody has looked
    traffic.look(0.0)
    assert traffic.per_s == {}, "nothing is known before a window is over"
    traffic.answered_many("GET", f"{WAVE}/board", 200, 50)
    traffic.answered_many("GET", f"{WAVE}/place", 200, 10)
    traffic.answered_many("GET", "/waves/{wave}", 304, 6)
    traffic.answered("GET", "/waves/{wave}/wait", 200, 0.01)
    traffic.answered("GET", "/waves/{wave}/wait", 503, 0.01)  # no page
    traffic.answered("POST", "/waves/{wave}/wait", 200, 0.01)
    traffic.answered_in("POST", f"{WAVE}/tickets", 201, [0.01, 0.01])
    traffic.shed(Rank.JOIN, 4)
    traffic.throttled(Throttled.POLL, 3)
    traffic.refused("overloaded")
    gate.quick, gate.handled = 70, 6
    traffic.look(0.9)
    assert traffic.per_s == {}
    traffic.look(2.0)
    assert traffic.per_s == {
        "hits_per_s": 38.0,
        "pages_per_s": 3.5,
        "polls_per_s": 30.0,
        "shed_per_s": 2.0,
        "throttled_per_s": 1.5,
    }
    traffic.look(3.0)
    assert set(traffic.per_s.values()) == {0.0}, "a window forgets the one before"
    told = samples(metrics.render(NOBODY))
    metrics.close()
    assert told["gateway_requests_total GET /waves/{wave} 200"] == 1_000
    assert told["gateway_requests_total POST /v1/waves/{wave}/tickets 201"] == 2
    assert told["gateway_requests_shed_total join"] == 4
    assert told["gateway_throttled_total poll"] == 3
    assert told["gateway_problems_total overloaded"] == 1
