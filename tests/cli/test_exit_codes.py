"""Every command ends with the code that the guide's table says: real processes, in one folder that stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import MANIFEST, End, started, vssync


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve files applied, eleven of them gone since; beside it a manifest of another owner for the same store."""
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "vssync.yaml").write_text(MANIFEST)
    (folder / "other.yaml").write_text(MANIFEST.replace("owner: shelf", "owner: rival"))
    for number in range(12):
        (folder / f"{number}.md").write_text(f"text {number}\n")
    assert vssync(folder, "apply", "--yes").code == 0
    for number in range(11):
        (folder / f"{number}.md").unlink()
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["plan", "--out", "refused.json"], 3, "Refused: nothing will be written"),
        (["plan", "--max-delete", "11", "--detailed-exitcode", "--format", "gitlab"], 2, '"delete": 11'),
        (["plan", "--against", "main"], 1, "in no git work tree"),
        (["plan", "--against", "main", "--out", "p.json"], 64, "leave out --out"),
        (["plan", "--at", "main"], 64, "--against REV"),
        (["plan", "--against", ""], 64, "'--against': names no revision"),
        (["plan", "--against", "main", "--at", ""], 64, "'--at': names no revision"),
        (["plan", "-f", "other.yaml"], 3, "--adopt-from shelf"),
        (["plan", "--exclude", "docs/*.md"], 0, "No changes"),
        (["status"], 0, "11 to delete"),
        (["status", "--detailed-exitcode"], 3, "11 to delete"),
        (["status", "docs/11.md"], 0, "nothing to do"),
        (["status", "doc/11.md"], 64, "doc: the manifest has no such store; did you mean `docs`?"),
        (["status", "docs/99.md"], 64, "neither the manifest nor the store docs has such a file"),
        (["batches"], 0, "No batches in progress"),
        (["cancel", "vsfb_none"], 1, "no such batch is in progress"),
        (["destroy"], 3, "--confirm shelf"),
        (["destroy", "--confirm", "rival"], 3, "nothing was written"),
    ],
)
def test_the_code_and_what_is_said(folder: Path, arguments: list[str], code: int, said: str) -> None:
    end = vssync(folder, *arguments)
    assert end.code == code, end
    assert said in end.out + end.err
    assert "Traceback" not in end.err


def test_a_refused_plan_is_shown_in_every_form_and_never_applied(folder: Path) -> None:
    assert vssync(folder, "plan", "--out", "kept.json").code == 3
    shown = vssync(folder, "show", "kept.json", "--format", "markdown", "--full")
    assert (shown.code, "**Refused: nothing will be written.**" in shown.out) == (3, True)
    refused = vssync(folder, "apply", "kept.json")
    assert (refused.code, "If this is intended:" in refused.out) == (3, True)


def test_a_store_that_left_the_manifest_is_never_called_done(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text(MANIFEST + '  more: {files: [{path: "*.md"}]}\n')
    (tmp_path / "a.md").write_text("a\n")
    assert vssync(tmp_path, "apply", "--yes").code == 0
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    ends = [vssync(tmp_path, *words) for words in (["plan"], ["plan", "--detailed-exitcode"], ["apply", "--yes"])]
    assert [end.code for end in ends] == [0, 2, 4]
    assert all("1 undeclared store" in end.out and "--allow-store-deletes" in end.out for end in ends)
    assert vssync(tmp_path, "plan", "-t", "docs", "--detailed-exitcode").code == 0
    assert vssync(tmp_path, "apply", "--yes", "--allow-store-deletes").code == 0


def already(end: End) -> list[str]:
    found: list[str] = json.loads(end.out)["already"]
    return found


def test_a_saved_plan_that_is_done_says_so_and_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    (tmp_path / "a.md").write_text("a\n")
    assert vssync(tmp_path, "plan", "--out", "p.json").code == 0
    assert already(vssync(tmp_path, "apply", "p.json", "--format", "json")) == []
    again = vssync(tmp_path, "apply", "p.json")
    assert again.code == 0
    assert "Skipped: 2 changes of the saved plan were already applied.\n      docs\n      docs/a.md" in again.out
    last = vssync(tmp_path, "apply", "p.json", "--format", "json")
    assert (last.code, already(last)) == (0, ["docs", "docs/a.md"])
    gone = vssync(tmp_path, "destroy", "--confirm", "shelf")
    assert (gone.code, "1 deleted" in gone.out) == (0, True)


def test_a_terminal_that_lacks_letters_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    (tmp_path / "日.md").write_text("a\n")
    end = started(tmp_path, "plan", PYTHONIOENCODING="latin-1")
    assert (end.code, "\\u65e5.md" in end.out) == (0, True)
