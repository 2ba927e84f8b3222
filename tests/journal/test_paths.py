"""Where the state folder lies when nobody names one."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from vssync.endpoints import Caller, resolve_endpoint
from vssync.errors import UsageProblem, VssyncError
from vssync.journal.folder import exclusive_lock, journal_folder
from vssync.journal.writer import Journal, read_past
from vssync.model.service import ServiceSpec


def test_a_home_that_is_a_checkout_is_no_place_for_it_and_one_without_git_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    endpoint = resolve_endpoint(ServiceSpec("local"), Caller(), {})
    assert journal_folder(endpoint, "kb", tmp_path, tmp_path, {}).is_relative_to(tmp_path)
    (tmp_path / ".git").mkdir()
    with pytest.raises(UsageProblem, match=r"this state folder lies in the manifest's checkout.*VSSYNC_STATE_DIR"):
        journal_folder(endpoint, "kb", tmp_path, tmp_path, {})


@pytest.mark.parametrize("environment", [{}, {"VSSYNC_STATE_DIR": "~/state"}, {"VSSYNC_STATE_DIR": "~nobody-x/state"}])
def test_a_user_without_a_home_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for variable in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    endpoint = resolve_endpoint(ServiceSpec("local"), Caller(), {})
    with pytest.raises(UsageProblem, match="VSSYNC_STATE_DIR"):
        journal_folder(endpoint, "kb", tmp_path, tmp_path, environment)


def test_a_folder_of_any_name_has_a_state_folder(tmp_path: Path) -> None:
    endpoint = resolve_endpoint(ServiceSpec("local"), Caller(), {})
    names = [tmp_path / os.fsdecode(name) for name in (b"\xff", b"\xfe", "größe".encode())]
    assert len({journal_folder(endpoint, "kb", name, name, {"VSSYNC_STATE_DIR": "/state"}) for name in names}) == 3


@pytest.mark.parametrize("linked", ["state", "state/below"])
def test_a_link_does_not_lead_a_state_folder_out_of_the_checkout(tmp_path: Path, linked: str) -> None:
    """The checkout may have brought the link; where its user keeps links elsewhere is the user's own affair."""
    checkout, outside = tmp_path / "checkout", tmp_path / "outside"
    (checkout / linked).parent.mkdir(parents=True)
    outside.mkdir()
    (checkout / linked).symlink_to(outside)
    (tmp_path / "own").symlink_to(outside)
    endpoint = resolve_endpoint(ServiceSpec("local"), Caller(), {})
    with pytest.raises(UsageProblem, match="lies in the manifest's checkout"):
        journal_folder(endpoint, "kb", checkout, checkout, {"VSSYNC_STATE_DIR": str(checkout / linked)})
    folder = journal_folder(endpoint, "kb", checkout, checkout, {"VSSYNC_STATE_DIR": str(tmp_path / "own")})
    with exclusive_lock(folder):
        Journal(folder).close()
    assert read_past(folder).interrupted == ()


def fifo(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def folder(path: Path, _victim: Path) -> None:
    path.mkdir()


FILES = ["lock", "holder.json", "journal.jsonl", "journal.new"]


@pytest.mark.parametrize("use", [read_past, Journal, lambda folder: exclusive_lock(folder).__enter__()])
@pytest.mark.parametrize(
    ("name", "plant", "found"),
    [
        *((name, *kind) for name in FILES for kind in ((fifo, "a FIFO"), (link, "a link"), (folder, "a folder"))),
        *(("", *kind) for kind in ((fifo, "a FIFO"), (link, "a link"))),
    ],
)
def test_a_state_folder_holds_files_of_its_own_only(
    tmp_path: Path, name: str, plant: Callable[[Path, Path], None], found: str, use: Callable[[Path], object]
) -> None:
    """It is read without waiting for anybody, and nothing is written elsewhere."""
    victim, state = tmp_path / "victim", tmp_path / "state" / "kb-1"
    victim.mkdir()
    (state / name).parent.mkdir(parents=True, mode=0o700)
    plant(state / name, victim)
    with pytest.raises(VssyncError) as raised:
        use(state)
    wanted = "a file" if name else "a folder"
    assert str(raised.value) == f"{state / name}: is {found}, but must be {wanted}; remove it"
    assert list(victim.iterdir()) == []
