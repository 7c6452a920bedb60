"""``python -m loadtests.bench``: measure all figures, print one table, write ``build/bench.json``.

Exit codes: 0 every figure was reached, 1 one was not.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loadtests.bench import admission, delivering, live, stalled, steering, throughput, waiting
from loadtests.bench.rows import Measured, Row, keep, table

Group = Callable[[bool], Sequence[Row]]
GROUPS: Mapping[str, Group] = {  # name -> its rows, given whether to be quick
    "admission": admission.rows,
    "autopilot": steering.rows,
    "delivery": delivering.rows,
    "live": live.rows,
    "stalled": stalled.rows,
    "throughput": throughput.rows,
    "waiting": waiting.rows,
}
RESULT = Path("build/bench.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.bench", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--only", choices=GROUPS, action="append", help="a group; may be repeated")
    parser.add_argument("--quick", action="store_true", help="short runs: a sign, no proof")
    options = parser.parse_args(argv)
    measured = []
    for group in options.only or GROUPS:
        for row in GROUPS[group](options.quick):
            measured.append(Measured(group, row, row.measure(), row.limit()))
            print("  ".join(measured[-1].cells()), file=sys.stderr, flush=True)
    keep(measured, RESULT, quick=options.quick)
    print(table(measured))
    return 0 if all(each.reached for each in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
