"""The tables of the durable log, and how a database gets from any earlier version to this one.

The migrations are numbered functions, applied in one transaction each and recorded in ``schema_version``. There are
three small tables and one program that writes them; Alembic's environment, its scripts and its configuration file would
be several times the size of what they manage, and would have to be found at run time inside an installed package.

:data:`SESSIONS`, :data:`EVENTS` and :data:`CURSORS` describe the newest version for queries; a test compares them with
what the migrations make. A migration that has been released is never edited: add another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    inspect,
    select,
    text,
    update,
)

from stream_service.errors import StartupError

METADATA = MetaData()

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("options", Text, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("closed", BigInteger),
    Column("last", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("sessions_by_name", "name", "opened"),
    Index("sessions_by_age", "opened"),
)
"""One row a session. Times are milliseconds since 1970; ``last`` numbers its newest event, ``size`` is its events'."""

EVENTS = Table(
    "events",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("session", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("json", Text, nullable=False),
    Index("events_by_number", "session", "seq", unique=True),
)
"""One row an event. ``id`` grows in the order of writing over all sessions and is never used twice."""

CURSORS = Table(
    "cursors",
    METADATA,
    Column("publisher", Text, primary_key=True),
    Column("event", BigInteger, nullable=False),
)
"""How far (``events.id``) each publisher has delivered the log."""

_VERSION = Table("schema_version", MetaData(), Column("version", Integer, nullable=False))

Migration = Callable[[Connection], None]


def _create(connection: Connection) -> None:
    numbered = {
        "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
        "postgresql": "BIGSERIAL PRIMARY KEY",
    }[connection.dialect.name]
    for statement in (
        """CREATE TABLE sessions (id TEXT PRIMARY KEY NOT NULL, name TEXT, options TEXT NOT NULL,
           opened BIGINT NOT NULL, closed BIGINT, last BIGINT NOT NULL, size BIGINT NOT NULL)""",
        "CREATE INDEX sessions_by_name ON sessions (name, opened)",
        "CREATE INDEX sessions_by_age ON sessions (opened)",
        f"""CREATE TABLE events (id {numbered}, session TEXT NOT NULL, seq BIGINT NOT NULL, type TEXT NOT NULL,
           stored BIGINT NOT NULL, json TEXT NOT NULL)""",
        "CREATE UNIQUE INDEX events_by_number ON events (session, seq)",
        "CREATE TABLE cursors (publisher TEXT PRIMARY KEY NOT NULL, event BIGINT NOT NULL)",
    ):
        connection.execute(text(statement))


MIGRATIONS: tuple[Migration, ...] = (_create,)
"""Migration n (from 1) takes a database of version n - 1 to version n."""


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring the database to the newest version, step by step; returns that version.

    Each step is committed with its number, so an interrupted migration goes on where it stopped. Raises StartupError
    for a database that a newer release of this program has written.
    """
    with connection.begin():
        if not inspect(connection).has_table("schema_version"):
            _VERSION.create(connection)
            connection.execute(_VERSION.insert().values(version=0))
        version: int = connection.execute(select(_VERSION.c.version)).scalar_one()
    if version > len(migrations):
        raise StartupError(
            f"The event log was written by a newer release (schema {version}, this one knows {len(migrations)}).",
            field="answers.log",
            remedy="Run that release, or name another log.",
        )
    for number, step in enumerate(migrations[version:], version + 1):
        with connection.begin():
            step(connection)
            connection.execute(update(_VERSION).values(version=number))
    return len(migrations)
