"""What lies where the data belongs: a checkout may bring links, devices and journals, and they do nothing."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local.client import Api
from vssync.local.app import open_service
from vssync.local.errors import LocalDataError

VICTIM = "precious\n"
PAGE = 4096
MAGIC = bytes.fromhex("d9d505f920a163d7")


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def link_to_nothing(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("created"))


def link_to_a_device(path: Path, _victim: Path) -> None:
    path.symlink_to("/dev/null")


def folder(path: Path, _victim: Path) -> None:
    path.mkdir()


def fifo(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path, _victim: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    folder_before = os.getcwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        listening.bind(path.name)
    finally:
        os.chdir(folder_before)
        listening.close()


def device(path: Path, _victim: Path) -> None:
    try:
        os.mknod(path, 0o020666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def file(path: Path, _victim: Path) -> None:
    path.write_text("in the way")


Plant = Callable[[Path, Path], None]
NO_FILE = [
    (link, "a link"),
    (link_to_nothing, "a link"),
    (link_to_a_device, "a link"),
    (folder, "a folder"),
    (fifo, "a FIFO"),
    (unix_socket, "a socket"),
    (device, "a device"),
]
NO_FOLDER = [(plant, found) for plant, found in NO_FILE if found != "a folder"]
PLACES = [
    *((f".vssync/local/service.db{suffix}", *kind) for suffix in ("", "-wal", "-shm", "-journal") for kind in NO_FILE),
    *((name, *kind) for name in (".vssync", ".vssync/local") for kind in (*NO_FOLDER, (file, "a file"))),
]
NAMED = [pytest.param(*row, id=f"{row[0]}-{row[1].__name__}") for row in PLACES]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "victim").write_text(VICTIM)
    (tmp_path / "checkout").mkdir()
    return tmp_path / "checkout"


def unharmed(checkout: Path) -> bool:
    outside = checkout.parent
    return (outside / "victim").read_text() == VICTIM and {path.name for path in outside.iterdir()} == {
        "victim",
        "checkout",
    }


@pytest.mark.parametrize("create", [False, True], ids=["reading", "creating"])
@pytest.mark.parametrize(("name", "plant", "found"), NAMED)
def test_anything_else_in_its_place_is_named_and_left(
    checkout: Path, create: bool, name: str, plant: Plant, found: str
) -> None:
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    plant(checkout / name, checkout.parent / "victim")
    with pytest.raises(LocalDataError) as raised:
        open_service(checkout / ".vssync/local", create=create)
    wanted = "a file" if "service.db" in name else "a folder"
    assert str(raised.value) == (f"{checkout / name}: is {found}, but must be {wanted}; remove it")
    assert unharmed(checkout)


@pytest.mark.parametrize("name", ["service.db", "service.db-wal", "service.db-shm", "service.db-journal"])
def test_a_second_name_of_a_file_is_refused(checkout: Path, name: str) -> None:
    """It may be another project's database, and SQLite damages one that it opens by two names."""
    data = checkout / ".vssync/local"
    data.mkdir(parents=True)
    (data / name).hardlink_to(checkout.parent / "victim")
    with pytest.raises(LocalDataError) as raised:
        open_service(data)
    assert str(raised.value) == f"{data / name}: has a second name (a hard link); put a copy in its place"
    assert unharmed(checkout)


@pytest.mark.parametrize("name", ["service.db", "service.db-wal"])
def test_what_is_put_there_later_is_refused_too(checkout: Path, name: str) -> None:
    data = checkout / ".vssync/local"
    with open_service(data, create=False) as service, Api(service) as api:
        data.mkdir(parents=True)
        (data / name).symlink_to(checkout.parent / "victim")
        assert "is a link" in api.upload(status=500)["error"]["message"]
    assert unharmed(checkout)


@pytest.mark.parametrize("linked", ["checkout", "data"])
def test_a_link_above_the_checkout_or_to_a_folder_of_the_users_own_is_followed(tmp_path: Path, linked: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / linked).symlink_to("real")
    below = tmp_path / linked / (".vssync/local" if linked == "checkout" else "")
    with open_service(below) as service, Api(service) as api:
        api.upload()
    assert list((tmp_path / "real").rglob("service.db"))


def naming(victim: Path, database: bytes) -> bytes:
    """A rollback journal that puts page 1 back as it is, and names a super-journal, which SQLite then deletes."""
    page, nonce, name = database[:PAGE], 7, os.fsencode(victim)
    head = MAGIC + struct.pack(">IIIII", 1, nonce, len(database) // PAGE, 512, PAGE)
    check = nonce + sum(page[at] for at in range(PAGE - 200, 0, -200))
    super_journal = struct.pack(">I", (1 << 30) // PAGE + 1) + name + struct.pack(">II", len(name), sum(name)) + MAGIC
    return head.ljust(512, b"\0") + struct.pack(">I", 1) + page + struct.pack(">I", check) + super_journal


def test_a_journal_deletes_nothing(checkout: Path) -> None:
    data = checkout / ".vssync/local"
    open_service(data).close()
    journal = data / "service.db-journal"
    journal.write_bytes(naming(checkout.parent / "victim", (data / "service.db").read_bytes()))
    with pytest.raises(LocalDataError, match=r"service\.db-journal: names another file, which SQLite would delete"):
        open_service(data)
    assert unharmed(checkout)


@pytest.mark.parametrize("left", [b"", b"\0" * 512, MAGIC[:-1]])
def test_a_journal_that_names_nothing_is_no_trouble(checkout: Path, left: bytes) -> None:
    data = checkout / ".vssync/local"
    data.mkdir(parents=True)
    (data / "service.db-journal").write_bytes(left)
    with open_service(data) as service, Api(service) as api:
        api.store("a.md")


def test_reading_creates_nothing_and_the_first_write_does(checkout: Path) -> None:
    data = checkout / ".vssync/local"
    with open_service(data, create=False) as service, Api(service) as api:
        assert api.get("/files")["data"] == api.get("/vector_stores")["data"] == []
        api.get("/vector_stores/vs_1", 404)
        assert list(checkout.iterdir()) == []
        file_id = api.upload()["id"]
        assert [row["id"] for row in api.get("/files")["data"]] == [file_id]


def test_what_another_process_writes_meanwhile_is_seen(checkout: Path) -> None:
    data = checkout / ".vssync/local"
    with open_service(data, create=False) as service, Api(service) as api:
        assert api.get("/files")["data"] == []
        with open_service(data) as other, Api(other) as elsewhere:
            file_id = elsewhere.upload()["id"]
        assert [row["id"] for row in api.get("/files")["data"]] == [file_id]


def test_one_that_was_closed_creates_nothing(checkout: Path) -> None:
    service = open_service(checkout / ".vssync/local", create=False)
    service.close()
    with Api(service) as api:
        assert "is closed" in api.upload(status=500)["error"]["message"]
        assert "is closed" in api.get("/files", 500)["error"]["message"]
    assert list(checkout.iterdir()) == []
