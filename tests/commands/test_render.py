"""Where each part of a file came from: a manifest that sets one at every level, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vssync.commands.status import trace_files
from vssync.errors import UsageProblem
from vssync.manifest.resolve import effective_tree
from vssync.manifest.yaml_loader import parse_document
from vssync.render.manifest import manifest_json, manifest_yaml
from vssync.sources.load import LoadedManifest, load_sources

MAIN = """\
version: 1
owner: levels
include: [more.yaml]
defaults:
  attributes: {a: default, b: default}
stores:
  docs:
    attributes:
      b: store
      c: store
    files:
      - path: "*.md"
        attributes: {c: entry, d: "${stem}", title: {from: front_matter}}
      - file_id: file-1
        key: legal.pdf
    overrides:
      - match: a*.md
        chunking: {size: 200, overlap: 0}
        attributes: {e: true}
        filename: ${stem}.txt
environments:
  dev:
    stores:
      docs:
        attributes:
          b: environment
"""
MORE = """\
stores:
  more:
    files:
      - path: ab.md
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedManifest:
    for name, text in {"vssync.yaml": MAIN, "more.yaml": MORE, "ab.md": "---\ntitle: On ab\n---\n"}.items():
        (tmp_path / name).write_text(text)
    return load_sources(tmp_path, env="dev")


@pytest.mark.parametrize(
    ("address", "part", "place"),
    [
        ("docs/ab.md", "file", "vssync.yaml:12:9"),
        ("docs/ab.md", "attributes.a", "vssync.yaml:5:19"),
        ("docs/ab.md", "attributes.b", "vssync.yaml:26:14"),
        ("docs/ab.md", "attributes.c", "vssync.yaml:13:25"),
        ("docs/ab.md", "attributes.d", "vssync.yaml:13:35"),
        ("docs/ab.md", "attributes.e", "vssync.yaml:19:25"),
        ("docs/ab.md", "attributes.title", "vssync.yaml:13:53, front_matter.title of ab.md"),
        ("docs/ab.md", "chunking", "vssync.yaml:18:19"),
        ("docs/ab.md", "filename", "vssync.yaml:20:19"),
        ("docs/legal.pdf", "file", "vssync.yaml:14:9"),
        ("docs/legal.pdf", "attributes.b", "vssync.yaml:26:14"),
        ("more/ab.md", "file", "more.yaml:4:9"),
        ("more/ab.md", "attributes.a", "vssync.yaml:5:19"),
    ],
)
def test_every_part_has_its_place(loaded: LoadedManifest, address: str, part: str, place: str) -> None:
    (traced,) = trace_files(loaded, (address,))
    assert traced.origins[part].removeprefix(f"{Path(loaded.file).parent}/") == place


def test_what_nobody_wrote_has_no_place(loaded: LoadedManifest) -> None:
    (traced,) = trace_files(loaded, ("more/ab.md",))
    assert set(traced.origins) == {"file", "attributes.a", "attributes.b"}


def test_all_files_or_those_asked_for(loaded: LoadedManifest) -> None:
    assert [f"{one.store}/{one.file.key}" for one in trace_files(loaded)] == [
        "docs/ab.md",
        "docs/legal.pdf",
        "more/ab.md",
    ]
    assert [f"{one.store}/{one.file.key}" for one in trace_files(loaded, ("docs/l*",))] == ["docs/legal.pdf"]
    with pytest.raises(UsageProblem, match="shed"):
        trace_files(loaded, ("shed",))


def test_files_as_text_leave_a_manifest(loaded: LoadedManifest) -> None:
    text = manifest_yaml(loaded.manifest, trace_files(loaded, ("docs",)))
    place = f"{Path(loaded.file).parent}/vssync.yaml"
    for line in (
        "# docs/ab.md",
        f"#   attributes.title  On ab           {place}:13:53, front_matter.title of ab.md",
        f"#   chunking          200/0           {place}:18:19",
        "#   size              21 bytes",
        f"#   file_id       file-1            {place}:14:9",
    ):
        assert " ".join(line.split()) in [" ".join(shown.split()) for shown in text.split("\n")]
    assert parse_document(text, "vssync.yaml").tree == effective_tree(loaded.manifest) | {
        "service": {"provider": "local"}
    }


def test_files_as_json_leave_a_manifest(loaded: LoadedManifest, tmp_path: Path) -> None:
    text = manifest_json(loaded.manifest, trace_files(loaded))
    (tmp_path / "again.json").write_text(text)
    assert load_sources(tmp_path / "again.json").desired.stores == loaded.desired.stores
    first, declared, _ = json.loads(text)["x-files"]
    assert first["attributes"] == {
        "a": "default", "b": "environment", "c": "entry", "d": "ab", "e": True, "title": "On ab",
    }  # fmt: skip
    assert first["chunking"] == {"size": 200, "overlap": 0}
    assert (first["address"], first["filename"], first["size"]) == ("docs/ab.md", "ab.txt", 21)
    assert len(first["sha256"]) == 64
    assert (declared["file_id"], declared["chunking"]) == ("file-1", "auto")
