"""Read random tables from every source, on all cores: `python tests/sources/agree.py --seeds 500`.

A seed is twenty tables. What disagrees is printed as small as it gets; `--first SEED --seeds 1` plays it again.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from value_agreement import play
from value_written import LOCAL

TABLES = 20


def main() -> int:
    """Play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--places", default=",".join(LOCAL), help="some of the sources, commas between them")
    options = parser.parse_args()
    began, failed, names = time.monotonic(), 0, options.places.split(",")
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, found in zip(
            seeds, pool.map(play, seeds, [TABLES] * len(seeds), [names] * len(seeds)), strict=True
        ):
            for what in found:
                failed += 1
                print(f"seed {number}: {what}\n", flush=True)
    print(f"{len(seeds) * TABLES:,} tables, {failed} disagreements, {time.monotonic() - began:.0f} s")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
