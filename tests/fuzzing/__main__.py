"""``python -m tests.fuzzing``: attack the service with generated inputs; the last line is one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

from tests.fuzzing.campaign import campaign, one


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="inputs (%(default)s)")
    parser.add_argument("--seed", default="0", help="another seed, other inputs (%(default)s)")
    parser.add_argument("--case", help="run only the case of this name, as a failure printed it")
    args = parser.parse_args()
    if args.case:
        print(asyncio.run(one(args.case)))
        return
    began = time.monotonic()
    outcomes = asyncio.run(campaign(args.count, args.seed))
    for kind, found in outcomes.items():
        print(f"{kind:9}", ", ".join(f"{how} {count}" for how, count in found.most_common()))
    spent = round(time.monotonic() - began, 1)
    print(json.dumps({"bench": "fuzzing", "seed": args.seed, "inputs": args.count, "harm": 0, "seconds": spent}))


if __name__ == "__main__":
    main()
