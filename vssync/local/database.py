"""One SQLite file in one private folder: connections, transactions, and large values as streams.

Whoever only reads makes no file. Writers take the lock at once (`begin immediate`) and wait for each other; readers
never wait. A killed process loses the transaction it was in and nothing else. The file does not shrink.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import unicodedata
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from vssync.local.errors import LocalDataError

LOCK_TIMEOUT = 30  # seconds a writer waits for its turn
PIECE_BYTES = 256 << 10

PRAGMAS: tuple[str, ...] = (
    "pragma foreign_keys = on",
    "pragma trusted_schema = off",  # a database may come with a checkout, and its tables from anybody
    "pragma synchronous = normal",  # safe against kill; only a power cut may lose the last transactions
    "pragma journal_size_limit = 67108864",  # one large upload must not leave a large log behind
)


class Database:
    """A pool of connections. Each is lent to one transaction at a time, so threads need no care."""

    def __init__(self, folder: Path, *, create: bool = True):
        self.path = folder / "service.db"
        self._idle: deque[sqlite3.Connection] = deque()
        self._is_open = True
        self._is_ready = False
        if self._exists() or create:
            self._ensure_ready()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Everything read inside is of one moment."""
        lent = self._borrow() if self._exists() else empty_database()
        with lent as connection, in_transaction(connection, "begin"):
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        self._ensure_ready()
        with self._borrow() as connection, in_transaction(connection, "begin immediate"):
            yield connection

    def open_blob(self, blob: int) -> Iterator[bytes]:
        """The bytes of a blob, on a connection of their own since they outlive the request."""
        stream = self._stream_blob(blob)
        next(stream)  # opens it, so that a blob that is gone is known before the response begins
        return stream

    def _stream_blob(self, blob: int) -> Generator[bytes, None, None]:
        with closing(self._connect()) as connection, connection.blobopen("blobs", "data", blob, readonly=True) as data:
            yield b""
            while piece := data.read(PIECE_BYTES):
                yield piece

    def close(self) -> None:
        self._is_open = False
        while self._idle:
            self._idle.pop().close()

    def _exists(self) -> bool:
        """Whether there is a database; another process may have made it meanwhile."""
        self._require_open()
        if not self._is_ready and database_exists(self.path):
            self._ensure_ready()
        return self._is_ready

    def _ensure_ready(self) -> None:
        """Creates the database where it is missing, and checks that it is ours."""
        self._require_open()
        if self._is_ready:
            return
        database_exists(self.path)
        try:
            create_private(self.path)
            with ExitStack() as failing:
                connection = failing.enter_context(closing(open_connection(self.path)))
                prepare_schema(connection)
                failing.pop_all()
        except (OSError, sqlite3.Error, LocalDataError) as error:
            if isinstance(error, OSError | sqlite3.OperationalError):
                is_full = "full" in str(error) or "No space" in str(error)
                way_out = "make room on its disk" if is_full else "make its folder one that you can write to"
                reason = f"cannot be opened: {error}; {way_out}"
            elif isinstance(error, LocalDataError):
                reason = str(error)
            else:
                reason = f"is damaged or not a database ({error}); move its folder away to start afresh"
            raise LocalDataError(f"{self.path}: {reason}") from error
        self._idle.append(connection)  # closing it would write the log back, and the next one starts it anew
        self._is_ready = True

    def _require_open(self) -> None:
        if not self._is_open:
            raise LocalDataError(f"{self.path}: the service is closed")

    @contextmanager
    def _borrow(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)
            if not self._is_open:
                self.close()

    def _connect(self) -> sqlite3.Connection:
        database_exists(self.path)
        return open_connection(self.path)


def open_connection(database: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.create_function("indexed", 1, indexed, deterministic=True)
    try:
        for pragma in PRAGMAS:
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


ACCENTS = re.compile("[\u0300-\u036f]")
UNSPACED = "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # Thai, Chinese, Japanese


def fold(text: str) -> str:
    """A text without differences of case and accent: `Größe`, `GRÖSSE` and `Grosse` are one word."""
    if text.isascii():
        return text.lower()
    letters = ACCENTS.sub("", unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()))
    return unicodedata.normalize("NFKC", letters)


def indexed(text: str) -> str:
    """A text as the search index has it. Where a script puts no spaces between words, each character is one."""
    return re.sub(UNSPACED, r" \g<0> ", fold(text))


@contextmanager
def empty_database() -> Iterator[sqlite3.Connection]:
    """What a service holds to which nothing was ever written."""
    with closing(open_connection(":memory:")) as connection:
        prepare_schema(connection)
        yield connection


@contextmanager
def in_transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself after some errors
            connection.execute("rollback")
        raise


def prepare_schema(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file, accept our own version, refuse everything else."""
    if not data_version(connection):
        connection.execute("pragma journal_mode = wal")
        with in_transaction(connection, "begin immediate"):
            if not data_version(connection):  # another process may have been first
                for statement in filter(str.strip, TABLES.split(";\n")):  # `executescript` would commit first
                    connection.execute(statement)
                connection.execute(f"pragma application_id = {APPLICATION_ID}")
                connection.execute(f"pragma user_version = {DATA_VERSION}")
    if (version := data_version(connection)) > DATA_VERSION:
        raise LocalDataError(f"written by a newer vssync (data version {version}); use that one, or another folder")
    if version < DATA_VERSION:
        raise LocalDataError(
            f"written by an older vssync (data version {version}); move its folder away to start afresh"
        )


def data_version(connection: sqlite3.Connection) -> int:
    """0 for an empty file. Never writes, so that somebody else's database stays as it is."""
    (tables,) = connection.execute("select count(*) from sqlite_master").fetchone()
    (application_id,) = connection.execute("pragma application_id").fetchone()
    if tables and application_id != APPLICATION_ID:
        raise LocalDataError("another program's database; use another folder")
    return int(connection.execute("pragma user_version").fetchone()[0])


CHECKOUT = ".vssync"  # in a checkout, the data lies below this folder
SIDE_FILES = ("-wal", "-shm", "-journal")
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # at its end, it says that the name of a super-journal precedes
FILE_TYPES = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def database_exists(database: Path) -> bool:
    """Whether there is a database. Raises LocalDataError for anything that is not the service's own.

    The folder may have come with a checkout, which anybody may have written. SQLite follows links, waits for a FIFO,
    and deletes the file that a rollback journal names. Folders above the service's own are the user's, who may keep
    them behind a link; so is a folder outside of `.vssync`.
    """
    names = [ancestor.name for ancestor in database.parents]
    own = [Path(os.path.realpath(database.parent))]
    if CHECKOUT in names:
        own = list(database.parents[: names.index(CHECKOUT) + 1])
    for folder in reversed(own):
        check_type(folder, stat.S_IFDIR)
    for suffix in SIDE_FILES:
        check_type(Path(f"{database}{suffix}"), stat.S_IFREG)
    check_journal(Path(f"{database}-journal"))
    return check_type(database, stat.S_IFREG)


def create_private(database: Path) -> None:
    """Uploads may be confidential: folder and file are the owner's alone, and SQLite's side files inherit that."""
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))


def check_type(path: Path, expected: int) -> bool:
    """Whether it exists. Two names of one database have two logs, which damages it."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LocalDataError(f"{path}: cannot be opened: {error.strerror}") from error
    if (actual := stat.S_IFMT(status.st_mode)) != expected:
        raise LocalDataError(f"{path}: is {FILE_TYPES[actual]}, but must be {FILE_TYPES[expected]}; remove it")
    if actual == stat.S_IFREG and status.st_nlink > 1:
        raise LocalDataError(f"{path}: has a second name (a hard link); put a copy in its place")
    return True


def check_journal(path: Path) -> None:
    """A journal of the service's own, which a killed process may leave, names no other file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(JOURNAL_MAGIC)))
            end = file.read()
    except FileNotFoundError:
        return
    except OSError as error:
        raise LocalDataError(f"{path}: cannot be opened: {error.strerror}") from error
    if end == JOURNAL_MAGIC:
        raise LocalDataError(f"{path}: names another file, which SQLite would delete; remove this journal")


APPLICATION_ID = 0x76737379  # "vssy": tells our database from any other SQLite file
DATA_VERSION = 6

TABLES = """
create table blobs (seq integer primary key, sha256 text not null unique, data blob not null);
create table files (
    seq integer primary key autoincrement,
    id text not null unique,
    blob integer not null references blobs,
    filename text not null,
    bytes integer not null,
    purpose text not null,
    created_at integer not null,
    expires_at integer
);
create index files_blob on files (blob);
create index files_purpose on files (purpose, seq);
create index files_expiry on files (expires_at) where expires_at is not null;
create table stores (
    seq integer primary key autoincrement,
    id text not null unique,
    name text not null,
    description text,
    metadata text not null,
    created_at integer not null,
    last_active_at integer not null,
    expires_days integer
);
create table batches (
    seq integer primary key autoincrement,
    id text not null unique,
    store integer not null references stores on delete cascade,
    cancelled integer not null default 0,
    created_at integer not null
);
create index batches_store on batches (store, seq);
create table store_files (
    seq integer primary key autoincrement,
    store integer not null references stores on delete cascade,
    id text not null,
    batch integer references batches on delete cascade,
    status text not null default 'in_progress',
    error_code text,
    error_message text,
    attributes text not null,
    filtered text not null,
    chunk_size integer not null,
    chunk_overlap integer not null,
    usage_bytes integer not null default 0,
    ready_at real not null default 0,
    failure_code text not null default '',
    created_at integer not null,
    leaves_at real,
    unique (store, id)
);
create index store_files_order on store_files (store, seq);
create index store_files_status on store_files (store, status, seq, usage_bytes);
create index store_files_batch on store_files (batch, seq, status, usage_bytes);
create index store_files_file on store_files (id);
create index store_files_waiting on store_files (seq) where status = 'in_progress';
create table stores_ghosts as select *, 0.0 as gone_at from stores;
create table store_files_ghosts as select *, 0.0 as gone_at from store_files;
create index store_files_ghosts_id on store_files_ghosts (store, id);
create trigger store_files_back after insert on store_files begin
    delete from store_files_ghosts where store = new.store and id = new.id; end;
create table chunks (
    seq integer primary key,
    store_file integer not null references store_files on delete cascade,
    text text not null,
    identity text,
    found integer not null default 1
);
create index chunks_store_file on chunks (store_file);
create index chunks_identity on chunks (identity) where identity is not null;
create table gone (
    number integer primary key,
    list text not null,
    store integer,
    batch integer,
    id text not null,
    seq integer not null
);
create index gone_id on gone (id);
create trigger gone_only_lately after insert on gone begin
    delete from gone where number <= new.number - 10000; end;
create trigger files_gone after delete on files begin
    insert into gone (list, id, seq) values ('files', old.id, old.seq); end;
create trigger stores_gone after delete on stores begin
    insert into gone (list, id, seq) values ('stores', old.id, old.seq); end;
create trigger store_files_gone after delete on store_files
when exists (select 1 from stores where seq = old.store) begin
    insert into gone (list, store, batch, id, seq)
    values ('store_files', old.store, old.batch, old.id, old.seq); end;
"""
