"""One upload for several stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import OWNER, desired_file, desired_store, live_copy, live_store, plan, with_mark
from vssync.model.marks import Origin
from vssync.model.state import Contents, DesiredFile, FileStatus, LiveFile

A = desired_file()


def reused(copies: list[LiveFile], files: tuple[DesiredFile, ...] = (A,), **options: Any) -> list[str]:
    """What a new store reuses of a store that holds A under the File id f1."""
    first, second = desired_store(A, key="first"), desired_store(*files, key="second")
    made = plan((first, second), [(live_store(first), Contents(tuple(copies)))], **options)
    return [change.reuse for change in made.stores[1].files]


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        ([live_copy()], "f1"),
        ([live_copy(), live_copy(id="f2", at=9_950)], "f2"),
        ([live_copy(tries=2)], "f1"),
        ([live_copy(status=FileStatus.IN_PROGRESS)], ""),
        ([live_copy(desired_file(content="B"))], ""),
        ([live_copy(origin=Origin.ADOPTED)], ""),
        ([with_mark(live_copy(), content=desired_file().presumed_content)], ""),
        ([live_copy(owner="kb/dev")], ""),
        ([], ""),
    ],
)
def test_only_a_completed_upload_of_ours_that_stays_is_reused(copies: list[LiveFile], expected: str) -> None:
    assert reused(copies) == [expected]


def test_one_file_is_attached_once_per_store() -> None:
    assert reused([live_copy()], (A, replace(A, key="b.md"))) == ["f1", ""]


def test_a_file_that_is_declared_for_one_key_is_not_reused_for_another() -> None:
    assert reused([live_copy()], (A, replace(A, key="b.md", sha256="", file_id="f1"))) == ["", ""]


def test_another_upload_name_needs_another_upload() -> None:
    assert reused([live_copy()], (replace(A, filename="other.md"),)) == [""]


def test_a_copy_that_is_replaced_on_request_is_not_reused() -> None:
    assert reused([live_copy()], replace=("first",)) == [""]


def test_a_file_of_the_same_store_is_never_reused() -> None:
    store = desired_store(A, replace(A, key="b.md"))
    made = plan(store, [(live_store(store), Contents((live_copy(),)))])
    assert [change.reuse for change in made.stores[0].files] == [""]
    assert made.owner == OWNER
