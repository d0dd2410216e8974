import asyncio

import pytest

from stream_service.answers.fanout import AheadOfLog, Fanout, Fanouts, Interruption, SubscriberTooSlow
from stream_service.answers.log import LogTrimmed, MemoryLog, MemoryLogs, Opening, Record, Show


def publish(fanout: Fanout, count: int) -> None:
    for _ in range(count):
        seq = fanout.log.last + 1
        fanout.publish(Record(seq, "error", str(seq)))


async def collect(fanout: Fanout, after: int, got: list[int]) -> None:
    async for record in fanout.subscribe(after):
        got.append(record.seq)  # noqa: PERF401 - what was collected before an error counts too


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_replay_then_live_without_gap_or_double() -> None:
    fanout = Fanout(MemoryLog(1000), queue=500)
    publish(fanout, 300)
    got: list[int] = []
    reader = asyncio.create_task(collect(fanout, 17, got))
    for _ in range(20):  # events keep coming while the replay is on its way, page by page
        publish(fanout, 5)
        await asyncio.sleep(0)
    await settle()
    publish(fanout, 10)
    fanout.end()
    await reader
    assert got == list(range(18, 411))


async def test_events_during_a_slow_replay_are_neither_lost_nor_doubled() -> None:
    fanout = Fanout(MemoryLog(1000), queue=4)
    publish(fanout, 200)
    records = fanout.subscribe(0)
    got = []
    for _ in range(250):
        got.append((await anext(records)).seq)
        if len(got) <= 50:
            publish(fanout, 1)
    assert got == list(range(1, 251))
    await records.aclose()


async def test_a_slow_subscriber_is_dropped_and_the_others_are_not() -> None:
    fanout = Fanout(MemoryLog(1000), queue=3)
    slow = fanout.subscribe(0)
    publish(fanout, 1)
    await anext(slow)
    waiting = asyncio.ensure_future(anext(slow))
    await settle()
    got: list[int] = []
    quick = asyncio.create_task(collect(fanout, 0, got))
    await settle()
    publish(fanout, 2)
    await settle()
    publish(fanout, 3)
    await settle()
    assert (await waiting).seq == 2
    with pytest.raises(SubscriberTooSlow):
        await anext(slow)
    fanout.end()
    await quick
    assert got == [1, 2, 3, 4, 5, 6]
    assert fanout.subscribers == 0


async def test_says_when_the_past_is_gone_or_was_never_there() -> None:
    fanout = Fanout(MemoryLog(10), queue=3)
    publish(fanout, 30)
    with pytest.raises(LogTrimmed) as trimmed:
        await anext(fanout.subscribe(5))
    assert trimmed.value.oldest == 21
    with pytest.raises(AheadOfLog):
        await anext(fanout.subscribe(31))


async def test_a_closed_session_can_still_be_read_to_its_end() -> None:
    fanouts = Fanouts(MemoryLogs(history=10, closed=1), queue=3)
    publish(fanouts.open(Opening("s", "door")), 4)
    fanouts.close("s", True)
    late = await fanouts.find("door")
    assert late is not None
    got: list[int] = []
    await collect(late, 2, got)
    assert got == [3, 4]
    assert await fanouts.find("other") is None


class SlowLog(MemoryLog):
    """Durable only when the test says so."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.waiting: list[tuple[Record, Show]] = []

    @property
    def durable(self) -> int:
        return self.last - len(self.waiting)

    async def read(self, after: int, limit: int) -> list[Record]:
        return self.held(after, min(limit, self.durable - after))

    def append(self, record: Record, show: Show) -> None:
        self.add(record)
        self.waiting.append((record, show))

    def settle(self, count: int) -> None:
        for _ in range(count):
            record, show = self.waiting.pop(0)
            show(record)


async def test_nothing_is_shown_before_it_is_durable_and_the_end_waits_for_it() -> None:
    log = SlowLog()
    finished: list[bool] = []
    fanout = Fanout(log, queue=10, on_finished=lambda: finished.append(True))
    publish(fanout, 3)
    with pytest.raises(AheadOfLog):
        await anext(fanout.subscribe(1))
    log.settle(1)
    got: list[int] = []
    reader = asyncio.create_task(collect(fanout, 0, got))
    await settle()
    assert got == [1]
    fanout.end()
    await settle()
    assert (reader.done(), finished) == (False, [])
    log.settle(2)
    await reader
    assert (got, finished) == ([1, 2, 3], [True])


async def test_a_server_that_stops_does_not_end_the_session_for_its_subscribers() -> None:
    fanouts = Fanouts(MemoryLogs(history=10, closed=1), queue=3)
    fanout = fanouts.open(Opening("s"))
    publish(fanout, 3)
    got: list[int] = []
    reader = asyncio.create_task(collect(fanout, 0, got))
    await settle()
    fanouts.interrupt("s")
    with pytest.raises(Interruption):
        await reader
    assert got == [1, 2, 3]
