"""The shapes of arrivals are those of the public reports."""

import numpy as np
import pytest

from gateway.simulation.arrivals import HABITS, PROFILES
from gateway.simulation.crowd import gather


def test_the_launch_brings_its_published_crowds() -> None:
    launch, april = PROFILES["launch-2020"], PROFILES["april-2020"]
    assert launch.people() == pytest.approx(1_300_000, abs=500)
    assert april.people() == pytest.approx(1_430_000, abs=500)
    for profile in (launch, april):
        assert profile.people(0) == 330_000
        assert profile.people(60) - profile.people(0) == pytest.approx(80_000, rel=0.005)
        assert profile.people(-720) == pytest.approx(165_000, rel=0.05)
        assert profile.people(-profile.early_s) == 0


def test_flat_arrivals_are_flat() -> None:
    flat = PROFILES["flat"]
    assert flat.people(0) == 0
    assert flat.people(20) == 20 * flat.people(1)


def test_a_crowd_follows_the_curve_at_any_scale() -> None:
    launch = PROFILES["launch-2020"]
    rng = np.random.default_rng(1)
    crowd = gather(launch, 20_000, hours=2.0, no_shows=0.25, rng=rng)
    people = np.unique(crowd.person).size
    first = crowd.arrives_s[np.unique(crowd.person, return_index=True)[1]]
    assert people == 20_000
    assert (np.diff(crowd.arrives_s) >= 0).all()
    for at_s in (-600, 0, 60, 600, 3_600):
        share = launch.people(at_s) / launch.people(7_200)
        assert (first <= at_s).mean() == pytest.approx(share, abs=0.01)
    assert crowd.shows.mean() == pytest.approx(0.75, abs=0.01)
    assert np.median(crowd.form_s) == pytest.approx(190, rel=0.05)


def test_habits_share_out_all_people() -> None:
    assert sum(habit.share for habit in HABITS.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["tiny", "smoke", "launch-300", "launch-900", "launch-1200"])
def test_a_launch_day_that_is_sent_brings_all_its_people_and_a_surge_before_the_closing(
    name: str,
) -> None:
    profile = PROFILES[name]
    people = profile.people()
    assert profile.people(0) == pytest.approx(0.27 * people)
    in_rush = profile.people(3 * profile.waves[0].fading_s) - profile.people(0)
    assert in_rush > 0.4 * people
    surge = people - profile.people(profile.open_s - profile.surge_s)
    before = profile.people(profile.open_s - profile.surge_s) - profile.people(
        profile.open_s - 2 * profile.surge_s
    )
    assert surge > 2 * before


def test_patience_and_forms_shrink_with_the_day_and_fingers_do_not() -> None:
    day, small = PROFILES["launch-2020"], PROFILES["launch-900"]
    crowds = [
        gather(profile, 20_000, hours=profile.hours, no_shows=0.0, rng=np.random.default_rng(1))
        for profile in (day, small)
    ]
    for trait in ("form_s", "patience_s"):
        full, shrunk = (float(np.median(getattr(crowd, trait))) for crowd in crowds)
        assert full / shrunk == pytest.approx(small.compression, rel=0.02)
    assert HABITS["hammerer"].reload_s == pytest.approx(2.35)
    assert HABITS["checker"].reload_s == 14.0
