"""A process that writes a log as fast as it is shown, and prints each event's number once it may be shown."""

from __future__ import annotations

import asyncio
import sys

from stream_service.answers.log import Opening, Record
from stream_service.answers.store import open_logs


async def main(url: str) -> None:
    logs = await open_logs(url, history=100, keep_s=1e9, keep_size=10**9)
    await logs.interrupted()
    log = logs.open(Opening("s", "porch"))
    while True:
        for _ in range(5):
            seq = log.last + 1
            json = f'{{"type":"error","seq":{seq},"at":0,"wall":"2026-01-02T03:04:05Z","question":null}}'
            log.append(Record(seq, "error", json), lambda record: print(record.seq, flush=True))
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
