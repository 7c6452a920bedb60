"""Floods by one ticket or pass."""

from gateway.web.limits import BURST, Pace


def test_so_many_at_once_and_one_per_interval_from_then_on() -> None:
    pace = Pace()
    for _ in range(BURST):
        assert pace.wait_s("a", now_s=100.0) == 0
        pace.count("a", 6.0, now_s=100.0)
    assert pace.wait_s("a", now_s=100.0) == 6.0
    assert pace.wait_s("a", now_s=105.0) == 1.0
    assert pace.wait_s("a", now_s=106.0) == 0
    assert pace.wait_s("b", now_s=100.0) == 0


def test_whoever_does_as_told_never_waits() -> None:
    pace = Pace()
    for i in range(1000):
        assert pace.wait_s("a", now_s=6.0 * i) == 0
        pace.count("a", 6.0, now_s=6.0 * i)


def test_whoever_is_told_to_come_less_often_may_still_repeat_as_often_as_before() -> None:
    for told_s, then_s in ((0.4, 6.0), (6.0, 0.4)):
        pace = Pace()
        pace.count("a", told_s, now_s=0.0)
        for _ in range(BURST - 1):
            assert pace.wait_s("a", now_s=0.1) == 0
            pace.count("a", then_s, now_s=0.1)
        assert pace.wait_s("a", now_s=0.1) > 0


def test_asking_in_vain_does_not_push_the_instant_away() -> None:
    pace = Pace()
    for _ in range(BURST):
        pace.count("a", 1.0, now_s=0.0)
    for _ in range(50):
        assert pace.wait_s("a", now_s=0.5) == 0.5


def test_the_table_keeps_its_size_and_forgets_who_was_quiet_longest() -> None:
    pace = Pace(keys_max=3)
    for _ in range(BURST):
        pace.count("loud", 1.0, now_s=0.0)
    for i in range(1000):
        pace.count(f"other {i}", 1.0, now_s=0.0)
        pace.count("loud", 1.0, now_s=0.0)
    assert len(pace._may_at) == 3
    assert pace.wait_s("loud", now_s=0.0) > 0
