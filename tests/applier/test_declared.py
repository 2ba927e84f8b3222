"""Files that a store has by their id: no key loses its File to another, no upload goes, and what is gone is known."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.applier.world import Place, live
from vssync.api.parse import AttachmentEntry
from vssync.commands.plan import make_plan_now
from vssync.model.marks import KEY
from vssync.model.plan import Options
from vssync.model.state import AUTO, Limit

SHARING = """\
version: 1
owner: moves
service: {capabilities: {shares_chunks: true}}
stores: {docs: {guards: {max_delete: 100%}, files: [{path: "*.md"}]}}
"""
MANIFEST = "version: 1\nowner: moves\nstores:\n  docs:\n    files:\n"


def declare(place: Place, **ids: str) -> None:
    entries = [f"      - {{file_id: {file_id}, key: {key}.md}}\n" for key, file_id in ids.items()]
    place.write({"vssync.yaml": MANIFEST + "".join(entries)})


@pytest.mark.parametrize("dialect", ["local", "local,takes-files=off"])
def test_keys_exchange_their_files(tmp_path: Path, dialect: str) -> None:
    place = Place(tmp_path)
    place.provider = dialect
    declare(place, x="file-none")
    with place.work() as work:
        a, b, c = (work.client.upload_file(io.BytesIO(text), "any.md").id for text in (b"# a", b"# b", b"# c"))
    for declared in ({"x": a, "y": b}, {"x": b, "y": a}, {"z": a, "x": b}, {"x": c, "y": b, "z": a}, {"x": a, "y": c}):
        declare(place, **declared)
        for _ in range(2):  # a key that gets a new File keeps its old one until then
            place.apply()
        assert place.plan().empty
        held = {str(file.attributes[KEY]): file.id for file in live(place).stores["docs"]}
        assert held == {f"{key}.md": file_id for key, file_id in declared.items()}
    assert {upload.id for upload in live(place).uploads} == {a, b, c}


def test_an_upload_that_is_declared_now_only_gets_another_mark(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST + "      - path: x.md\n", "x.md": "# x\n"})
    place.apply()
    (upload,) = live(place).uploads
    declare(place, x=upload.id)
    place.apply()
    assert place.plan().empty
    place.write({"vssync.yaml": "version: 1\nowner: moves\nstores: {docs: {files: []}}\n"})
    place.apply(options=Options(max_delete=Limit()))
    assert (live(place).uploads, live(place).stores) == ((upload,), {"docs": ()})


@pytest.mark.parametrize(
    ("faults", "exists", "action"),
    [
        ([], False, "refuse"),
        (["status=404:GET:/files/*"], True, "create"),  # the list has it, so the 404 says nothing
        (["status=404:GET:/files/*", "status=404:GET:/files"], False, "create"),
        (["status=403:GET:/files/*"], False, "create"),
    ],
)
def test_only_who_may_read_files_knows_that_one_is_gone(
    tmp_path: Path, faults: list[str], *, exists: bool, action: str
) -> None:
    place, file_id = Place(tmp_path), "file-none"
    declare(place, x=file_id)
    if exists:
        with place.work() as work:
            file_id = work.client.upload_file(io.BytesIO(b"# x"), "x.md").id
        declare(place, x=file_id)
    with place.work(faults=faults) as work:
        (store,) = make_plan_now(work, Options()).stores
    assert [change.action for change in store.files] == [action]


@pytest.mark.parametrize(
    ("fault", "options", "action"),
    [
        ("status=403:GET:/files/*", Options(), "refuse"),
        ("status=500:GET:/files/*/content", Options(), "refuse"),
        ("status=403:GET:/files/*", Options(allow_gap=True), "delete"),
    ],
)
def test_what_cannot_be_read_counts_as_equal(tmp_path: Path, fault: str, options: Options, action: str) -> None:
    place = Place(tmp_path)
    place.write({"vssync.yaml": SHARING, "x.md": "# x\n", "y.md": "# y\n"})
    place.apply()
    with place.work() as work:
        upload = work.client.upload_file(io.BytesIO(b"# X\n"), "theirs.md")
        (store_id,) = (each.id for each in work.client.list_stores())
        work.client.attach_file(store_id, AttachmentEntry(upload.id, {}, AUTO))
    (place.docs / "x.md").unlink()
    with place.work(faults=[fault]) as work:
        (planned,) = make_plan_now(work, options).stores
    assert [change.action for change in planned.files] == [action]
    assert ("--allow-gap" in planned.files[0].detail) is (action == "refuse")
