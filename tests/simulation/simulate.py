"""Play many seeds on all cores: `python tests/simulation/simulate.py --seeds 50000`, or `--mistakes` for the planted.

`--nights --seeds 500` plays many runs over a source that grows, `--crowds` several senders of one run.

A seed that breaks the promise is printed with its story; `--first SEED --seeds 1` plays it again.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # what all tests share, which pytest finds by itself

import crowd
import mistakes
import nights
import scenario

Play = Callable[[int], str | None]
BLOCK = 250  # seeds that one task plays
BLOCK_OF_NIGHTS = 20
SEEDS_A_MISTAKE = 5_000
# A mistake that no longer fits the code it is planted in crashes: that is not one that was found.
NOT_PLAYED = ("AttributeError", "NameError", "TypeError")


def block(first: int, count: int, play: Play = scenario.play) -> list[tuple[int, str]]:
    """Play some seeds; gives those that broke the promise."""
    try:
        played = ((seed, play(seed)) for seed in range(first, first + count))
        return [(seed, broken) for seed, broken in played if broken]
    finally:
        scenario.forget_templates()


def find(name: str, first: int, most: int) -> tuple[int, str] | None:
    """Plant a mistake and play seeds until one shows it; gives the seed and what it broke."""
    play = nights.play if name in mistakes.NIGHTS else crowd.play if name in mistakes.CROWDS else scenario.play
    try:
        with mistakes.planted(name):
            for seed in range(first, first + most):
                broken = play(seed)
                if broken and not any(kind in broken for kind in NOT_PLAYED):
                    return seed, broken.splitlines()[0]
    except AttributeError:  # the code that it is planted in has moved
        return None
    finally:
        scenario.forget_templates()
    return None


def main() -> int:
    """Play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50_000)
    parser.add_argument("--nights", action="store_true", help="many runs over a growing source, instead of one plan")
    parser.add_argument("--crowds", action="store_true", help="several senders of one plan")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--mistakes", action="store_true", help="how soon each planted mistake is found")
    options = parser.parse_args()
    began, failed = time.monotonic(), 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        if options.mistakes:
            tasks = {name: pool.submit(find, name, options.first, SEEDS_A_MISTAKE) for name in mistakes.MISTAKES}
            for name, task in tasks.items():
                found = task.result()
                failed += found is None
                print(f"{name:45} {f'seed {found[0]}: {found[1]}' if found else 'NOT FOUND'}", flush=True)
            print(f"{len(tasks) - failed} of {len(tasks)} planted mistakes found, {time.monotonic() - began:.0f} s")
            return failed
        last = options.first + options.seeds
        play, size = (nights.play, BLOCK_OF_NIGHTS) if options.nights else (scenario.play, BLOCK)
        play = crowd.play if options.crowds else play
        starts = range(options.first, last, size)
        counts = [min(size, last - start) for start in starts]
        for found in pool.map(block, starts, counts, [play] * len(counts)):
            for seed, broken in found:
                failed += 1
                print(f"seed {seed}: {broken}\n", flush=True)
    print(f"{options.seeds:,} seeds, {failed} broke the promise, {time.monotonic() - began:.0f} s")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
