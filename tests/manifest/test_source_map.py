"""Where values are written, through all layers, and where each part of a file came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import files_by_key, load_manifest, load_problems
from tests.manifest.test_bad_input import STORE
from vssync.manifest.diagnostics import find_source_locations
from vssync.manifest.resolve import Provenance
from vssync.manifest.yaml_loader import TreePath as ManifestPath
from vssync.sources.load import LoadedManifest, file_provenance, find_source_location, load_sources

TEXT = """\
version: 1
owner: docs
include: [more.yaml]
x-common: &common {lang: en}
defaults:
  attributes: {app: a, url: "${path}"}
  chunking: {size: 400, overlap: 100}
stores:
  guide:
    attributes: *common
    files:
      - path: docs/**
        attributes: {part: all, title: {from: [front_matter.x, front_matter]}}
    overrides:
      - match: docs/api/**
        attributes: {part: api}
environments:
  prod:
    defaults: {guards: {max_delete: 10%}}
    stores: {guide: {name: live}}
"""
PAGES = {
    "docs/intro.md": "---\ntitle: x\n---\n",
    "docs/api/call.md": "x",
    "more.yaml": "stores:\n  acme: {prune: false}\n",
}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("stores", "guide", "name"), "vssync.yaml:20:28"),
        (("stores", "guide", "files", 0, "path"), "vssync.yaml:12:15"),
        (("stores", "guide", "files", 0), "vssync.yaml:12:9"),
        (("stores", "guide", "guards", "max_delete"), "vssync.yaml:19:37"),
        (("stores", "guide", "chunking", "overlap"), "vssync.yaml:7:34"),
        (("stores", "guide", "attributes", "app"), "vssync.yaml:6:21"),
        (("stores", "guide", "attributes", "lang"), "vssync.yaml:10:17"),
        (("stores", "acme", "prune"), "more.yaml:2:17"),
        (("stores", "acme", "guards", "max_delete"), "vssync.yaml:19:37"),
        (("stores", "nobody"), "vssync.yaml:9:3"),
        (("service", "provider"), "vssync.yaml:1:1"),
    ],
)
def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: ManifestPath, place: str) -> None:
    load_manifest(tmp_path, TEXT, PAGES, env="prod")
    monkeypatch.chdir(tmp_path)
    assert find_source_location(load_sources(Path(), env="prod"), path) == place


def test_where_each_part_of_a_file_came_from(tmp_path: Path) -> None:
    loaded = load_manifest(tmp_path, TEXT, PAGES, env="prod")
    sources = {
        key: {part: _line(loaded, origin) for part, origin in file_provenance(loaded, "guide", file).items()}
        for key, file in files_by_key(loaded, 1).items()
    }
    shared = {"file": 12, "chunking": 7, "attributes.app": 6, "attributes.url": 6, "attributes.lang": 10}
    assert sources["docs/intro.md"] == {**shared, "attributes.part": 13, "attributes.title": "13, front_matter.title"}
    assert sources["docs/api/call.md"] == {**shared, "attributes.part": 16}


ENTRIES = """\
stores:
  guide:
    attributes: {title: none}
    files:
      - {path: "docs/*.md", exclude: [docs/b.md], attributes: {title: {from: front_matter}}}
      - {path: docs/b.md, attributes: {title: {from: front_matter.none}}}
      - {path: docs/c.txt, exclude: ["**/*.txt"], optional: true}
      - {path: "**/*.txt"}
      - {file_id: docs/b.md, key: erkla\u0308rt.pdf}
      - {path: docs/gro\u0308ss.html, key: "u\u0308/${name}"}
    overrides: [{match: erkl\u00e4rt.pdf, attributes: {title: other}}]
"""


def test_every_file_has_its_entry(tmp_path: Path) -> None:
    front = "---\ntitle: x\n---\n"
    loaded = load_manifest(
        tmp_path, ENTRIES, dict.fromkeys(("docs/a.md", "docs/b.md", "docs/c.txt", "docs/gr\u00f6ss.html"), front)
    )
    origins = {key: file_provenance(loaded, "guide", file) for key, file in files_by_key(loaded).items()}
    lines = {key: _line(loaded, parts["file"]) for key, parts in origins.items()}
    assert lines == {
        "docs/a.md": 7,
        "docs/b.md": 8,
        "docs/c.txt": 10,
        "erkl\u00e4rt.pdf": 11,
        "\u00fc/gr\u00f6ss.html": 12,
    }
    titles = {key: _line(loaded, parts["attributes.title"]) for key, parts in origins.items()}
    assert titles.pop("docs/a.md") == "7, front_matter.title"
    assert titles.pop("erkl\u00e4rt.pdf") == 13
    assert set(titles.values()) == {5}


def _line(loaded: LoadedManifest, origin: Provenance) -> int | str:
    line = find_source_locations(loaded.manifest.documents, [origin.path])[origin.path].line
    return f"{line}, {origin.source}" if origin.source else line


def test_what_is_wrong_in_an_environment_is_placed_there(tmp_path: Path) -> None:
    (problem,) = load_problems(
        tmp_path,
        """\
        stores: {guide: {files: [{path: docs/**}]}}
        environments:
          prod:
            stores:
              guide: {name: "${stor}"}
        """,
        env="prod",
    )
    assert (problem.line, problem.column) == (7, 21)


def test_what_is_wrong_in_defaults_is_placed_there(tmp_path: Path) -> None:
    (problem,) = load_problems(tmp_path, "defaults:\n  files: [{path: 'gone/${store}/**'}]\nstores: {acme: }\n")
    assert problem.message == "`gone/acme/**` matches no file"
    assert (problem.line, problem.column) == (4, 18)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("stores: {acme: {prun: true}}\n", 1, 17, "unknown field `prun`"),
        ("stores:\n  acme:\n    name: '${stor}'\n", 3, 11, "`${stor}` is not a placeholder"),
        ("stores: {guide: {}}\n", 1, 10, "the store `guide` is also declared in"),
        ("stores: {}\nname: x\n", 2, 1, "unknown field `name`"),
        ("name: [\n", 2, 1, "not YAML"),
        ("defaults: {prun: true}\nstores: {acme: {}}\n", 1, 12, "unknown field `prun`"),
        ("defaults: {name: '${stor}'}\nstores: {acme: {}}\n", 1, 18, "`${stor}` is not a placeholder"),
        ("defaults: {chunking: {size: 100, overlap: 99}}\nstores: {acme: {}}\n", 1, 43, "is over half"),
        ("defaults: {files: [{path: ../x}]}\nstores: {acme: {}}\n", 1, 27, "leaves `root`"),
    ],
)
def test_what_is_wrong_in_an_included_file_is_placed_there(
    tmp_path: Path, text: str, line: int, column: int, message: str
) -> None:
    (problem, *_) = load_problems(tmp_path, "include: [more/*.yaml]\n" + STORE, {**PAGES, "more/a.yaml": text})
    assert message in problem.message
    assert (problem.file, problem.line, problem.column) == (str(tmp_path / "more/a.yaml"), line, column)
