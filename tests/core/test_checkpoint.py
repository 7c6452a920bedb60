"""I-23, I-26: what is put back together is never less than anybody has seen."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.checkpoint import MARGIN, Checkpoint, beyond, from_json, merge, to_json
from gateway.core.policy import Policy, to_document

counts = st.integers(0, 10_000)
checkpoints = st.builds(
    Checkpoint,
    epoch=st.sampled_from(["a" * 16, "b" * 16]),
    at_us=counts, clock_us=counts, prequeue_at_us=st.just(1), opens_at_us=st.just(2),
    closes_at_us=st.just(3), issued=counts, cohort=counts, called=counts, near=counts, admitted=counts,
    accepted=counts, ended=counts, missing=counts, revision=st.integers(1, 5), beacon=st.just(""),
    policy=st.just(to_document(Policy())), joins_per_s=st.floats(0, 1_000),
    timer=st.none() | st.just({"until_us": 1, "fields": {"paused": False}, "who": "me"}),
)  # fmt: skip


@given(st.lists(checkpoints, min_size=1, max_size=5))
def test_no_counter_falls_behind_what_anybody_has_seen(seen: list[Checkpoint]) -> None:
    merged = merge(seen)
    for one in seen:
        for name in ("issued", "called", "cohort", "admitted", "accepted", "clock_us"):
            assert getattr(merged, name) >= getattr(one, name)
        assert beyond(merged) >= one.issued + MARGIN
    assert merged.revision == max(one.revision for one in seen)


@given(checkpoints)
def test_a_checkpoint_survives_being_kept_also_by_a_later_version(one: Checkpoint) -> None:
    assert from_json(to_json(one)) == one
    assert from_json(to_json(one) | {"colour": "new"}) == one
    assert merge([one, replace(one)]) == one
