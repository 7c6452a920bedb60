"""The chain of the audit: an edit, a gap and missing newest records show."""

import pytest

from gateway.core.audit import Chain, link


def a_chain(count: int) -> list[list[tuple[str, str]]]:
    records: list[list[tuple[str, str]]] = []
    for number in range(count):
        previous = dict(records[-1])["hash"] if records else ""
        record = [("revision", str(number)), ("previous", previous), ("who", "rina")]
        records.append([*record, ("hash", link(record))])
    return records


def broken_at(records: list[list[tuple[str, str]]], head: str) -> int | None:
    chain = Chain()
    for record in records:
        chain.add(record)
    chain.end(head)
    return chain.broken_at


def test_a_chain_that_nobody_touched_holds_also_where_the_oldest_were_trimmed() -> None:
    records = a_chain(5)
    head = dict(records[-1])["hash"]
    assert broken_at(records, head) is None
    assert broken_at(records[2:], head) is None
    assert broken_at([], "") is None


@pytest.mark.parametrize("place", range(5))
def test_an_edit_shows_in_its_record_and_a_gap_in_the_next(place: int) -> None:
    records = a_chain(5)
    head = dict(records[-1])["hash"]
    edited = [*records]
    edited[place] = [("who", "budi") if p[0] == "who" else p for p in records[place]]
    assert broken_at(edited, head) == place + 1
    if place:
        assert broken_at(records[:place] + records[place + 1 :], head) == place + 1


def test_parts_cannot_run_into_each_other() -> None:
    assert link([("a", "bc")]) != link([("ab", "c")])
    assert link([("a", "b"), ("c", "d")]) != link([("a", "b1:c1:d")])
