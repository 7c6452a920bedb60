"""``python -m loadtests.rehearsal``: a whole launch day against a system of its own; see ``--help``."""

import sys

from loadtests.options import REHEARSAL
from loadtests.run import main

if __name__ == "__main__":
    sys.exit(main(defaults=REHEARSAL))
