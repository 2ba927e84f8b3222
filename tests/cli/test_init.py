"""`vssync init` as its user runs it: with flags, and asked at a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.manifest.builders import write_files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "docs").mkdir()
    (tmp_path / "handbook" / "docs" / "a.md").write_text("How to begin\n")
    return tmp_path / "handbook"


def answered(folder: Path, *lines: str) -> tuple[int, str]:
    """Runs `vssync init` on a terminal and types these lines."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{line}\n" for line in lines).encode())
    end = subprocess.run(
        [sys.executable, "-m", "vssync", "init"],
        check=False,
        cwd=folder,
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    return end.returncode, end.stdout + end.stderr


def test_flags_then_the_main_job(folder: Path) -> None:
    end = vssync(folder, "init", "--yes")
    assert (end.code, end.err) == (0, "")
    assert end.out.splitlines() == [
        *("docs/  1 file   .md 1", ""),
        *("Wrote vssync.yaml: 1 store, 1 file.", "Its owner is handbook.", "Added .vssync/ to .gitignore."),
        "Next: vssync apply",
    ]
    assert vssync(folder, "apply", "--yes").code == 0
    assert "a.md" in vssync(folder, "search", "begin").out


SHELF: dict[str, str | bytes] = {
    **{f"docs/{number}.md": "text" for number in range(1000)},
    "docs/b.txt": "text",
    "docs/c.mdx": "text",
    "docs/latin.md": b"Gr\xf6\xdfe",
    "docs/blank.md": "\n",
    "docs/draft.md": "---\ndraft: true\n---\ntext",
    "docs/images/a.PNG": "x",
    "docs/images/b.png": "x",
    "README.md": "text",
    "LICENSE": "text",
    ".gitignore": "build/\n/out\n*.tmp\n",
    "build/a.md": "text",
    "build/deep/b.js": "text",
    "out/c.md": "text",
    "d.tmp": "text",
    ".hidden/e.md": "text",
}


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("arguments", "table"),
    [
        (
            (),
            "docs/      1,002 files  .md 1,000  .txt 1  .mdx 1 as .md\n"
            "README.md      1 file   .md 1\n"
            "               4 files ignored by git (build/ and out/)\n"
            "               6 files left out: 2 .png, 1 broken, 1 draft, 1 empty,\n"
            "                       1 unsupported\n",
        ),
        (
            ("--path", "docs/**/*", "--path", "**/*.tmp"),
            "docs/  1,002 files  .md 1,000  .txt 1  .mdx 1 as .md\n"
            "           6 files left out: 2 .png, 1 broken, 1 draft, 1 empty, 1 ignored\n",
        ),
        (("--path", "none/*.md"), ""),
    ],
)
def test_a_table_tells_what_is_loaded_and_what_is_left_out(
    tmp_path: Path, arguments: tuple[str, ...], table: str
) -> None:
    write_files(tmp_path, SHELF)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    end = vssync(tmp_path, "init", "-y", *arguments)
    assert (end.code, end.err) == (0, "")
    assert end.out.partition("Wrote ")[0] == (table and f"{table}\n")


def test_the_table_fits_a_screen(tmp_path: Path) -> None:
    kinds = [".png", ".pdf", ".docx", ".jpeg", ".pptx", ".xlsx"]
    files = {f"{'long-' * 9}{n}/{n}{kind}": "x" for n in range(3) for kind in [*kinds, *CODE]}
    write_files(tmp_path, {**files, **dict.fromkeys((f"blank-{n}.md" for n in range(400)), "")})
    table, _, _ = vssync(tmp_path, "init", "-y").out.partition("Wrote ")
    assert max(map(len, table.splitlines())) <= 80
    assert "left out: 400 empty, " in table


CODE = [".c", ".cpp", ".css", ".html", ".java", ".js", ".json", ".md", ".mdx", ".py", ".rb", ".rst", ".tex", ".txt"]


def test_two_folders_called_as_many_are_have_two_owners(folder: Path) -> None:
    (folder / "other/docs").mkdir(parents=True)
    ends = [vssync(at, "init", "-y").out for at in (folder / "docs", folder / "other/docs")]
    said = r"Its owner is (docs-\w{6}): write a name of your own before the first apply\."
    names = re.findall(said, "".join(ends))
    assert len(set(names)) == 2


def test_a_second_time_is_refused(folder: Path) -> None:
    vssync(folder, "init", "--yes")
    before = (folder / "vssync.yaml").read_text()
    end = vssync(folder, "init", "--yes", "--provider", "oci")
    assert (end.code, end.out) == (3, "")
    assert "vssync.yaml: exists already" in end.err
    assert "Move it away" in end.err
    assert (folder / "vssync.yaml").read_text() == before


def test_a_manifest_by_another_name_elsewhere(folder: Path) -> None:
    end = vssync(folder.parent, "init", "-y", "-f", "handbook/mine.yaml", "--owner", "mine")
    assert end.out.splitlines()[-1] == "Next: vssync apply -f handbook/mine.yaml"
    spaced = vssync(folder.parent, "init", "-y", "-f", "handbook/my own.yaml")
    assert spaced.out.splitlines()[-1] == "Next: vssync apply -f 'handbook/my own.yaml'"
    assert vssync(folder.parent, "validate", "-f", "handbook/mine.yaml").out == "mine: valid. 1 file in 1 store.\n"


AZURE_KEY = "put the key into VSSYNC_API_KEY or AZURE_OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("flags", "following"),
    [
        ([], "Next: vssync apply"),
        (["--provider", "oci"], "Next: fill in `project` and `compartment` in vssync.yaml, then vssync doctor"),
        (["--provider", "oci", "--project", "p"], "Next: fill in `compartment` in vssync.yaml, then vssync doctor"),
        (["--provider", "oci", "--project", "p", "--compartment", "c"], "Next: vssync doctor"),
        (["--provider", "compatible"], "Next: fill in `data_url` in vssync.yaml, then vssync doctor"),
        (["--provider", "azure"], f"Next: fill in `data_url` in vssync.yaml, {AZURE_KEY}, then vssync doctor"),
        (
            ["--provider", "openai"],
            "Next: put the key into VSSYNC_API_KEY or OPENAI_API_KEY, then vssync doctor",
        ),
        (["--path", "none/*.md"], "Next: add documents or change `files`, then vssync apply"),
        (
            ["--provider", "azure", "--path", "none/*.md"],
            "Next: fill in `data_url` in vssync.yaml, add documents or change `files`, "
            f"{AZURE_KEY}, then vssync doctor",
        ),
    ],
)
def test_the_next_step_is_the_one_that_works(folder: Path, flags: list[str], following: str) -> None:
    end = vssync(folder, "init", "-y", *flags)
    assert (end.code, end.out.splitlines()[-1]) == (0, following)
    is_filled_in = "fill in" not in following
    assert (vssync(folder, "validate").code == 0) == is_filled_in


def test_what_a_person_must_mend_is_said(folder: Path) -> None:
    end = vssync(folder, "init", "-y", "--path", "docs/*.md", "--path", "docs/a.*")
    assert (end.code, (folder / "vssync.yaml").exists()) == (1, True)
    assert "It needs a change:" in end.err
    assert "chosen by two entries" in end.err


def test_asked_at_a_terminal(folder: Path) -> None:
    code, shown = answered(folder, "oci", "team-docs", "", "ocid1.project", "", "")
    assert code == 0, shown
    text = (folder / "vssync.yaml").read_text()
    for line in ("owner: team-docs", "  provider: oci", "  region: us-chicago-1", "  project: ocid1.project"):
        assert f"\n{line}" in text
    assert "docs/**/*.md" in shown


def test_an_address_is_asked_for_where_it_differs_for_everybody(folder: Path) -> None:
    code, shown = answered(folder, "azure", "team-docs", "https://lamp.openai.azure.com/openai/v1", "")
    assert code == 0, shown
    text = (folder / "vssync.yaml").read_text()
    assert '  provider: azure\n  data_url: "https://lamp.openai.azure.com/openai/v1"  # the base URL of' in text


def test_answers_may_be_empty_or_patterns(folder: Path) -> None:
    code, shown = answered(folder, "", "", "docs/a.md more/*.txt")
    assert code == 0, shown
    assert "- path: docs/a.md\n      - path: more/*.txt\n        optional: true" in (folder / "vssync.yaml").read_text()


def test_a_name_that_cannot_be_is_asked_for_again(folder: Path) -> None:
    code, said = answered(folder, "local", "my shelf", "shelf", "")
    assert code == 0
    assert "letters, digits, `.`, `-` and `_` only" in said
    assert "Wrote vssync.yaml: 1 store, 1 file.\nIts owner is shelf.\n" in said


@pytest.mark.parametrize(
    ("forge", "place"),
    [("github", ".github/workflows/vssync.yml"), ("gitlab", ".gitlab/vssync.gitlab-ci.yml")],
)
def test_it_writes_a_workflow_once(folder: Path, forge: str, place: str) -> None:
    (folder / ".git").mkdir()
    (folder / "docs/vssync.yaml").write_text("version: 1\n")
    done = vssync(folder, "init", "--ci", forge, "-f", "docs")
    assert (done.code, done.out.splitlines()[0]) == (0, f"Wrote {place}.")
    text = (folder / place).read_text()
    example = next((ROOT / f"examples/{forge}").iterdir()).read_text()
    assert text == example.replace('VSSYNC_FILE: ""', 'VSSYNC_FILE: "docs"') != example
    (folder / place).write_text("mine\n")
    again = vssync(folder, "init", "--ci", forge)
    assert (again.code, (folder / place).read_text()) == (1, "mine\n")
    assert f"{place}: exists already" in again.err
    assert not (folder / "vssync.yaml").exists()


def test_a_workflow_for_all_manifests_is_the_example(folder: Path) -> None:
    (folder / ".git").mkdir()
    assert vssync(folder, "init", "--ci", "github").code == 0
    assert (folder / ".github/workflows/vssync.yml").read_text() == (ROOT / "examples/github/vssync.yml").read_text()


def test_a_workflow_needs_no_answers(folder: Path) -> None:
    done = vssync(folder, "init", "--ci", "github", "--owner", "x")
    assert (done.code, list(folder.glob(".github"))) == (64, [])
