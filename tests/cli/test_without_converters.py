"""Which verbs need a document's text: without the right converters the others work, and read no document at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.cli.test_completion import completed
from vssync.cli import process
from vssync.cli.main import VERBS, cli
from vssync.sources.converter import PACKAGES

MANIFEST = """\
version: 1
owner: kb
environments: {dev: {}, prod: {}, pr-*: {}}
stores:
  docs:
    name: docs-${env}
    formats: {.docx: markdown}
    files: [{path: "guide/*"}]
    attributes: {lang: en, title: {from: [front_matter, heading]}}
"""
# Each with a piece of what it prints.
NEED_NO_TEXT = (
    (("search", "stop"), "  guide/a.md"),
    (("search", "stop", "--filter", "lang=en", "--filter", "title=2026"), "  guide/a.md"),
    (("search", "stop", "--filter", "title!=2026"), "Nothing found."),
    (("search", "stop", "--filter", "title>2025"), "  guide/a.md"),
    (("search", "stop", "--filter", "titel=2026"), "did you mean `title`?"),
    (("destroy", "--confirm", "kb/dev"), "1 store deleted"),
    (("destroy", "-e", "pr-*", "--confirm", "kb/pr-*"), "no environment of the pattern pr-* has stores"),
    (("doctor",), "ok       list batches"),
    (("dump", "--all"), "docs-dev"),
    (("render",), "front_matter"),
    (("gc",), "0 orphans."),
    (("cancel", "vsfb_1"), "vsfb_1: no such batch is in progress"),
    (("output", "--format", "id"), "vs_"),
    (("completion", "bash"), "_VSSYNC_COMPLETE"),
    (("schema", "manifest"), "properties"),
)
NEED_TEXT = (
    *(("plan",), ("apply", "--yes"), ("status",), ("status", "docs/guide/a.md"), ("validate",), ("batches",)),
    *(("render", "--files"), ("render", "--converted", "guide/b.docx"), ("gc", "--suspected"), ("test",)),
    *(("output",), ("output", "--format", "dotenv"), ("diff", "dev", "prod"), ("diff", "--desired", "dev", "prod")),
)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that was applied; since then one came that cannot be read, and a document to convert."""
    folder = tmp_path_factory.mktemp("applied")
    (folder / "vssync.yaml").write_text(MANIFEST)
    (folder / "guide").mkdir()
    (folder / "guide/a.md").write_text('---\ntitle: "2026"\n---\nHow to stop the machine.\n')
    assert vssync(folder, "apply", "--yes", "-e", "dev").code == 0
    (folder / "guide/broken.md").write_text("---\ntitle: [\n---\n")
    (folder / "guide/b.docx").write_bytes(b"not even a document")
    return folder


@pytest.fixture
def folder(tmp_path: Path, applied: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where another version of one converter is installed."""
    for name, wanted in {**PACKAGES, "markitdown": "0.0.0"}.items():  # whatever is installed here
        packaged = tmp_path / "site-packages" / f"{name.replace('-', '_')}-{wanted}.dist-info"
        packaged.mkdir(parents=True)
        (packaged / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {wanted}\n")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.setenv("VSSYNC_ENV", "dev")
    monkeypatch.chdir(shutil.copytree(applied, tmp_path / "tree"))
    return tmp_path / "tree"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    process.run_command(lambda: cli.main(list(arguments), prog_name="vssync", standalone_mode=False))
    return "".join(capsys.readouterr())


@pytest.mark.parametrize(("arguments", "words"), NEED_NO_TEXT)
def test_these_work(folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    shown = printed(capsys, *arguments)
    assert words in shown
    assert "pip install" not in shown
    assert "broken.md:" not in shown


@pytest.mark.parametrize("arguments", NEED_TEXT)
def test_these_say_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    shown = printed(capsys, *arguments)
    assert "markitdown 0.1.9 (0.0.0)" in shown
    assert "run: pip install 'vssync[convert]'" in shown


def test_gc_reads_files_whose_names_hold_their_digests(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For these names prove whose an upload is."""
    text = MANIFEST.replace('{path: "guide/*"}', '{path: "guide/*", filename: "${digest}${ext}"}')
    (folder / "vssync.yaml").write_text(text)
    assert "run: pip install 'vssync[convert]'" in printed(capsys, "gc")


def test_addresses_are_completed(folder: Path) -> None:
    assert completed("plan", "-e", "dev", "-t", "docs/") == [
        f"docs/guide/{name}" for name in ("a.md", "b.docx", "broken.md")
    ]


def test_the_verbs_that_may_convert_take_an_engine() -> None:
    """`ci` plans and applies, `init` loads what it wrote; the others of this program are above."""
    takes = {name for name in VERBS if any("--engine" in each.opts for each in cli.commands[name].params)}
    assert takes == {arguments[0] for arguments in NEED_TEXT} | {"ci", "init"}
    assert {arguments[0] for arguments, _ in NEED_NO_TEXT} | takes | {"serve", "show"} == set(VERBS)
