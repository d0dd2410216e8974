"""Write random weights of a published size, for a service to load: `python -m benchmarks.endurance.checkpoint`.

In a process of its own, so that nothing of it stays on the device.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.speed.shapes import SHAPES, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance.checkpoint", description=__doc__)
    parser.add_argument("size", choices=SHAPES)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--device", default="cpu", help="where the weights are drawn (%(default)s)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16", help="(%(default)s)")
    chosen = parser.parse_args(arguments)
    write(SHAPES[chosen.size], chosen.directory, device=chosen.device, dtype=getattr(torch, chosen.dtype))
    return 0


if __name__ == "__main__":
    sys.exit(main())
