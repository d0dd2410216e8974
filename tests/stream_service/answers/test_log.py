import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_service.answers.log import LogTrimmed, MemoryLog, MemoryLogs, Opening, Record


def filled(history: int, events: int) -> MemoryLog:
    log = MemoryLog(history)
    for seq in range(1, events + 1):
        log.add(Record(seq, "error", str(seq)))
    return log


@given(history=st.integers(1, 20), events=st.integers(0, 60), after=st.integers(0, 60), limit=st.integers(1, 30))
def test_reads_what_follows_or_says_that_it_is_gone(history: int, events: int, after: int, limit: int) -> None:
    log = filled(history, events)
    oldest = max(1, events - history + 1)
    if after < oldest - 1:
        with pytest.raises(LogTrimmed) as trimmed:
            log.held(after, limit)
        assert trimmed.value.oldest == oldest
    else:
        expected = list(range(after + 1, events + 1))[:limit]
        assert [record.seq for record in log.held(after, limit)] == expected


@pytest.mark.parametrize("seq", [0, 3, 5])
def test_refuses_a_gap_and_a_double(seq: int) -> None:
    with pytest.raises(ValueError, match="cannot follow event 3"):
        filled(8, 3).append(Record(seq, "error", ""), lambda record: None)


async def test_keeps_the_logs_of_the_sessions_that_closed_last() -> None:
    logs = MemoryLogs(history=8, closed=2)
    for session in "abc":
        logs.open(Opening(session, "door"))
        logs.retire(session)
    assert await logs.find("a") is None
    assert await logs.find("b") is not None
    found = await logs.locate("door")
    assert found is not None
    assert found.session == "c"
    assert [one.session for one in await logs.sessions(10)] == ["c", "b"]
    await logs.erase("c")
    assert await logs.find("c") is None


async def test_forgets_a_session_that_never_came_to_be() -> None:
    logs = MemoryLogs(history=8, closed=2)
    logs.open(Opening("a"))
    logs.drop("a")
    assert await logs.find("a") is None
