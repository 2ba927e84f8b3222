"""`gc`: what it calls an orphan, what it spares, and what it never touches."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.applier.world import Place, killed, live
from vssync.api.parse import AttachmentEntry
from vssync.errors import ServiceError
from vssync.manifest.placeholders import upload_digest
from vssync.model.state import AUTO

MANIFEST = """\
version: 1
name: tidy
stores:
  docs: {files: [{path: "*.md"}]}
  named:
    filename: ${stem}-${digest}.md
    files: [{path: named/*.md}]
"""
FILES = {"a.md": "# a\n", "named/b.md": "# b\n"}
DAY = 24 * 3600.0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    assert place.apply().converged
    return place


def upload(place: Place, name: str, text: str) -> str:
    with place.work() as work:
        return work.client.upload(io.BytesIO(text.encode()), name).id


def digest_name(place: Place) -> str:
    with place.work() as work:
        (file,) = work.loaded.desired.stores[1].files
        assert upload_digest("tidy", file.sha256) in file.filename
        return file.filename


def found(place: Place, *, suspected: bool = False) -> set[str]:
    return {orphan.file_id for orphan in place.gc(suspected=suspected)}


def test_nothing_is_an_orphan_of_a_store_that_is_right(place: Place) -> None:
    place.clock.now += 2 * DAY
    assert found(place, suspected=True) == set()


def test_a_name_with_our_digest_proves_an_upload_once_it_is_a_day_old(place: Place) -> None:
    ours = upload(place, digest_name(place), "# b\n")
    upload(place, "b-0123456789abcdef.md", "# b\n")
    assert found(place) == set()
    place.clock.now += DAY + 1
    assert found(place) == {ours}


def test_a_name_and_a_size_are_only_a_suspicion(place: Place) -> None:
    alike = upload(place, "a.md", "# b\n")
    upload(place, "a.md", "# longer\n")
    upload(place, "b.md", "# a\n")
    assert found(place, suspected=True) == set()
    place.clock.now += DAY + 1
    assert found(place) == set()
    assert found(place, suspected=True) == {alike}
    with place.work() as work:
        other = work.client.create_store({"name": "somebody's"})
        work.client.attach(other.id, AttachmentEntry(alike, {}, AUTO))
    assert found(place, suspected=True) == set()


def test_what_an_external_store_holds_is_no_orphan(place: Place) -> None:
    """Whether the name or the journal of a dead run says that it is ours; nor is what another environment's holds."""
    place.write({"vssync.yaml": MANIFEST.replace("  named:", "  named:\n    external: true"), "named/c.md": "# c\n"})
    with place.work() as work:
        (named,) = [store for store in work.client.stores() if store.name == "named"]
        work.client.update_store(named.id, {"metadata": {}})
    assert killed(place, lambda seen: seen[-1][0] == "POST" and seen[-1][1].endswith("/file_batches"))
    place.clock.now += 2 * DAY
    assert found(place, suspected=True) == found(place) == set()
    with place.work() as work:
        work.client.update_store(named.id, {"name": "of another environment"})
    assert found(place) == set()


def test_what_a_dead_run_explains_is_not_spared(place: Place) -> None:
    place.write({"c.md": "# c\n"})
    assert killed(place, lambda seen: seen[-1] == ("POST", "/v1/files"))
    (lost,) = live(place).loose
    assert found(place) == set()
    assert found(place, suspected=True) == {lost}
    assert place.gc(suspected=True, delete=True) == ()
    assert live(place).loose == set()


@pytest.mark.parametrize("fault", ["status=403:DELETE:/files/*:1", "short-pages=1:GET:/files only-page:GET:/files"])
def test_what_was_not_deleted_or_not_listed_is_not_forgotten(place: Place, fault: str) -> None:
    for name in ("c.md", "d.md"):
        place.write({name: f"# {name}\n"})
        assert killed(place, lambda seen: seen[-1] == ("POST", "/v1/files"))
    place.gc(suspected=True, delete=True, faults=fault.split())
    (left,) = live(place).loose
    assert found(place, suspected=True) == {left}
    assert place.gc(suspected=True, delete=True) == ()
    assert (live(place).loose, place.past().suspected) == (set(), ())


def test_nothing_is_called_an_orphan_when_a_listing_fails(place: Place) -> None:
    place.write({"c.md": "# c\n", "d.md": "# d\n"})
    assert killed(place, lambda seen: seen.count(("POST", "/v1/files")) == 2)
    from vssync.commands.apply import locked_journal
    from vssync.commands.gc import find_orphans

    faults = ("status=403:GET:/vector_stores/*/files",)
    with place.work(faults=faults) as work, locked_journal(work) as record, pytest.raises(ServiceError):
        find_orphans(work, record)
    assert len(found(place)) == 1
