"""When a child that ended is started again."""

from gateway.restarts import (
    DELAY_S_MAX,
    ENDS_BEFORE_READY_MAX,
    REFUSED,
    STEADY_S,
    GiveUp,
    Restart,
    after_exit,
)


def delays(up_s: float, count: int) -> list[float]:
    streak, found = 0, []
    for _ in range(count):
        decision = after_exit(streak=streak, up_s=up_s, code=1, was_ready=True)
        assert isinstance(decision, Restart)
        streak = decision.streak
        found.append(decision.delay_s)
    return found


def test_the_first_restart_is_immediate_and_the_next_ones_wait_ever_longer_up_to_five_seconds() -> (
    None
):
    assert delays(up_s=1.0, count=8) == [0, 0.25, 0.5, 1, 2, 4, 5, 5]


def test_a_child_that_was_up_for_long_starts_again_at_once() -> None:
    assert delays(up_s=STEADY_S, count=5) == [0, 0, 0, 0, 0]
    decision = after_exit(streak=7, up_s=STEADY_S, code=-9, was_ready=True)
    assert decision == Restart(0.0, 1)


def test_the_delay_stays_bounded_after_any_number_of_ends() -> None:
    assert after_exit(streak=10**6, up_s=0, code=1, was_ready=True) == Restart(
        DELAY_S_MAX, 10**6 + 1
    )


def test_a_refused_configuration_is_not_tried_again_at_start() -> None:
    decision = after_exit(streak=0, up_s=0.3, code=REFUSED, was_ready=False)
    assert decision == GiveUp("refused its configuration")


def test_a_configuration_refused_in_mid_run_takes_nobody_down() -> None:
    assert isinstance(after_exit(streak=3, up_s=0.3, code=REFUSED, was_ready=True), Restart)


def test_a_child_that_is_never_ready_is_given_up_after_a_few_ends() -> None:
    streak, ends = 0, 1
    while isinstance(
        decision := after_exit(streak=streak, up_s=0, code=1, was_ready=False), Restart
    ):
        streak, ends = decision.streak, ends + 1
    assert ends == ENDS_BEFORE_READY_MAX
    assert decision == GiveUp("ended 5 times before it was ready")


def test_a_child_that_works_for_long_before_it_is_ready_is_not_given_up() -> None:
    streak = 0
    for _ in range(50):  # an append-only file of many minutes, killed again and again
        decision = after_exit(streak=streak, up_s=STEADY_S, code=-9, was_ready=False)
        assert isinstance(decision, Restart)
        streak = decision.streak
