import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_service.answers.log import LogTrimmed, MemoryLog, MemoryLogs, Record


def filled(history: int, events: int) -> MemoryLog:
    log = MemoryLog(history)
    for seq in range(1, events + 1):
        log.append(Record(seq, "error", str(seq)))
    return log


@given(history=st.integers(1, 20), events=st.integers(0, 60), after=st.integers(0, 60), limit=st.integers(1, 30))
def test_reads_what_follows_or_says_that_it_is_gone(history: int, events: int, after: int, limit: int) -> None:
    log = filled(history, events)
    oldest = max(1, events - history + 1)
    if after < oldest - 1:
        with pytest.raises(LogTrimmed) as trimmed:
            log.read(after, limit)
        assert trimmed.value.oldest == oldest
    else:
        expected = list(range(after + 1, events + 1))[:limit]
        assert [record.seq for record in log.read(after, limit)] == expected


@pytest.mark.parametrize("seq", [0, 3, 5])
def test_refuses_a_gap_and_a_double(seq: int) -> None:
    with pytest.raises(ValueError, match="cannot follow event 3"):
        filled(8, 3).append(Record(seq, "error", ""))


def test_keeps_the_logs_of_the_sessions_that_closed_last() -> None:
    logs = MemoryLogs(history=8, closed=2)
    for session in "abc":
        logs.open(session)
        logs.retire(session)
    assert logs.find("a") is None
    assert logs.find("b") is not None
    assert logs.find("c") is not None


def test_forgets_a_session_that_never_came_to_be() -> None:
    logs = MemoryLogs(history=8, closed=2)
    logs.open("a")
    logs.drop("a")
    assert logs.find("a") is None
