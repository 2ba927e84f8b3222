"""The database's form. A change here raises VERSION.

`seq` is the order of creation, which every listing follows. Bytes are stored once per content. A store's
full-text index is a table of its own (see `index`), so that stores do not change each other's scores. `gone`
remembers where the latest deleted rows stood: clients page on from what they have just deleted. A store file
names its File without a reference, since some services keep one without the other; searches see its `filtered`
attributes, and its ingestion waits for `ready_at` and ends as `fate` says, if it says anything.
"""

from __future__ import annotations

APPLICATION = 0x76737379  # "vssy": tells our database from any other SQLite file
VERSION = 2

TABLES = """
create table blobs (
    seq integer primary key,
    sha256 text not null unique,
    data blob not null
);
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
    fate text not null default '',
    created_at integer not null,
    unique (store, id)
);
create index store_files_order on store_files (store, seq);
create index store_files_status on store_files (store, status, seq, usage_bytes);
create index store_files_batch on store_files (batch, seq, status, usage_bytes);
create index store_files_file on store_files (id);
create index store_files_waiting on store_files (seq) where status = 'in_progress';
create table chunks (
    seq integer primary key,
    store_file integer not null references store_files on delete cascade,
    text text not null
);
create index chunks_store_file on chunks (store_file);
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


def statements() -> list[str]:
    """The statements one by one: `executescript` would commit the transaction around them."""
    return [statement for statement in TABLES.split(";\n") if statement.strip()]
