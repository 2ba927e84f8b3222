"""A state folder that is not safe, or a disk that takes no more: nothing is sent that could not be recorded."""

from __future__ import annotations

import errno
import os
import resource
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.applier.world import Place, live
from tests.journal.test_writer import FILES, MANIFEST
from tests.support import ENDPOINT
from vssync.errors import UsageProblem, VssyncError
from vssync.journal.records import Operation, Write
from vssync.journal.writer import Journal, read_past
from vssync.model.report import Status


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


def test_a_state_folder_in_the_checkout_or_open_to_others_is_not_used(place: Place) -> None:
    place.apply()
    (own,) = place.state.iterdir()
    own.chmod(0o777)
    with pytest.raises(VssyncError, match="others may write to this state folder"):
        place.apply()
    with pytest.raises(UsageProblem, match="lies in the manifest's checkout"):
        Inside(place.base).apply()


class Inside(Place):
    """A place whose state folder is part of the checkout."""

    @property
    def state(self) -> Path:
        return self.docs / "state"


@pytest.mark.parametrize("room", range(900, 1010, 10))  # a torn line, or a whole one
def test_a_disk_that_takes_no_more_is_said_and_what_it_took_is_read(tmp_path: Path, room: int) -> None:
    """The system's own refusal, not ours."""
    record = Journal(tmp_path / "state", now=lambda: 1795282344.5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    sent: list[str] = []

    def send() -> None:
        with record.around(Write(Operation.UPLOAD, name=f"{len(sent)}.md")) as record_id:
            sent.append(f"file-{len(sent)}")
            record_id(sent[-1])
        send()

    try:
        with pytest.raises(VssyncError, match="File too large; make room"):
            send()
        record.end()
        record.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    past = read_past(tmp_path / "state")
    assert len(sent) > 3
    assert len(past.unattached) + len(past.suspected) in (
        len(sent),
        len(sent) + 1,
    )  # or one whose line came, and was not sent
    Journal(tmp_path / "state").close()


def test_a_full_disk_ends_the_run_before_the_next_write_and_it_can_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.endpoint = replace(ENDPOINT, embedded=False)  # for the service inside vssync nothing is flushed
    real, room = os.fsync, iter(range(4))  # two to open the journal, then a line a write

    def fsync(handle: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    report = place.apply()
    assert not report.converged
    assert any("No space left on device; make room" in outcome.detail for outcome in report.outcomes)
    statuses = {outcome.status for outcome in report.outcomes if outcome.key}
    assert Status.FAILED in statuses
    assert statuses <= {Status.FAILED, Status.SKIPPED}
    monkeypatch.setattr(os, "fsync", real)
    assert place.apply().converged
    assert list(place.plan().changes()) == []


def test_a_file_system_that_flushes_no_folders_is_no_reason_not_to_apply(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    assert place.apply().converged


def test_a_state_folder_anywhere_in_the_checkout_is_refused(place: Place) -> None:
    (place.base / ".git").mkdir()
    with pytest.raises(UsageProblem, match="lies in the manifest's checkout"):
        place.apply()
    assert not place.state.exists()


def test_a_state_folder_that_cannot_be_written_stops_everything(place: Place) -> None:
    place.state.write_text("a file where the folder belongs")
    with pytest.raises(VssyncError, match="VSSYNC_STATE_DIR"):
        place.apply()
    assert live(place).stores == {}
