from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from stream_service.answers.log import LogTrimmed, Opening, Record
from stream_service.answers.store_engine import open_engine, parse, shown
from stream_service.answers.store_schema import METADATA, MIGRATIONS, migrate
from stream_service.answers.store_writer import Append, apply
from stream_service.errors import InvalidConfig, LogUnavailable, StartupError
from tests.stream_service.answers.stores import BACKENDS, Time, durable, opened, session, url_of, write


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, tmp_path)


async def test_every_event_is_shown_once_in_order_and_only_when_another_reader_finds_it(url: str) -> None:
    async with opened(url) as logs:
        log = logs.open(Opening("s"))
        reader = create_engine(url)
        missing: list[int] = []
        seen: list[int] = []

        def show(record: Record) -> None:
            seen.append(record.seq)
            with reader.connect() as connection:
                held = connection.execute(text("SELECT count(*) FROM events WHERE seq = :seq"), {"seq": record.seq})
                if not held.scalar():
                    missing.append(record.seq)

        for seq in range(1, 101):
            log.append(Record(seq, "error", "{}"), show)
            if seq % 7 == 0:
                await asyncio.sleep(0)
        assert log.durable < 100
        await durable(log)
        reader.dispose()
    assert (seen, missing) == (list(range(1, 101)), [])


async def test_reads_memory_and_database_as_one_log(url: str) -> None:
    async with opened(url, history=4) as logs:
        log = logs.open(Opening("s"))
        write(log, *["error"] * 20)
        await durable(log)
        for after in range(20):
            assert [record.seq for record in await log.read(after, 6)] == list(range(after + 1, min(after + 7, 21)))
        assert await log.read(20, 6) == []


async def test_sessions_of_an_earlier_run_are_found_by_id_and_the_newest_by_name(url: str) -> None:
    time = Time()
    async with opened(url, now=time) as logs:
        for id in ("first", "second"):
            await session(logs, id, 3, "door")
            time.now += 1000
    async with opened(url, now=time) as logs:
        by_name, by_id = await logs.find("door"), await logs.find("first")
        assert by_name is not None
        assert by_id is not None
        located = await logs.locate("door")
        assert located is not None
        assert (located.session, located.last, located.closed is not None) == ("second", 3, True)
        assert [record.seq for record in await by_id.read(1, 10)] == [2, 3]
        assert [one.session for one in await logs.sessions(10)] == ["second", "first"]
        assert await logs.find("nobody") is None


async def test_a_session_that_was_cut_off_is_told_and_goes_on_with_its_numbers(url: str) -> None:
    def event(seq: int, kind: str, **more: object) -> str:
        common = {"seq": seq, "session": "s", "at": seq * 1.0, "wall": "2026-01-02T03:04:05.000Z"}
        return json.dumps({"type": kind, **common, **more}, separators=(",", ":"))

    told = [
        event(1, "session.started"),
        event(2, "window.fused", index=6),
        event(3, "question.accepted", question="answered"),
        event(4, "answer.done", question="answered"),
        event(5, "question.accepted", question="refused"),
        event(6, "error", question="refused"),
        event(7, "error", question=None),
        event(8, "question.accepted", question="open"),
        event(9, "answer.delta", question="open", text="a blue squ"),
        event(10, "answer.restarted", question="open", text="a blue squ"),
        event(11, "answer.delta", question="open", text="a red"),
        event(12, "answer.delta", question="open", text=" circle"),
        event(13, "question.accepted", question="waiting"),
    ]
    async with opened(url) as logs:
        log = logs.open(Opening("s", "door", '{"talk":"hands_free"}'))
        write(log, *told)
        logs.amend(Opening("s", "door", '{"talk":"off"}'))
        await durable(log)
        await session(logs, "over", 2)
    async with opened(url) as logs:
        (past,) = await logs.interrupted()
        assert past.opening == Opening("s", "door", '{"talk":"off"}')
        assert (past.at, past.windows) == (13.0, 7)
        assert past.unanswered == {"open": "a red circle", "waiting": ""}
        log = logs.open(past.opening)
        assert (log.last, log.durable) == (13, 13)
        with pytest.raises(ValueError, match="cannot follow"):
            write_number(log, 15)
        write(log, "session.closed")
        await durable(log)
        assert [record.seq for record in await log.read(0, 50)] == list(range(1, 15))
    async with opened(url) as logs:
        assert await logs.interrupted() == []


def write_number(log: object, seq: int) -> None:
    log.append(Record(seq, "error", "{}"), lambda record: None)  # type: ignore[attr-defined]


async def test_a_session_that_never_was_and_one_that_is_erased_leave_nothing(url: str) -> None:
    async with opened(url) as logs:
        write(logs.open(Opening("stillborn")), "error")
        logs.drop("stillborn")
        await session(logs, "secret", 5)
        log = await logs.find("secret")
        assert log is not None
        await logs.erase("secret")
        assert await logs.sessions(10) == []
        assert await logs.stored(0, 10) == []
        with pytest.raises(LogTrimmed):
            await log.read(0, 10)


async def test_a_publisher_begins_with_what_is_new_and_goes_on_where_it_stopped(url: str) -> None:
    async with opened(url) as logs:
        await session(logs, "old", 3)
        begun = await logs.cursor("mqtt")
        assert await logs.stored(begun, 10) == []
        await session(logs, "a", 2, "door")
        await session(logs, "b", 1)
        news = await logs.stored(begun, 2)
        assert [(one.session, one.name, one.record.seq) for one in news] == [("a", "door", 1), ("a", "door", 2)]
        logs.advance("mqtt", news[-1].id)
    async with opened(url) as logs:
        (left,) = await logs.stored(await logs.cursor("mqtt"), 10)
        assert (left.session, left.record.seq) == ("b", 1)


async def test_by_age_the_oldest_events_go_and_closed_sessions_with_their_last(url: str) -> None:
    time = Time()
    async with opened(url, now=time, keep_s=10) as logs:
        await session(logs, "old", 3)
        await session(logs, "live", 3, closed=False)
        time.now += 8_000
        live = logs.open(Opening("younger"))
        write(live, *["error"] * 3)
        await durable(live)
        time.now += 8_000
    async with opened(url, now=time, keep_s=10) as logs:
        assert [one.session for one in await logs.sessions(10)] == ["younger", "live"]
        assert [(one.session, one.record.seq) for one in await logs.stored(0, 10)] == [
            ("younger", 1), ("younger", 2), ("younger", 3),
        ]  # fmt: skip
        emptied = await logs.find("live")
        assert emptied is not None
        assert emptied.last == 3
        with pytest.raises(LogTrimmed) as trimmed:
            await emptied.read(0, 10)
        assert trimmed.value.oldest == 4


async def test_by_size_the_log_keeps_the_newest_that_fit(url: str) -> None:
    async with opened(url) as logs:
        await session(logs, "a", 700)
        await session(logs, "b", 40)
    async with opened(url, keep_size=50 * (len("error") + 128)) as logs:
        kept = await logs.stored(0, 1000)
        assert [one.session for one in kept] == ["a"] * 9 + ["b"] * 40  # 50 would fit, session.closed being longer
        a, b = await logs.find("a"), await logs.find("b")
        assert a is not None
        assert b is not None
        with pytest.raises(LogTrimmed) as trimmed:
            await a.read(0, 100)
        assert trimmed.value.oldest == 692
        assert (await a.read(691, 100))[-1].seq == 700
        assert len(await b.read(0, 100)) == 40
        assert sum(one.size for one in await logs.sessions(10)) <= 50 * (len("error") + 128)


def change(url: str, statement: str) -> None:
    """Behind the server's back."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


async def test_while_the_database_refuses_sessions_go_on_and_all_is_written_after(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = url_of("sqlite", tmp_path)
    async with opened(url) as logs:
        log = logs.open(Opening("s"))
        write(log, "error")
        await durable(log)
        change(url, "ALTER TABLE events RENAME TO elsewhere")
        shown: list[int] = []
        write(log, "error", shown=shown)
        await durable(log)
        write(log, *["error"] * 3, shown=shown)
        assert shown == [2, 3, 4, 5]
        assert logs.is_failing()
        change(url, "ALTER TABLE elsewhere RENAME TO events")
        written = asyncio.Event()
        logs.follow(written.set)
        async with asyncio.timeout(60):
            await written.wait()
        assert not logs.is_failing()
        assert shown == [2, 3, 4, 5]
        assert [one.record.seq for one in await logs.stored(0, 10)] == [1, 2, 3, 4, 5]
    assert caplog.text.count("cannot be written") == 1


async def test_a_log_that_cannot_be_read_is_an_error_that_passes(url: str) -> None:
    async with opened(url, history=1) as logs:
        await session(logs, "s", 3)
        log = await logs.find("s")
        assert log is not None
        change(url, "ALTER TABLE events RENAME TO elsewhere")
        with pytest.raises(LogUnavailable) as error:
            await log.read(0, 10)
        assert error.value.retry_after
        change(url, "ALTER TABLE elsewhere RENAME TO events")
        assert len(await log.read(0, 10)) == 3


@pytest.mark.parametrize("key", ["", "\0", "x" * 100_000, "' OR 1=1 --", "ümlaut/..", "%"])
async def test_any_text_may_be_looked_for(url: str, key: str) -> None:
    async with opened(url) as logs:
        await session(logs, "s", 1, "door")
        assert await logs.find(key) is None


def test_a_commit_whose_outcome_was_lost_may_be_repeated(tmp_path: Path) -> None:
    engine, claim = open_engine(url_of("sqlite", tmp_path))
    batch = [Append(Record(seq, "error", "{}"), "s", 0, lambda record: None) for seq in (1, 2)]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO sessions VALUES ('s', NULL, '{}', 0, NULL, 0, 0)"))
    for _ in range(2):
        with engine.begin() as connection:
            apply(connection, batch)
            assert connection.execute(text("SELECT count(*), max(seq) FROM events")).one() == (2, 2)
            assert connection.execute(text("SELECT last, size FROM sessions")).one() == (2, 2 * 130)
    claim.close()
    engine.dispose()


# Opening -------------------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_queries_expect(url: str) -> None:
    engine, claim = open_engine(url)
    inspector = inspect(engine)
    for table in METADATA.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
        indices = {index["name"]: bool(index["unique"]) for index in inspector.get_indexes(table.name)}
        assert indices == {index.name: index.unique for index in table.indexes}
    claim.close()
    engine.dispose()


def test_migrations_run_once_in_order_and_go_on_after_one_failed(tmp_path: Path) -> None:
    engine, claim = open_engine(url_of("sqlite", tmp_path))
    ran: list[int] = []

    def second(connection: object) -> None:
        ran.append(2)

    def third(connection: object) -> None:
        ran.append(3)
        if ran.count(3) == 1:
            raise OSError("no space left")

    with engine.connect() as connection:
        with pytest.raises(OSError, match="no space"):
            migrate(connection, [*MIGRATIONS, second, third])
        assert migrate(connection, [*MIGRATIONS, second, third]) == 3
        assert ran == [2, 3, 3]
        with pytest.raises(StartupError, match="newer release"):
            migrate(connection)
    claim.close()
    engine.dispose()


def test_one_server_writes_a_log(url: str) -> None:
    engine, claim = open_engine(url)
    with pytest.raises(StartupError, match="in use by another server"):
        open_engine(url)
    claim.close()
    engine.dispose()
    engine, claim = open_engine(url)
    claim.close()
    engine.dispose()


def test_nobody_else_may_read_what_was_said(tmp_path: Path) -> None:
    engine, claim = open_engine(url_of("sqlite", tmp_path))
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        files = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "log").glob("events.db*")}
    claim.close()
    engine.dispose()
    del files["events.db.lock"]  # empty
    assert files == {"events.db": 0, "events.db-wal": 0, "events.db-shm": 0}


async def test_what_is_erased_is_in_no_file_any_more(tmp_path: Path) -> None:
    async with opened(url_of("sqlite", tmp_path)) as logs:
        log = logs.open(Opening("a", None))
        write(log, '{"type":"question.accepted","text":"Where is the spare key?"}', "session.closed")
        await session(logs, "b", 5)
        logs.retire("a")
        files = list((tmp_path / "log").iterdir())
        assert any(b"spare key" in path.read_bytes() for path in files)
        await logs.erase("a")
        assert not any(b"spare key" in path.read_bytes() for path in files)
        assert [one.session for one in await logs.sessions(10)] == ["b"]


def test_a_file_that_is_no_log_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(StartupError, match="not a database") as refused:
        open_engine(f"sqlite:///{path}")
    assert refused.value.field == "answers.log"
    assert path.read_text().startswith("not a database")


@pytest.mark.parametrize("url", ["", "data/events.db", "sqlite://", "mysql://host/db", "sqlite:///:memory:"])
def test_what_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        open_engine(url)
    assert refused.value.field == "answers.log"


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in shown(parse("postgresql+psycopg://me:hunter2@db/omnidrop"))
