"""May a programme say this? Its own words for pages have to fit the places they stand in.

Checked where programmes are loaded, so that no applicant is the first to meet a gap.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.core.programme import Programme
from gateway.faults import ConfigurationError, Fault
from gateway.programmes import load_programmes


def load_worded(files: Iterable[str | Path]) -> tuple[Programme, ...]:
    """Read all programmes, and hold their words against ours.

    Raises:
        ConfigurationError: with every fault of every file, or every text that does not fit.

    """
    programmes = load_programmes(files)
    if faults := [fault for programme in programmes for fault in _faults(programme)]:
        raise ConfigurationError(*faults)
    return programmes


def _faults(programme: Programme) -> Iterator[Fault]:
    if not programme.texts:
        return
    from gateway.web.texts import gaps, speech  # noqa: PLC0415  most programmes use our words

    for name, texts in programme.texts.items():
        ours = speech(next(iter(texts))).texts.get(name)
        if ours is None:
            yield Fault(programme.id, f"texts.{name}", "is not a text of the pages")
            continue
        for language, text in texts.items():
            if unknown := gaps(text) - gaps(ours):
                told = ", ".join(sorted(unknown)) or "a stray brace"
                yield Fault(programme.id, f"texts.{name}.{language}", f"has no value for {told}")
