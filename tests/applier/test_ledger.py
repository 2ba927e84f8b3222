"""The ledger of uploads: the states an upload goes through, what a report names of them, who may take which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.applier.world import Place, live
from vssync.applier.ledger import UploadLedger, upload_identity
from vssync.journal.records import UnattachedUpload
from vssync.model.state import DesiredFile

FILE = DesiredFile(key="a.md", path="a.md", filename="a.md", attributes={}, size=3, sha256="ab")
Move = Callable[[UploadLedger], object]


def loose(ledger: UploadLedger) -> None:
    ledger.record_loose("file-1", "loose")


def attached(ledger: UploadLedger) -> None:
    ledger.record_attached(["file-1"])


def trash(ledger: UploadLedger) -> None:
    ledger.schedule_delete("file-1", "trash")


def closed(ledger: UploadLedger) -> None:
    ledger.record_closed("file-1")


@pytest.mark.parametrize(
    ("moves", "named", "deleted"),
    [
        ((loose,), ["loose"], False),
        ((loose, attached), [], False),
        ((loose, attached, loose), ["loose"], False),  # taken out to be attached again
        ((loose, trash), ["trash"], True),
        ((attached, trash), ["trash"], True),
        ((trash, attached), ["trash"], True),  # another store took it meanwhile: the listing at the end decides
        ((trash, loose), ["trash"], True),
        ((loose, closed), [], False),
        ((trash, closed), [], False),
        ((trash, closed, trash, attached), [], False),
    ],
)
def test_an_upload_is_in_one_state(moves: tuple[Move, ...], named: list[str], deleted: bool) -> None:
    ledger = UploadLedger()
    for move in moves:
        move(ledger)
    assert [orphan.detail for orphan in ledger.orphans()] == named
    assert list(ledger.pending_deletes()) == ["file-1"] * deleted
    assert ledger.is_known("file-1")


def uncertain(ledger: UploadLedger) -> None:
    ledger.record_uncertain(["file-1"])


@pytest.mark.parametrize(
    ("moves", "named"),
    [
        ((loose,), [("loose", False)]),  # it is new, and nothing was sent of it
        ((loose, uncertain), [("loose, as far as is known", True)]),  # sent to be attached, or taken out of one store
        ((loose, uncertain, attached), []),
        ((trash,), [("trash, as far as is known", True)]),  # another store may hold it, too
        ((attached, trash), [("trash, as far as is known", True)]),
        ((trash, closed), []),
    ],
)
def test_an_interrupted_run_says_what_it_does_not_know(moves: tuple[Move, ...], named: list[tuple[str, bool]]) -> None:
    ledger = UploadLedger()
    for move in moves:
        move(ledger)
    assert [(orphan.detail, orphan.suspected) for orphan in ledger.orphans(interrupted=True)] == named
    assert not any(orphan.suspected for orphan in ledger.orphans())


@pytest.mark.parametrize(("usable", "taken", "left"), [("file-1", "file-1", ["file-2"]), ("", "new", [])])
def test_a_spare_is_taken_when_it_is_still_usable(usable: str, taken: str, left: list[str]) -> None:
    ledger = UploadLedger()
    spares = [UnattachedUpload(file_id, "a.md", 3, "ab", 0) for file_id in ("file-1", "file-2")]
    ledger.open("kb", spares, ())
    assert ledger.obtain("vs_1", FILE, usable.__eq__, lambda: "new") == (taken, True)
    assert [orphan.file_id for orphan in ledger.orphans()] == [taken, *left]


def test_an_upload_is_shared_by_stores_and_given_to_none_twice() -> None:
    ledger, sent = UploadLedger(), iter(["file-1", "file-2", "file-3"])
    ledger.open("kb", (), [upload_identity(FILE)])

    def obtain(store_id: str) -> tuple[str, bool]:
        return ledger.obtain(store_id, FILE, lambda _: True, lambda: next(sent))

    assert [obtain(store_id) for store_id in ("vs_1", "vs_2", "vs_2", "vs_3")] == [
        ("file-1", True),
        ("file-1", False),
        ("file-2", True),
        ("file-1", False),
    ]
    assert [ledger.withdraw("file-1", FILE) for _ in range(2)] == [False, False]
    assert (obtain("vs_4"), ledger.withdraw("file-2", FILE)) == (("file-2", False), False)
    assert (obtain("vs_5"), ledger.withdraw("file-3", FILE)) == (("file-3", True), True)


@pytest.mark.wide(2)
@pytest.mark.parametrize("refused", ["1", "2", "3", "2-3", "1-2"])
def test_an_upload_that_a_store_took_outlives_the_refusals_of_others(tmp_path: Path, refused: str) -> None:
    place = Place(tmp_path)
    stores = "".join(f"  {name}: {{files: [{{path: '*.md'}}]}}\n" for name in ("one", "two", "three"))
    place.write({"vssync.yaml": f"version: 1\nowner: shared\nstores:\n{stores}", "a.md": "# a\n"})
    report = place.apply(faults=(f"status=422:POST:/vector_stores/*/file_batches:{refused}",))
    failed = len(refused.replace("-", ""))
    assert sum(outcome.status == "failed" for outcome in report.outcomes) == failed
    assert sorted(len(files) for files in live(place).stores.values()) == [0] * failed + [1] * (3 - failed)
    assert live(place).loose == set()
    assert place.apply().converged
