"""How fast the local service is: `python -m tests.benchmarks.local_service [files [rows]]`. Reports, asserts nothing.

Uploads small files with one thread and attaches them in batches of 500, each polled to its end; then a page of
100 store files out of many, and a search.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.local.client import Api
from vssync.local.app import open_service
from vssync.local.database import Database

BATCH = 500
TEXT = ("vssync keeps vector stores as a manifest says. " * 32).encode()[:1500]


@contextmanager
def print_duration(label: str, count: int) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    taken = time.perf_counter() - begin
    sys.stdout.write(f"{label:42} {taken:8.3f} s {count / taken:10,.0f}/s\n")


def memory(when: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{'peak memory ' + when:42} {peak:8.0f} MB\n")


def print_quantiles(label: str, action: Callable[[], object], count: int = 50) -> None:
    with print_duration(label, count):
        for _ in range(count):
            action()


def upload_and_attach(api: Api, store: str, count: int) -> None:
    with print_duration(f"upload {count:,} files of {len(TEXT):,} bytes", count):
        files = [api.upload(f"{n}.md", b"%d %s" % (n, TEXT))["id"] for n in range(count)]
    with print_duration(f"attach and ingest, batches of {BATCH}", count):
        for start in range(0, count, BATCH):
            batch = api.batch(store, *files[start : start + BATCH])
            while batch["status"] == "in_progress":
                batch = api.get(f"/vector_stores/{store}/file_batches/{batch['id']}")


def fill_store(folder: Path, rows: int) -> None:
    """Rows as attaching would leave them, without the work: only the listing is measured."""
    database = Database(folder)
    with database.write() as connection:
        connection.execute("insert into blobs (seq, sha256, data) values (-1, '', '')")
        connection.execute(
            "with recursive n (n) as (select 1 union all select n + 1 from n where n < ?)"
            " insert into files (id, blob, filename, bytes, purpose, created_at)"
            " select 'file-' || n, -1, n || '.md', 1, 'assistants', n from n",
            (rows,),
        )
        connection.execute(
            "insert into store_files (store, id, status, attributes, filtered, chunk_size, chunk_overlap, created_at)"
            " select (select max(seq) from stores), id, 'completed', '{\"lang\": \"en\", \"n\": 1}', '{}', 800, 400, 1"
            " from files where blob = -1"
        )
    database.close()


def main(count: int = 10_000, rows: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        with open_service(folder) as service, Api(service) as api:
            store = api.store()
            memory("before")
            with print_duration("both together", count):
                upload_and_attach(api, store, count)
            memory("after uploading and attaching")
            print_quantiles("search, 3 words", lambda: api.search(store, "manifest vector 77"))
            large = api.store()
            fill_store(folder, rows)
            path = f"/vector_stores/{large}/files"
            middle = f"file-{rows // 2}"
            print_quantiles(f"page of 100 in {rows:,}, first", lambda: api.get(path, limit=100))
            print_quantiles("the same, in the middle", lambda: api.get(path, limit=100, after=middle))
            print_quantiles("the same, of a rare status", lambda: api.get(path, limit=100, filter="failed"))
            print_quantiles("the store itself", lambda: api.get(f"/vector_stores/{large}"))
            print_quantiles("GET of one File", lambda: api.get(f"/files/{middle}"), 1000)
    memory("at its highest, in all")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
