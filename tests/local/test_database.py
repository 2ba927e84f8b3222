"""The data folder: private, shared by threads and processes, safe against kill, refused when it is not ours."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.local.client import Api, counts, ids
from vssync.local.app import Service, open_service
from vssync.local.errors import LocalDataError

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from tests.local.client import Api
from vssync.local.app import open_service
with open_service(Path(sys.argv[1])) as service, Api(service) as api:
    store = api.store()
    for n in range(int(sys.argv[2])):
        file = api.upload(f"{n}.md", f"text {n} ".encode() * 1000)["id"]
        api.attach(store, file)
        api.get(f"/vector_stores/{store}")
        print(file, flush=True)
"""


def writer(folder: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_data_outlives_the_service(folder: Path) -> None:
    with open_service(folder) as service, Api(service) as api:
        store = api.store("a.md")
    with open_service(folder) as service, Api(service) as api:
        assert len(api.search(store, "text")["data"]) == 1


def test_the_folder_is_private(opened: Callable[..., Service], folder: Path) -> None:
    opened()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    assert modes.pop(folder.name) == 0o700
    assert set(modes.values()) == {0o600}


def test_closing_twice_and_using_afterwards(folder: Path) -> None:
    service = open_service(folder)
    service.close()
    service.close()
    with Api(service) as api:
        assert api.get("/files", 500)["error"]["code"] == "local_data_unusable"
    assert [path.name for path in folder.iterdir()] == ["service.db"]


def not_a_database(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be mistaken for one " * 100)


def cut_in_half(path: Path) -> None:
    open_service(path.parent).close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newer(path: Path) -> None:
    open_service(path.parent).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 99")


def older(path: Path) -> None:
    open_service(path.parent).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 1")


def another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table theirs (x)")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (not_a_database, "damaged or not a database"),
        (cut_in_half, "damaged or not a database"),
        (newer, "newer vssync"),
        (older, "older vssync .* move its folder away"),
        (another_program, "another program's database"),
        (a_folder, "is a folder, but must be a file; remove it"),
    ],
)
def test_what_is_not_ours_is_refused_and_left_alone(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    folder.mkdir()
    path = folder / "service.db"
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(LocalDataError, match=rf"service\.db: .*{message}"):
        open_service(folder)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalDataError, match="file"):
        open_service(tmp_path / "file" / "data")


def test_damage_found_later_is_reported(api: Api, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "service.db")) as connection:
        connection.execute("drop table stores")
    error = api.get("/vector_stores", 500)["error"]
    assert (error["code"], error["type"]) == ("local_data_unusable", "server_error")


def test_a_failed_request_leaves_nothing(api: Api, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "service.db")) as connection:
        connection.execute("drop table files")
    api.upload(status=500)
    with closing(sqlite3.connect(folder / "service.db")) as connection:
        assert connection.execute("select count(*) from blobs").fetchone() == (0,)


def test_threads_share_a_service(api: Api) -> None:
    store = api.store()

    def work(number: int) -> None:
        file = api.upload(f"{number}.md", f"text {number % 5}".encode())["id"]
        batch = api.batch(store, file)
        api.get(f"/vector_stores/{store}/file_batches/{batch['id']}")
        if number % 2:
            api.delete(f"/files/{file}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))
    assert api.get(f"/vector_stores/{store}")["file_counts"] == counts(completed=20)
    assert len(api.get("/files")["data"]) == 20


def test_processes_share_a_folder(folder: Path) -> None:
    writers = [writer(folder, 10) for _ in range(3)]
    written = {line for process in writers for line in process.communicate()[0].split()}
    assert [process.returncode for process in writers] == [0, 0, 0]
    with open_service(folder) as service, Api(service) as api:
        assert set(ids(api.get("/files"))) == written
        stores = api.get("/vector_stores")["data"]
        assert [store["file_counts"] for store in stores] == [counts(completed=10)] * 3


@pytest.mark.wide(3)
@pytest.mark.parametrize("after", [1, 4, 9])
def test_kill_loses_nothing_that_was_answered(folder: Path, after: int) -> None:
    with writer(folder, 1000) as process:
        assert process.stdout
        written = [process.stdout.readline().strip() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
    with open_service(folder) as service, Api(service) as api:
        remaining = api.get("/files")["data"]
        assert set(written) <= {file["id"] for file in remaining}
        for file in remaining:
            assert len(api.http.get(f"/files/{file['id']}/content").content) == file["bytes"]
        (store,) = ids(api.get("/vector_stores"))
        assert api.get(f"/vector_stores/{store}")["file_counts"]["in_progress"] == 0
    with closing(sqlite3.connect(folder / "service.db")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("pragma foreign_key_check").fetchone() is None
