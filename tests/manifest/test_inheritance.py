"""What defaults, stores, entries and overrides say together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import files_by_key, load_first_file, load_manifest
from vssync.model.state import AUTO, Chunking, Guards, Limit, Scalar

SMALL = "{size: 400, overlap: 100}"
LEVELS = """
defaults: {{attributes: {0}}}
stores:
  guide:
    attributes: {1}
    files: [{{path: docs/**, attributes: {2}}}]
    overrides:
      - {{match: docs/intro.md, attributes: {3}}}
      - {{match: "**", attributes: {4}}}
      - {{match: docs/api/**, attributes: {{other: 1}}}}
"""


@pytest.mark.parametrize(
    ("levels", "merged"),
    [
        (("{a: 1}", "{}", "{}", "{}", "{}"), {"a": 1}),
        (("{a: 1}", "{a: 2}", "{b: 3}", "{}", "{}"), {"a": 2, "b": 3}),
        (("{a: 1}", "{a: 2}", "{a: 3}", "{a: 4}", "{a: 5}"), {"a": 5}),
        (("{a: 1}", "{a: null}", "{}", "{}", "{}"), {}),
        (("{a: 1}", "{}", "{a: null}", "{}", "{}"), {}),
        (("{a: 1}", "{}", "{}", "{a: null}", "{}"), {}),
        (("{a: 1}", "{}", "{a: null}", "{a: 2}", "{}"), {"a": 2}),
        (("{a: true}", "{}", "{b: 1}", "{c: 1.5}", "{d: 'no'}"), {"a": True, "b": 1, "c": 1.5, "d": "no"}),
    ],
)
def test_attributes_are_inherited_one_by_one(
    tmp_path: Path, levels: tuple[str, ...], merged: dict[str, Scalar]
) -> None:
    assert load_first_file(tmp_path, LEVELS.format(*levels)).attributes == merged


@pytest.mark.parametrize(
    ("store", "entry", "override", "chunking"),
    [
        ("", "", "", AUTO),
        (f"chunking: {SMALL},", "", "", Chunking(400, 100)),
        (f"chunking: {SMALL},", ", chunking: auto", "", AUTO),
        ("", f", chunking: {SMALL}", "", Chunking(400, 100)),
        ("chunking: auto,", "", f", chunking: {SMALL}", Chunking(400, 100)),
        (f"chunking: {SMALL},", ", chunking: null", "", Chunking(400, 100)),
    ],
)
def test_chunking_is_taken_whole_from_the_innermost_level(
    tmp_path: Path, store: str, entry: str, override: str, chunking: Chunking
) -> None:
    text = f"""
    stores:
      guide: {{ {store}
        files: [{{path: docs/** {entry} }}],
        overrides: [{{match: docs/*.md {override} }}] }}
    """
    assert load_first_file(tmp_path, text).chunking == chunking


@pytest.mark.parametrize(
    ("size", "overlap"),
    [("size", "overlap"), ("max_chunk_size_tokens", "chunk_overlap_tokens"), ("size", "chunk_overlap_tokens")],
)
@pytest.mark.parametrize("place", ["defaults: {%s}", "environments: {dev: {stores: {guide: {%s}}}}"])
def test_the_names_of_the_api_are_understood(tmp_path: Path, size: str, overlap: str, place: str) -> None:
    chunking = f"chunking: {{{size}: 400, {overlap}: 100}}"
    text = f"stores: {{guide: {{files: [{{path: docs/intro.md}}]}}}}\n{place % chunking}\n"
    (store,) = load_manifest(tmp_path, text, env="dev" if "dev" in text else None).desired.stores
    assert store.files[0].chunking == Chunking(400, 100)


def test_defaults_hold_every_field_of_a_store(tmp_path: Path) -> None:
    loaded = load_manifest(
        tmp_path,
        """
        defaults:
          name: "all-${store}"
          description: Public
          metadata: {team: docs, tier: gold}
          expires_after: {days: 30}
          prune: false
          protect: true
          guards: {max_delete: 12.5%, max_replace: 7}
          ignore_attributes: [by]
          formats: {.rst: .rst, .md: null}
          skip: [empty]
        stores:
          acme:
          beta:
            metadata: {tier: null}
            prune: true
            expires_after: null
            guards: null
            formats: {.rst: null, .md: .txt}
        """,
    )
    acme, beta = loaded.desired.stores
    assert (acme.name, acme.description, acme.metadata) == ("all-acme", "Public", {"team": "docs", "tier": "gold"})
    assert (acme.expires_after_days, acme.prune, acme.protect) == (30, False, True)
    assert acme.ignore_attributes == ("by",)
    assert acme.guards == Guards(Limit(share=0.125), Limit(count=7))
    assert [spec.formats.declared for spec in loaded.manifest.stores] == [
        {".rst": ".rst", ".md": None},
        {".rst": None, ".md": ".txt"},
    ]
    assert (beta.metadata, beta.prune) == ({"team": "docs"}, True)
    assert (beta.expires_after_days, beta.guards) == (None, Guards())


def test_a_store_says_what_only_it_can(tmp_path: Path) -> None:
    (store,) = load_manifest(tmp_path, "stores: {guide: {id: vs_1, external: true, was: [old]}}").desired.stores
    assert (store.key, store.name, store.id, store.external, store.was) == ("guide", "guide", "vs_1", True, ("old",))


def test_many_tenants_take_a_line_each(tmp_path: Path) -> None:
    tenants = [f"tenant-{number:02}" for number in range(40)]
    text = "defaults: {files: [{path: 'docs/${store}/**'}], attributes: {tenant: '${store}'}}\nstores:\n"
    loaded = load_manifest(
        tmp_path,
        text + "".join(f"  {tenant}:\n" for tenant in tenants),
        {f"docs/{tenant}/{name}.md": "x" for tenant in tenants for name in "ab"},
    )
    assert [store.key for store in loaded.desired.stores] == tenants
    assert files_by_key(loaded, 39)["docs/tenant-39/b.md"].attributes == {"tenant": "tenant-39"}


def test_equal_attributes_are_one_object(tmp_path: Path) -> None:
    text = """
    stores:
      guide:
        attributes: {app: x, area: "${dir.0}", kind: null}
        files: [{path: docs/**}]
    """
    first, *others = files_by_key(load_manifest(tmp_path, text)).values()
    assert all(other.attributes is first.attributes for other in others)


def test_one_and_true_are_not_equal_attributes(tmp_path: Path) -> None:
    text = """
    variables: {one: 1, yes: true}
    stores:
      a: {attributes: {v: "${var.one}", p: "${dir}"}, files: [{path: docs/intro.md}]}
      b: {attributes: {v: "${var.yes}", p: "${dir}"}, files: [{path: docs/intro.md}]}
    """
    values = [next(iter(store.files)).attributes["v"] for store in load_manifest(tmp_path, text).desired.stores]
    assert [type(value) for value in values] == [int, bool]


def test_files_declared_by_id(tmp_path: Path) -> None:
    text = """
    variables: {terms: file-123}
    stores:
      guide:
        attributes: {url: "https://h/${path}"}
        files: [{file_id: "${var.terms}", key: legal/terms.PDF, attributes: {kind: terms}}]
        overrides: [{match: legal/**, chunking: {size: 400, overlap: 0}}]
    """
    (file,) = files_by_key(load_manifest(tmp_path, text)).values()
    assert (file.key, file.file_id, file.path, file.sha256) == ("legal/terms.PDF", "file-123", "", "")
    assert file.attributes == {"url": "https://h/legal/terms.PDF", "kind": "terms"}
    assert (file.filename, file.chunking) == ("legal__terms.pdf", Chunking(400, 0))


def test_keys_may_be_made_from_paths(tmp_path: Path) -> None:
    text = "stores: {guide: {files: [{path: docs/**, key: 'v1/${name}'}]}}"
    assert sorted(files_by_key(load_manifest(tmp_path, text))) == ["v1/call.md", "v1/idea.md", "v1/intro.md"]
