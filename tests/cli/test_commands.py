"""The program as its user runs it: a real process, its streams, its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from tests.program import STARTED, program

MANIFEST = """\
version: 1
owner: shelf
stores:
  docs:
    files: [{path: "*.md"}]
"""


@dataclass(frozen=True)
class End:
    code: int
    out: str
    err: str


def vssync(folder: Path, *arguments: str, **environment: str) -> End:
    """Runs the program in a folder, with no terminal."""
    return ended([program(), *arguments], folder, **environment)


def started(folder: Path, *arguments: str, **environment: str) -> End:
    """The same, as its user starts it."""
    return ended([*STARTED, *arguments], folder, **environment)


def ended(command: list[str], folder: Path, **environment: str) -> End:
    """How a command ended in a folder."""
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return End(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    (tmp_path / "a.md").write_text("# How to stop the machine\nPull the plug.\n")
    (tmp_path / "b.md").write_text("# How to start it\nPlug it in again.\n")
    return tmp_path


@pytest.fixture
def applied(folder: Path) -> Path:
    assert vssync(folder, "apply", "--yes").code == 0
    return folder


def test_the_main_job(folder: Path) -> None:
    planned = started(folder, "plan", "--detailed-exitcode")
    assert (planned.code, planned.err) == (2, "")
    assert "Plan: 2 to add, 0 to change, 0 to replace, 0 to delete, 0 unchanged, 1 store to create." in planned.out
    applied = started(folder, "apply", "--yes")
    assert applied.code == 0
    assert "Apply: 2 added, 0 changed, 0 replaced, 0 deleted, 1 store created, 0 failed" in applied.out
    again = started(folder, "apply", "--yes")
    assert (again.code, again.err) == (0, "")
    assert "No changes. 2 files in 1 store match the manifest." in again.out
    assert started(folder, "plan", "--detailed-exitcode").code == 0


def test_validate_asks_no_service(folder: Path) -> None:
    end = vssync(folder, "validate")
    assert (end.code, end.out) == (0, "shelf: valid. 2 files in 1 store.\n")
    assert not (folder / ".vssync").exists()


def test_apply_without_a_terminal_or_yes_is_refused(folder: Path) -> None:
    end = vssync(folder, "apply")
    assert end.code == 3
    assert "--yes" in end.err
    assert "2 to add" in vssync(folder, "plan").out


def test_a_saved_plan_is_shown_as_it_was_and_applied_as_it_is(folder: Path) -> None:
    planned = vssync(folder, "plan", "--out", "p.json")
    assert vssync(folder, "show", "p.json").out == planned.out
    assert vssync(folder, "apply", "p.json").code == 0
    again = vssync(folder, "apply", "p.json")
    assert (again.code, "No changes" in again.out) == (0, True)


# Each value of one beside each value of another; the slow ones have all.
EACH_PAIR = ((True, "", ""), (True, "teams/docs", "vssync.yaml"), (False, "", "vssync.yaml"), (False, "teams/docs", ""))
PLACES = [  # whether a manifest is named by its absolute path, where it lies in its checkout, and by which name
    pytest.param(*place, marks=[] if place in EACH_PAIR else [pytest.mark.slow])
    for place in product([True, False], ["", "teams/docs"], ["", "vssync.yaml"])
]


@pytest.mark.parametrize(("is_absolute", "inner", "name"), PLACES)
def test_a_plan_is_applied_in_another_checkout(folder: Path, inner: str, name: str, is_absolute: bool) -> None:
    checkouts = [folder / "checkouts" / one for one in ("first", "second")]
    for checkout in checkouts:
        (checkout / ".git").mkdir(parents=True)
        (checkout / inner).mkdir(parents=True, exist_ok=True)
        for file in ("vssync.yaml", "a.md"):
            (checkout / inner / file).write_bytes((folder / file).read_bytes())
    plan = str(folder / "p.json")
    first, second = checkouts
    start, path = (folder, first / inner / name) if is_absolute else (first / inner, Path(name))
    assert vssync(start, "plan", "--file", str(path), "--out", plan).code == 0
    (first / inner / "vssync.yaml").unlink()
    assert "the plan's manifest is not here; apply the plan in a checkout" in vssync(first, "apply", plan).err
    assert vssync(second / inner, "apply", plan).code == 0
    assert "No changes" in vssync(second / inner, "plan").out


def test_a_stale_plan_is_refused_and_says_what_moved(folder: Path) -> None:
    vssync(folder, "plan", "--out", "p.json")
    (folder / "a.md").write_text("edited\n")
    end = vssync(folder, "apply", "p.json")
    assert end.code == 3
    assert "stale" in end.err
    assert "a.md" in end.err
    assert "2 to add" in vssync(folder, "plan").out


@pytest.mark.parametrize("option", ["--adopt", "--max-delete=3", "--target=docs", "--env=dev", "--file=.", "--var=a=b"])
def test_a_saved_plan_takes_no_option_that_it_records(folder: Path, option: str) -> None:
    vssync(folder, "plan", "--out", "p.json")
    end = vssync(folder, "apply", "p.json", option)
    assert (end.code, f"{option.partition('=')[0]}: a saved plan is applied with" in end.err) == (64, True)


def test_a_saved_plan_takes_what_its_caller_decides(folder: Path) -> None:
    """A plan records neither which folders outside the work tree may be read nor how to reach the service."""
    (folder / "kb").mkdir()
    (folder / "kb/.git").mkdir()
    (folder / "kb/vssync.yaml").write_text(MANIFEST.replace("stores:", "root: ..\nstores:"))
    allowed = ["--allow-outside", "."]
    assert vssync(folder, "plan", "-f", "kb", "--out", "p.json", *allowed).code == 0
    end = vssync(folder, "apply", "p.json", "--region", "us-chicago-1", "--workers", "2", *allowed)
    assert (end.code, "2 added" in end.out) == (0, True)


def test_a_guard_refuses_in_plan_and_in_apply(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    for number in range(12):
        (tmp_path / f"{number}.md").write_text(f"{number}\n")
    assert vssync(tmp_path, "apply", "--yes").code == 0
    for number in range(11):
        (tmp_path / f"{number}.md").unlink()
    refused = vssync(tmp_path, "plan", "--out", "p.json")
    assert refused.code == 3
    assert "Refused" in refused.out
    assert vssync(tmp_path, "apply", "--yes").code == 3
    assert vssync(tmp_path, "apply", "p.json").code == 3
    assert "12 live" in vssync(tmp_path, "status").out
    assert vssync(tmp_path, "apply", "--yes", "--max-delete", "11").code == 0


def test_status_names_the_store(applied: Path) -> None:
    end = vssync(applied, "status")
    assert end.code == 0
    assert "docs" in end.out
    assert "vs_" in end.out


@pytest.mark.parametrize("form", ["json", "markdown", "html"])
def test_plans_in_other_forms(folder: Path, form: str) -> None:
    end = vssync(folder, "plan", "--format", form)
    assert end.code == 0
    assert "a.md" in end.out


def test_a_page_of_each_kind(folder: Path) -> None:
    """Who shows a saved plan may be elsewhere, so no commit and nobody is named there; its checksum is."""
    made = vssync(folder, "plan", "--out", "p.json", "--format", "html", USER="eva")
    shown = vssync(folder, "show", "p.json", "--format", "html", USER="eva")
    digest = json.loads((folder / "p.json").read_text())["checksum"]
    assert [digest in end.out for end in (made, shown)] == [True, True]
    assert ["<dt>By</dt>" in end.out for end in (made, shown)] == [True, False]
    report = vssync(folder, "apply", "p.json", "--format", "html")
    assert (report.code, "Everything is as declared." in report.out, digest in report.out) == (0, True, True)
    (folder / "a.md").unlink()
    (folder / "vssync.yaml").write_text(MANIFEST + "    guards: {max_delete: 0}\n")
    refused = vssync(folder, "apply", "--yes", "--format", "html")
    assert (refused.code, "Refused: nothing will be written." in refused.out) == (3, True)


def test_an_incomplete_apply_exits_4(folder: Path) -> None:
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7")  # which the service inside vssync does not read
    (folder / "vssync.yaml").write_text(MANIFEST.replace("*.md", "*.{md,pdf}") + "    formats: {.pdf: .pdf}\n")
    end = vssync(folder, "apply", "--yes")
    assert end.code == 4
    assert "2 added" in end.out
    assert "1 failed" in end.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["plan", "--nonsense"], 64, "--nonsense"),
        (["fly"], 64, "fly"),
        (["plan", "--var", "x"], 64, "NAME=VALUE"),
        (["plan", "--max-delete", "many"], 64, "30%"),
        (["plan", "-f", "elsewhere"], 1, "elsewhere"),
        (["show", "vssync.yaml"], 1, "vssync: vssync.yaml: is not JSON: "),
        (["apply", "absent.json"], 1, "absent.json"),
        (["plan", "--target", "shed"], 64, "shed"),
    ],
)
def test_bad_calls(folder: Path, arguments: list[str], code: int, words: str) -> None:
    end = vssync(folder, *arguments)
    assert end.code == code, end.err
    assert words in end.err
    assert "Traceback" not in end.err


def test_colour_only_when_asked_for_or_on_a_terminal(folder: Path) -> None:
    assert "\x1b" not in vssync(folder, "plan").out
    assert "\x1b" in vssync(folder, "plan", "--color", "always").out


def test_a_corrupt_local_database_is_a_clear_error(folder: Path) -> None:
    local = folder / ".vssync" / "local"
    local.mkdir(parents=True)
    (local / "service.db").write_bytes(b"not a database" * 500)
    end = vssync(folder, "plan")
    assert end.code == 1
    assert ".vssync/local" in end.err
    assert "Traceback" not in end.err
