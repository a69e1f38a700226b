"""Draws photographs of surfaces into one file, with all cores.

python -m flawsmith.models.drawn_surfaces OUT.npy [--count 100000] [--side 64] [--channels 1] [--first-seed 0]

OUT.npy is (count, channels, side, side) uint8. Progress goes to standard error.
"""

import argparse
import sys
import time
from pathlib import Path

from flawsmith.models.drawn_surfaces.drawn_set import write_set


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("target", type=Path)
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--side", type=int, default=64)
    options.add_argument("--channels", type=int, choices=[1, 3], default=1)
    options.add_argument("--first-seed", type=int, default=0)
    given = options.parse_args()
    began = shown = time.monotonic()
    for done in write_set(given.target, given.first_seed, given.count, given.side, given.channels):
        now = time.monotonic()
        if now - shown > 2 or done == given.count:
            rate = done / (now - began)
            print(f"{done} of {given.count} drawn, {rate:.0f}/s", file=sys.stderr, flush=True)
            shown = now


if __name__ == "__main__":
    main()
