"""Plays histories from seeds, and ends with 1 at the first that fails, with what is left of it once it is shrunk.

python -m tests.simulation --seeds 1000 --first 0
python -m tests.simulation --seeds 1 --first 1234 --verbose
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time

from tests.simulation.play import Played, play
from tests.simulation.scenes import history_of
from tests.simulation.shrink import shrink
from vssync.local import database


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="how many histories")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first")
    parser.add_argument("--verbose", action="store_true", help="print every request of each history")
    parser.add_argument("--no-shrink", action="store_true", help="print a history that fails as it is")
    options = parser.parse_args()
    gc.set_threshold(20_000, 50, 100)
    database.PRAGMAS = *database.PRAGMAS, "pragma synchronous = off"  # as in every test
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, XDG_STATE_HOME=home, XDG_CACHE_HOME=home)
        for seed in range(options.first, options.first + options.seeds):
            played = play(history_of(seed))
            if options.verbose:
                print(*played.log, sep="\n")
            if played.error:
                print(f"The history of seed {seed} fails: {played.error}", flush=True)
                if not options.no_shrink:
                    print(describe(shrink(played)))
                return 1
    seconds = time.monotonic() - started
    print(f"seeds played: {options.seeds:,} from {options.first} on, in {seconds:.0f} s; all is as promised")
    return 0


def describe(played: Played) -> str:
    """A failure: what it is, how to see it again, and the history."""
    again = f"Again: python -m tests.simulation --seeds 1 --first {played.history.seed}"
    steps = "\n".join(f"  {line}" for line in played.told)
    return f"{again}\nThe shortest that was found: {played.error}\n{steps}\n{played.history}"


if __name__ == "__main__":
    sys.exit(main())
