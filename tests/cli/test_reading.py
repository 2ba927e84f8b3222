"""Commands that only read leave a checkout and its service as they found them: there is none until one writes."""

from __future__ import annotations

import errno
import io
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.test_commands import vssync
from tests.simulation.truth import read_state
from tests.support import ENDPOINT, Clock
from vssync.api.connect import connect
from vssync.cli.main import cli
from vssync.errors import Refused, VssyncError
from vssync.local.app import open_service
from vssync.local.transport import LocalTransport

MANIFEST = "version: 1\nowner: kb\nstores: {docs: {files: [{path: '*.md'}]}}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout/vssync.yaml").write_text(MANIFEST)
    (tmp_path / "checkout/a.md").write_text("text\n")
    return tmp_path / "checkout"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["validate"], 0),
        (["render"], 0),
        (["plan"], 0),
        (["plan", "--against", "HEAD"], 1),
        (["plan", "--out", "../plan.json", "--detailed-exitcode"], 2),
        (["status"], 0),
        (["status", "docs/a.md"], 0),
        (["search", "text"], 1),
        (["batches"], 0),
        (["cancel", "batch_1"], 1),
        (["output"], 1),
        (["gc"], 0),
        (["gc", "--yes"], 0),
        (["doctor"], 0),
        (["dump", "--store", "docs"], 64),
        (["dump", "--provider", "local", "--store", "docs"], 64),
        (["apply"], 3),
        (["destroy", "--confirm", "kb"], 0),
    ],
)
def test_nothing_is_created(checkout: Path, arguments: list[str], code: int) -> None:
    end = vssync(checkout, *arguments)
    assert end.code == code, end
    assert {path.name for path in checkout.iterdir()} == {"vssync.yaml", "a.md"}


READING = (
    *("validate", "render", "plan", "plan --out ../plan.json", "show ../plan.json", "status --verify"),
    *("status docs/a.md", "search text", "output docs", "batches", "gc --suspected", "doctor"),
    *("dump --store docs -o ../dumped.yaml", "apply", "destroy"),  # of which the last two ask first
)


def test_nothing_live_is_changed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an edited file, a new one and an orphan are there to be written about."""
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("VSSYNC_STATE_DIR", str(checkout.parent / "state"))
    database = checkout / ".vssync/local/service.db"
    CliRunner().invoke(cli, ["apply", "--yes"], standalone_mode=False)
    for name in ("a.md", "b.md"):
        (checkout / name).write_text("edited text\n")
    with open_service(database.parent, clock=lambda: time.time() - 3 * 86_400) as service:
        client = connect(ENDPOINT, auth=None, clock=Clock(), workers=1, transport=LocalTransport(service))
        client.upload_file(io.BytesIO(b"edited text\n"), "a.md")
        client.close()
    before, told = read_state(database, 0), ""
    assert ([len(store.files) for store in before.stores.values()], len(before.uploads)) == ([1], 2)
    for command in READING:
        end = CliRunner().invoke(cli, command.split(), standalone_mode=False)
        assert end.exception is None or isinstance(end.exception, Refused), command
        assert read_state(database, 0) == before, command
        told += end.output
    assert "1 to add" in told
    assert "1 orphan" in told


def test_show_creates_nothing(checkout: Path) -> None:
    """A plan is made in one checkout, looked at in another, and applied in the first."""
    saved = str(checkout.parent / "plan.json")
    assert vssync(checkout, "plan", "--out", saved).code == 0
    assert "1 to add" in vssync(checkout, "show", saved).out
    assert {path.name for path in checkout.iterdir()} == {"vssync.yaml", "a.md"}
    assert vssync(checkout, "apply", saved).code == 0
    assert (checkout / ".vssync/local/service.db").is_file()


def test_a_folder_that_cannot_be_made_is_an_error_before_anything_is_sent(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(database: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(database.parent))

    monkeypatch.setattr("vssync.local.database.create_private", make)
    monkeypatch.setenv("VSSYNC_STATE_DIR", str(checkout.parent / "state"))
    for arguments in (["apply", "--yes"], ["doctor", "--probe", "--yes"]):
        end = CliRunner().invoke(cli, [*arguments, "-f", str(checkout)], standalone_mode=False)
        told = end.output if end.exception is None else str(end.exception)
        assert end.return_value == 1 if end.exception is None else isinstance(end.exception, VssyncError)
        assert "cannot be opened: [Errno 13] Permission denied" in " ".join(told.split())
    assert vssync(checkout, "plan").code == 0


@pytest.mark.parametrize(
    "arguments", [["plan"], ["apply", "--yes"], ["doctor"], ["serve", "--port", "0"]], ids=" ".join
)
@pytest.mark.parametrize("name", [".vssync", ".vssync/local", ".vssync/local/service.db"])
def test_a_fifo_in_its_place_holds_nobody_up(checkout: Path, name: str, arguments: list[str]) -> None:
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(checkout / name)
    end = vssync(checkout, *arguments)
    assert end.code == 1
    assert f"{name}: is a FIFO, but must be" in " ".join((end.out + end.err).split())
