"""``python -m loadtests``: one run against a gateway of its own, and its verdict as the exit code."""

import sys

from loadtests.run import main

if __name__ == "__main__":
    sys.exit(main())
