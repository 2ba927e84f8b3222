"""`vssync search` at the command line: words, streams and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import End, vssync

MANIFEST = """
version: 1
owner: kb
stores:
  docs: {files: [{path: "*.md"}], attributes: {lang: de}}
  faq: {files: [{path: "*.txt"}]}
"""
NEW = "  new: {files: [{path: '*.md'}]}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stores that were applied, and one that was not."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "vssync.yaml").write_text(MANIFEST)
    (folder / "a.md").write_text("# Größe\n\nWie groß?\n")
    (folder / "b.txt").write_text("How to stop the machine: pull the plug.\n")
    assert vssync(folder, "apply", "--yes").code == 0
    (folder / "vssync.yaml").write_text(MANIFEST + NEW)
    return folder


def test_words_need_no_quotes(folder: Path) -> None:
    end = vssync(folder, "search", "-s", "docs", "GRÖSSE", "how", "--filter", "lang=de", "big")
    assert (end.code, end.err) == (0, "")
    assert end.out.splitlines()[1:] == ['      lang "de"', "      # Größe", "", "      Wie groß?"]


def test_a_missing_store_keeps_nobody_from_the_others(folder: Path) -> None:
    end = vssync(folder, "search", "-q", "stop")
    assert end == End(1, end.out, "vssync: new: the store does not exist yet; run `vssync apply` first\n")
    assert end.out.endswith("  faq/b.txt\n")
    printed = json.loads(vssync(folder, "search", "stop", "--format", "json").out)
    assert [hit["store"] for hit in printed["results"]] == ["faq"]
    assert printed["problems"] == ["new: the store does not exist yet; run `vssync apply` first"]


def test_nothing_found_is_no_error(folder: Path) -> None:
    end = vssync(folder, "search", "-s", "docs", "groß", "--filter", "langg=de")
    hint = "hint: --filter: the manifest gives no file the attribute langg; did you mean `lang`?\n"
    assert end == End(0, "Nothing found.\n", hint)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 64, "Missing argument"),
        ([""], 64, "the question is empty"),
        ([" ", " "], 64, "the question is empty"),
        (["x", "-s", "doc"], 64, "--store doc: the manifest has no such store; did you mean `docs`?"),
        (["x", "-s", "shed"], 64, "it has docs, faq and new"),
        (["x", "-s", "new"], 1, "new: the store does not exist yet; run `vssync apply` first"),
        (["x", "-s", "docs", "--filter", "lang"], 64, "--filter lang: must be KEY=VALUE"),
        (["x", "-s", "docs", "--filter", '{"type": "like"}'], 64, "`filter.type` is not a kind of filter"),
        (["gr\udcf6\udcdfe"], 64, "must be Unicode text"),  # as a terminal with another encoding sends it
        (["x", "--filter", "lang=\udcf6"], 64, "must be Unicode text"),
        (["x", "--filter", '{"type": "eq", "key": "lang", "value": "\\ud800"}'], 64, "must be Unicode text"),
        (["x", "--filter", '{"type": "gt", "key": "lang", "value": Infinity}'], 64, "must be text, a number"),
        (["x", "--min-score", "high"], 64, "--min-score"),
        (["x", "--min-score=-1"], 64, "--min-score"),
        (["x", "--min-score", "nan"], 64, "--min-score: nan is not a score"),
        (["x", "-n", "0"], 64, "--most"),
        (["x", "-n", "51"], 64, "--most"),
        (["x", "--filters", "a=b"], 64, "--filter"),
    ],
)
def test_bad_calls(folder: Path, arguments: list[str], code: int, words: str) -> None:
    end = vssync(folder, "search", *arguments)
    assert (end.code, end.out) == (code, "")
    assert words in end.err
