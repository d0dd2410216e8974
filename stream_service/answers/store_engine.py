"""Opening the durable log's database: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import fcntl
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from stream_service.answers.store_schema import migrate
from stream_service.errors import InvalidConfig, StartupError

READERS = 4
"""Connections beside the writer's."""
_WAIT_S = 5.0
"""Longest wait for the database in one statement; then it counts as failed."""
_CLAIM = 0x6F6D6E69
"""PostgreSQL advisory lock of the one server that may write a database."""


class Claim(Protocol):
    """The right to be the only writer of a database, until it is closed or the process ends."""

    def close(self) -> None: ...


def open_engine(url: str) -> tuple[Engine, Claim]:
    """Claim the database at ``url`` for this process and bring its schema up to date.

    The numbers in the log have one writer: a second server on the same database would take the first one's living
    sessions for interrupted ones. Raises InvalidConfig for a URL that cannot be one, StartupError when the database
    cannot be opened, is in use by another server, or belongs to a newer release.
    """
    parsed = parse(url)
    try:
        claim = _claim_file(Path(parsed.database or "")) if parsed.get_backend_name() == "sqlite" else None
        engine = _engine(parsed)
        try:
            claimed = claim or _claim_database(engine)
            with engine.connect() as connection:
                migrate(connection)
        except BaseException:  # interrupted as well: no claim on the file may stay behind
            engine.dispose()
            if claim is not None:
                claim.close()
            raise
    except (DBAPIError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        raise StartupError(
            f"The event log {shown(parsed)} cannot be opened: {reason}.",
            field="answers.log",
            remedy="Name a place that can be written in answers.log, or keep events in memory (answers.log: memory).",
        ) from None
    return engine, claimed


def open_reader(url: str) -> Engine:
    """The database of ``url`` as another process reads it, whether or not a server writes it at the time.

    Raises InvalidConfig, and StartupError when there is none.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise StartupError(f"There is no event log {shown(parsed)}.", remedy="Name it with --config or --log.")
    return _engine(parsed)


def parse(url: str) -> URL:
    """Raises InvalidConfig unless ``url`` names a SQLite file or a PostgreSQL database."""
    try:
        parsed = make_url(url)
        parsed.get_dialect()
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        backend = "none"
    if backend not in ("sqlite", "postgresql") or (backend == "sqlite" and parsed.database in (None, "", ":memory:")):
        raise InvalidConfig(
            "answers.log names no database.",
            field="answers.log",
            remedy="Use memory, sqlite:///PATH (three slashes before a relative path), or postgresql+psycopg://….",
        )
    return parsed


def shown(url: URL) -> str:
    """``url`` without its password."""
    return url.render_as_string(hide_password=True)


def overwrite(engine: Engine) -> None:
    """Take what was deleted out of SQLite's files as well: its write-ahead log has copies until it is written over."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:  # not in a transaction, as all others are
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, poolclass=QueuePool, pool_size=READERS + 1, connect_args={"timeout": _WAIT_S})
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine
    try:
        limits = {"connect_timeout": int(_WAIT_S), "options": f"-c statement_timeout={int(_WAIT_S * 1000)}"}
        return create_engine(url, pool_size=READERS + 2, pool_pre_ping=True, connect_args=limits)
    except ModuleNotFoundError as error:
        raise StartupError(
            f"PostgreSQL needs the package {error.name}.",
            field="answers.log",
            remedy="Install omnidrop-live[postgres], and write the URL as postgresql+psycopg://….",
        ) from None


def _prepare(connection: Any, _: object) -> None:
    """A new SQLite connection. FULL: a commit is on the disk when it returns, also through a loss of power."""
    connection.isolation_level = None  # transactions are begun below; the driver would not begin one for DDL
    for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _claim_file(database: Path) -> Claim:
    """Hold a lock file beside the database; what is made here only this user may read: people's words stand in it."""
    database.parent.mkdir(parents=True, exist_ok=True)
    database.touch(mode=0o600)
    lock = database.with_name(database.name + ".lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise _in_use(str(database)) from None
    return lock


def _claim_database(engine: Engine) -> Claim:
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _CLAIM}).scalar_one():
        connection.close()
        raise _in_use(shown(engine.url))
    return _AdvisoryLock(connection)


class _AdvisoryLock:
    """Held by a connection of its own, and let go with it should this process die."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        with suppress(DBAPIError):  # the server is gone, and the lock with it
            self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _CLAIM})
        self._connection.close()


def _in_use(name: str) -> StartupError:
    return StartupError(
        f"The event log {name} is in use by another server.",
        field="answers.log",
        remedy="Stop that server, or give this one its own log, e.g. OMNIDROP_ANSWERS__LOG=sqlite:///data/second.db.",
    )
