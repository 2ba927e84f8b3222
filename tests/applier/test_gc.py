"""`gc`: what it calls an orphan, what it spares, and what it never touches."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.applier.world import Place, killed, live
from tests.cli.test_commands import vssync
from vssync.api.parse import AttachmentEntry
from vssync.errors import ServiceError
from vssync.local.app import open_service
from vssync.local.faults.rules import with_faults
from vssync.local.server import serving
from vssync.manifest.placeholders import upload_digest
from vssync.model.state import AUTO

MANIFEST = """\
version: 1
owner: tidy
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
        return work.client.upload_file(io.BytesIO(text.encode()), name).id


def digest_name(place: Place) -> str:
    with place.work() as work:
        (file,) = work.loaded.desired.stores[1].files
        assert upload_digest("tidy", file.sha256) in file.filename
        return file.filename


def orphans(place: Place, *, suspected: bool = False) -> set[str]:
    return {orphan.file_id for orphan in place.gc(suspected=suspected)}


@pytest.mark.parametrize("provider", ["local", "local,late-stores=99999999"])
def test_nothing_is_an_orphan_of_a_store_that_is_right(place: Place, provider: str) -> None:
    """Nor of one that is not listed, and that this machine made."""
    place.provider = provider
    place.clock.now += 2 * DAY
    assert orphans(place, suspected=True) == set()


def test_a_name_with_our_digest_proves_an_upload_once_it_is_a_day_old(place: Place) -> None:
    ours = upload(place, digest_name(place), "# b\n")
    upload(place, "b-0123456789abcdef.md", "# b\n")
    assert orphans(place) == set()
    place.clock.now += DAY + 1
    assert orphans(place) == {ours}


def test_a_name_and_a_size_are_only_a_suspicion(place: Place) -> None:
    alike = upload(place, "a.md", "# b\n")
    upload(place, "a.md", "# longer\n")
    upload(place, "b.md", "# a\n")
    assert orphans(place, suspected=True) == set()
    place.clock.now += DAY + 1
    assert orphans(place) == set()
    assert orphans(place, suspected=True) == {alike}
    with place.work() as work:
        other = work.client.create_store({"name": "somebody's"})
        work.client.attach_file(other.id, AttachmentEntry(alike, {}, AUTO))
    assert orphans(place, suspected=True) == set()


def test_what_an_external_store_holds_is_no_orphan(place: Place) -> None:
    """Whether the name or the journal of a dead run says that it is ours; nor is what another environment's holds."""
    place.write({"vssync.yaml": MANIFEST.replace("  named:", "  named:\n    external: true"), "named/c.md": "# c\n"})
    with place.work() as work:
        (named,) = [store for store in work.client.list_stores() if store.name == "named"]
        work.client.update_store(named.id, {"metadata": {}})
    assert killed(place, lambda seen: seen[-1][0] == "POST" and seen[-1][1].endswith("/file_batches"))
    place.clock.now += 2 * DAY
    assert orphans(place, suspected=True) == orphans(place) == set()
    with place.work() as work:
        work.client.update_store(named.id, {"name": "of another environment"})
    assert orphans(place) == set()


def attached(place: Place, file_id: str, *, others: int = 0) -> str:
    """A colleague's store, of no owner, that holds an upload of ours behind so many files of its own."""
    with place.work() as work:
        store = work.client.create_store({"name": "a colleague's"})
        for number in range(others):
            with (place.docs / "a.md").open("rb") as handle:
                own = work.client.upload_file(handle, f"{number}.txt").id
            work.client.attach_file(store.id, AttachmentEntry(own, {}, AUTO))
        work.client.attach_file(store.id, AttachmentEntry(file_id, {}, AUTO))
        return store.id


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("others", "faults"),
    [
        (0, []),
        (1, ["short-pages=1"]),
        (1, ["short-pages=1:GET:/vector_stores/*/files", "only-page:GET:/vector_stores/*/files"]),
        (2, ["short-pages=1:GET:/vector_stores/*/files", "only-page:GET:/vector_stores/*/files"]),
    ],
)
@pytest.mark.parametrize("suspected", [False, True])
def test_what_a_colleague_attached_is_no_orphan(
    place: Place, others: int, faults: list[str], *, suspected: bool
) -> None:
    """Though the journal of a failed run proves it ours, and though the store's list is short."""
    place.write({"c.md": "# c\n", "d.md": "# d\n"})
    assert killed(place, lambda seen: seen.count(("POST", "/v1/files")) == 2)
    (lent,) = orphans(place)
    store = attached(place, lent, others=others)
    loose = live(place).loose  # of the upload whose answer never came
    assert place.gc(suspected=suspected, delete=True, faults=faults) == ()
    assert live(place).loose == (set() if suspected else loose)
    with place.work() as work:
        assert lent in {file.id for file in work.client.list_files(store)}
        assert work.client.get_upload(lent).size == 4


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_colleagues_store_that_cannot_be_listed_may_hold_anything(place: Place, status: int) -> None:
    """Whichever of our uploads the journal or a name proves: all stay, and are found once it can be listed."""
    place.write({"c.md": "# c\n", "d.md": "# d\n"})
    assert killed(place, lambda seen: seen.count(("POST", "/v1/files")) == 2)
    with place.work() as work:
        store = work.client.create_store({"name": "a colleague's"}).id
    before = live(place)
    message = rf"^a colleague's \({store}\): its files cannot be listed.* none is deleted"
    with pytest.raises(ServiceError, match=message):
        place.gc(delete=True, faults=[f"status={status}:GET:/vector_stores/{store}/files"])
    assert live(place) == before
    assert len(orphans(place)) == 1


@contextmanager
def service_with(folder: Path, *faults: str) -> Iterator[httpx.Client]:
    """A client of a service that works; the folder's manifest has a.md, and reaches the service with these faults."""
    (folder / "a.md").write_text("# a\n")
    with ExitStack() as stack:
        service = stack.enter_context(open_service(folder / "live"))
        url, right = (stack.enter_context(serving(app)) for app in (with_faults(service, faults), service))
        (folder / "vssync.yaml").write_text(
            f"version: 1\nowner: tidy\nservice: {{provider: local, data_url: '{url}'}}\n"
            "stores: {docs: {files: [{path: a.md}]}}\n"
        )
        yield stack.enter_context(httpx.Client(base_url=right, timeout=60))


def test_the_program_deletes_no_upload_of_a_failed_run_that_a_colleague_attached(tmp_path: Path) -> None:
    with service_with(tmp_path, "status=400:POST:/vector_stores/*/file*", "status=403:DELETE:/files/*:1-2") as http:
        assert vssync(tmp_path, "apply", "--yes").code == 4
        (upload,) = (file["id"] for file in http.get("/files").json()["data"])
        assert f"{upload}  a.md" in vssync(tmp_path, "gc").out
        store = http.post("/vector_stores", json={"name": "a colleague's"}).json()["id"]
        http.post(f"/vector_stores/{store}/files", json={"file_id": upload})
        end = vssync(tmp_path, "gc", "--yes")
        assert (end.code, end.out) == (0, "0 orphans deleted, 0 left.\n")
        assert http.get(f"/files/{upload}").status_code == 200


def test_an_apply_names_orphans_whether_or_not_it_changes_anything(tmp_path: Path) -> None:
    line = "Orphans: 1 upload that no store lists. See `vssync gc`.\n"
    with service_with(tmp_path, "status=403:DELETE:/files/*"):
        assert vssync(tmp_path, "apply", "--yes").code == 0
        (tmp_path / "a.md").write_text("# edited\n")
        changed, unchanged = (vssync(tmp_path, "apply", "--yes") for _ in range(2))
        assert (changed.code, unchanged.code, line in changed.out) == (0, 0, True)
        assert unchanged.out.endswith(f"match the manifest.\n\n{line}".replace("match", "matches"))
        assert "Orphans" not in vssync(tmp_path, "apply", "--quiet").out
        document = json.loads(vssync(tmp_path, "apply", "--format", "json").out)
        assert [orphan["suspected"] for orphan in document["orphans"]] == [False]


def test_uploads_without_an_answer_are_named_until_they_are_looked_for(tmp_path: Path) -> None:
    """They stay after an apply that ends well, and only names and sizes tell whose they are."""
    with service_with(tmp_path, "not-json:POST:/files:1-5") as http:
        assert [vssync(tmp_path, "apply", "--yes").code for _ in range(2)] == [4, 0]
        lost = len(http.get("/files").json()["data"]) - 1
        named = f"{lost} uploads got no answer and may exist: `vssync gc --suspected` looks for them.\n"
        assert vssync(tmp_path, "gc", "--yes").out == f"{named}0 orphans deleted, 0 left.\n"
        assert vssync(tmp_path, "gc", "--suspected", "--yes").out == f"{lost} orphans deleted, 0 left.\n"
        assert vssync(tmp_path, "gc").out == "0 orphans.\n"
        assert len(http.get("/files").json()["data"]) == 1


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 upload under a day old is left alone"), (2, "2 uploads .* are left alone, the last")]
)
def test_young_uploads_are_counted_until_they_come_of_age(tmp_path: Path, count: int, words: str) -> None:
    with service_with(tmp_path) as http:
        assert vssync(tmp_path, "apply", "--yes").code == 0  # an upload that a store holds is not counted
        form: dict[str, Any] = {"files": {"file": ("a.md", b"# b\n")}, "data": {"purpose": "assistants"}}
        made = [http.post("/files", **form).json()["created_at"] for _ in range(count)]
        assert vssync(tmp_path, "gc").out == "0 orphans.\n"
        end = vssync(tmp_path, "gc", "--suspected")
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(max(made) + DAY))
        assert re.fullmatch(rf"{words}.* until {until}\.\n0 orphans\.\n", end.out)
        document = json.loads(vssync(tmp_path, "gc", "--suspected", "--yes", "--format", "json").out)
        assert (document["young"], document["young_until"], document["deleted"]) == (count, max(made) + DAY, 0)


def test_what_a_dead_run_explains_is_not_spared(place: Place) -> None:
    place.write({"c.md": "# c\n"})
    assert killed(place, lambda seen: seen[-1] == ("POST", "/v1/files"))
    (lost,) = live(place).loose
    assert orphans(place) == set()
    assert orphans(place, suspected=True) == {lost}
    assert place.gc(suspected=True, delete=True) == ()
    assert live(place).loose == set()


@pytest.mark.wide(2)
@pytest.mark.parametrize("fault", ["status=403:DELETE:/files/*:1", "short-pages=1:GET:/files only-page:GET:/files"])
def test_what_was_not_deleted_or_not_listed_is_not_forgotten(place: Place, fault: str) -> None:
    for name in ("c.md", "d.md"):
        place.write({name: f"# {name}\n"})
        assert killed(place, lambda seen: seen[-1] == ("POST", "/v1/files"))
    place.gc(suspected=True, delete=True, faults=fault.split())
    (left,) = live(place).loose
    assert orphans(place, suspected=True) == {left}
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
    assert len(orphans(place)) == 1
