"""What the first version wrote is read by every later one, and what a newer one wrote is refused by its version.

The files here were written once, and are not written anew: who changes a format raises its number instead, and adds a
file of the new one.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

from tests.support import ENDPOINT, Clock
from vssync import planfile
from vssync.api.connect import connect
from vssync.errors import VssyncError
from vssync.journal.folder import read_search_capability, remember_search_capability
from vssync.journal.records import UnattachedUpload
from vssync.journal.writer import Journal, read_past
from vssync.local.app import open_service
from vssync.local.errors import LocalDataError
from vssync.local.transport import LocalTransport
from vssync.model.marks import UnreadableMark, parse_mark, parse_stamp, parse_store_mark
from vssync.sources.cache import open_cache

FOLDER = Path(__file__).parent
SCHEMAS = FOLDER.parents[1] / "schemas"
HEX16, HEX64 = "0123456789abcdef", "0123456789abcdef" * 4
FILE_MARKS = [
    f"v1;shelf;{HEX16};{HEX64};{HEX16};{HEX16};u;1;{HEX16};-",
    f"v1;shelf/prod;{HEX16};{HEX64};{HEX16};{HEX16};u;12;{HEX16};{HEX64}.pandoc-3;{HEX16}",
    f"v1;shelf;{HEX16};?{HEX64};{HEX16};{HEX16};a;1;-;-",
    f"v1;shelf;{HEX16};id;{HEX16};{HEX16};d;1;-;-",
    f"v1;shelf;{'0' * 16};?;{'0' * 16};{'0' * 16};u;1;-;-",
]
STORE_MARKS = [f"v1;shelf;docs;{HEX16}", f"v1;shelf/prod;docs;{HEX16};0123456789abcdef", "v1;shelf;docs;adopting"]


def test_marks() -> None:
    assert [str(parse_mark(text)) for text in FILE_MARKS] == FILE_MARKS
    assert [str(parse_store_mark(text)) for text in STORE_MARKS] == STORE_MARKS
    marks = [*map(parse_mark, FILE_MARKS), *map(parse_store_mark, STORE_MARKS)]
    assert [mark for mark in marks if isinstance(mark, UnreadableMark)] == []
    assert {mark.claim[0] for mark in marks if hasattr(mark, "claim")} == {"shelf", "shelf/prod"}
    stamp = "2026-11-29T14:02:00Z;4f2a91c+;eva;run-7"
    assert str(parse_stamp(stamp)) == stamp


def test_a_plan() -> None:
    plan = planfile.load((FOLDER / "plan.json").read_text())
    changes = {change.key: change.action.value for change in plan.stores[0].files}
    assert changes == {"a.md": "replace", "b.md": "delete", "c.md": "create"}


@pytest.mark.parametrize(("name", "schema"), [("report.json", "report"), ("evidence.json.gz", "evidence")])
def test_documents_for_other_programs(name: str, schema: str) -> None:
    """vssync reads none of them: whoever does holds to the schema, which knows one format."""
    data = (FOLDER / name).read_bytes()
    document = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)
    validator = jsonschema.Draft7Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text()))
    validator.validate(document)
    assert [error.json_path for error in validator.iter_errors(document | {"format": 2})] == ["$.format"]


def test_a_journal(tmp_path: Path) -> None:
    state = write_journal(tmp_path, "")
    past = read_past(state)
    assert past.unattached == (
        UnattachedUpload("file-1", "a.md", 14, "aa", 1795968001),
        UnattachedUpload("file-9", "c.md", 3, "cc", 1795968003),
    )
    assert [sent.write.name for sent in past.suspected] == ["b.md"]
    assert [(run.pid, run.host, run.done) for run in past.interrupted] == [(71, "runner", 1)]
    assert past.stores == {"vs_b38abd1fa3b38ccdf33b3da66ce84694": "docs"}


def write_journal(folder: Path, first: str) -> Path:
    state = folder / "state"
    state.mkdir(mode=0o700)
    (state / "journal.jsonl").write_text(first + (FOLDER / "journal.jsonl").read_text())
    return state


def write_database(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "service.db").write_bytes(gzip.decompress((FOLDER / "service.db.gz").read_bytes()))
    return folder


def test_the_database_of_the_local_service(tmp_path: Path) -> None:
    service = open_service(write_database(tmp_path / "local"), create=False)
    client = connect(ENDPOINT, auth=None, clock=Clock(), workers=1, transport=LocalTransport(service))
    (store,) = client.list_stores()
    files = client.list_files(store.id)
    assert sorted(str(file.attributes["vssync_key"]) for file in files) == ["a.md", "b.md"]
    (hit, *_) = client.search_store(store.id, "stop", 3)
    assert hit.attributes["vssync_key"] == "a.md"
    client.close()
    service.close()


def newer_plan(_folder: Path) -> None:
    planfile.load((FOLDER / "plan.json").read_text().replace('"format": 1', '"format": 2', 1))


def newer_journal(folder: Path) -> None:
    read_past(write_journal(folder, '{"format":2}\n'))


def newer_journal_to_write(folder: Path) -> None:
    Journal(write_journal(folder, '{"format":2}\n'))


def newer_database(folder: Path) -> None:
    local = write_database(folder / "local")
    with closing(sqlite3.connect(local / "service.db")) as connection:
        connection.execute("pragma user_version = 99")
    open_service(local)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (
            newer_plan,
            r"The plan file has format 2, and this vssync reads formats up to 1: apply it with",
        ),
        (newer_journal, r"journal.jsonl: has format 2, and this vssync reads format 1: use the vssync that wrote it"),
        (newer_journal_to_write, r"journal.jsonl: has format 2"),
        (newer_database, r"service.db: written by a newer vssync \(data version 99\); use that one"),
    ],
)
def test_a_newer_format_is_refused_by_its_version_and_left_alone(
    tmp_path: Path, read: Callable[[Path], None], said: str
) -> None:
    with pytest.raises((VssyncError, LocalDataError), match=said):
        read(tmp_path)
    for journal in tmp_path.rglob("journal.jsonl"):
        assert re.match(r'\{"format":2', journal.read_text())


def test_a_newer_mark_names_its_version() -> None:
    for mark in (parse_mark(f"v2;shelf;{HEX16};new"), parse_store_mark("v2;shelf;docs;new")):
        assert isinstance(mark, UnreadableMark)
        assert "its mark has version 2, which a newer vssync wrote" in mark.problem
    assert parse_stamp("v2;2026-11-29T14:02:00Z;4f2a91c;eva;run-7") is None


def test_what_only_saves_time_counts_as_not_there_in_another_format(tmp_path: Path) -> None:
    remember_search_capability(tmp_path, reaches=True)
    with closing(sqlite3.connect(tmp_path / "conversions.sqlite")) as database:
        database.execute("create table conversions (digest, text)")
    (learned,) = tmp_path.glob("*.json")
    learned.write_text('{"updates_reach_search": {"files": true}}')
    assert read_search_capability(tmp_path) is None
    with open_cache(tmp_path, cleans=True) as cache:
        cache.put("aa", ".csv", "1", b"a,b")
        assert cache.get("aa", ".csv", "1") is None
