"""A revision's manifest and files, as a checkout would have them: what is compared by `plan --against`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.manifest.builders import write_files
from tests.sources.test_git import commit, git, start_repository
from vssync.commands.against import compare_with_revision
from vssync.commands.session import Settings
from vssync.errors import ManifestError, VssyncError
from vssync.model.plan import Options
from vssync.planner.against import ManifestComparison

HEAD = "version: 1\nowner: kb\n"
MANIFEST = HEAD + "stores: {docs: {files: [{path: 'docs/**/*.md'}]}}\n"
PAGE = "# Page\n\nwords\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
SHA = "a59ca12eb6d8ce8cd6f1e6e4d0e4ac4fd77a5f2de5f5b5ca3b6bd8a3f2be9b06"


def compare(tree: Path, against: str = "HEAD", at: str = "", **settings: Any) -> ManifestComparison:
    return compare_with_revision(Settings(manifest=str(tree), **settings), Options(), against, at)


def changes(comparison: ManifestComparison) -> dict[str, str]:
    """The action and the reasons of each change, by address."""
    return {
        f"{store.key}/{file.key}": " ".join((file.action, *file.reasons, *filter(None, [file.was])))
        for store in comparison.plan.stores
        for file in store.files
    }


def edit(tree: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Writes files, and removes those without a text."""
    for path, text in files.items():
        if text is None:
            (tree / path).unlink()
    write_files(tree, {path: text for path, text in files.items() if text is not None})


FILES = {"docs/a.md": PAGE, "docs/b.md": "# B\n", "docs/c.md": "---\ntitle: C\n---\nwords\n"}
ATTRIBUTES = MANIFEST.replace("{files", "{attributes: {title: {from: [front_matter, heading]}}, files")


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("manifest", "files", "expected"),
    [
        (MANIFEST, {}, {}),
        (MANIFEST, {"docs/a.md": "edited\n"}, {"docs/docs/a.md": "replace content_changed"}),
        (MANIFEST, {"docs/new.md": "new\n"}, {"docs/docs/new.md": "create missing"}),
        (MANIFEST, {"docs/b.md": None}, {"docs/docs/b.md": "delete not_in_manifest"}),
        (MANIFEST, {"docs/b.md": None, "docs/z.md": "# B\n"}, {"docs/docs/z.md": "replace renamed moved docs/b.md"}),
        (
            ATTRIBUTES,
            {"docs/c.md": "---\ntitle: D\n---\nwords\n"},
            {"docs/docs/c.md": "replace content_changed attributes_changed"},
        ),
        (MANIFEST, {"docs/c.md": "---\ndraft: true\n---\nwords\n"}, {"docs/docs/c.md": "delete draft"}),
        (MANIFEST, {".gitignore": "c.md\n"}, {}),
        (
            MANIFEST,
            {
                "vssync.yaml": MANIFEST.replace(
                    "files",
                    "chunking: {size: 800, overlap: 200}, overrides: [{match: docs/b.md, chunking: auto}], files",
                )
            },
            {"docs/docs/a.md": "replace chunking_changed", "docs/docs/c.md": "replace chunking_changed"},
        ),
        (MANIFEST, {"vssync.yaml": MANIFEST.replace("docs:", "guide:").replace("{files", "{was: [docs], files")}, {}),
        (
            MANIFEST,
            {"vssync.yaml": MANIFEST.replace("*.md", "a.md")},
            {f"docs/docs/{name}.md": "delete not_in_manifest" for name in "bc"},
        ),
    ],
    ids=str,
)
def test_what_changed_since_a_revision(
    tmp_path: Path, manifest: str, files: Mapping[str, str | None], expected: Mapping[str, str]
) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": manifest, **FILES})
    edit(tree, files)
    comparison = compare(tree)
    assert changes(comparison) == expected
    commit(tree, 2)
    assert changes(compare(tree, "HEAD^", "HEAD")) == expected
    assert changes(compare(tree)) == {}
    assert git(tree, "status", "--porcelain") == ""


def test_settings_that_decide_what_an_apply_may_do_are_named(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES})
    later = """\
        version: 1
        owner: guide
        service: {provider: openai}
        stores:
          docs: {protect: true, prune: false, guards: {max_delete: 90%}, files: [{path: docs/*.md}]}
          new: {adopt: true, files: [{path: docs/a.md}]}
          old: {removed: delete}
    """
    edit(tree, {"vssync.yaml": "\n".join(line[8:] for line in later.splitlines()) + "\n"})
    comparison = compare(tree)
    assert {change.name: (change.before, change.after) for change in comparison.governing} == {
        "owner": ("kb", "guide"),
        "service.provider": ("local", "openai"),
        "stores.docs.guards.max_delete": ("30%", "90%"),
        "stores.docs.protect": (False, True),
        "stores.docs.prune": (True, False),
        "stores.new.adopt": (False, True),
        "stores.old.removed": (None, "delete"),
    }
    assert {address: words.split()[:2] for address, words in changes(comparison).items() if "docs/docs" in address} == {
        f"docs/docs/{name}.md": ["adopt", "other_owner"] for name in "abc"
    }


def test_what_is_left_out_is_compared(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES, "docs/d.md": "---\ndraft: true\n---\n"})
    edit(tree, {"docs/b.md": "---\ndraft: true\n---\n", "docs/d.md": None})
    assert compare(tree).left_out_before == {"docs": {"draft": ("docs/d.md",)}}
    assert compare(tree).plan.stores[0].left_out == {"draft": ("docs/b.md",)}


def test_includes_environments_and_variables_are_those_of_each_revision(tmp_path: Path) -> None:
    main = HEAD + "include: [teams/*.yaml]\nstores: {}\nvariables: {lang: en}\nenvironments: {dev: {}, prod: {}}\n"
    team = "stores: {faq: {name: 'faq-${env}', attributes: {lang: '${var.lang}'}, files: [{path: docs/*.md}]}}\n"
    tree = start_repository(tmp_path, {"vssync.yaml": main, "teams/a.yaml": team, **FILES})
    edit(
        tree,
        {
            "vssync.yaml": main.replace("{lang: en}", "{lang: de, team: x}"),
            "teams/a.yaml": team.replace("docs/*.md", "'docs/[ab].md'"),
        },
    )
    values: dict[str, Any] = {"env": "dev", "variables": {"team": "y"}}
    assert changes(compare(tree, **values)) == {
        "faq/docs/a.md": "update attributes_changed",
        "faq/docs/b.md": "update attributes_changed",
        "faq/docs/c.md": "delete not_in_manifest",
    }
    assert changes(compare(tree, **{**values, "variables": {"team": "y", "lang": "fr"}})) == {
        "faq/docs/c.md": "delete not_in_manifest"
    }


def test_dates_are_those_of_each_revision(tmp_path: Path) -> None:
    dated = MANIFEST.replace("{files", "{attributes: {day: {from: git.date}}, files")
    tree = start_repository(tmp_path, {"vssync.yaml": dated, **FILES})
    edit(tree, {"docs/a.md": "edited\n"})
    commit(tree, 30)
    (change,) = compare(tree, "HEAD^").plan.stores[0].files
    (field,) = change.fields
    assert (change.key, field.name) == ("docs/a.md", "day")
    assert (field.before, field.after) == ("2001-09-10", "2001-10-09")


def test_what_a_checkout_would_have(tmp_path: Path) -> None:
    """Links, submodules, files of Git LFS, ignored ones and names that no ASCII has are the same at both ends."""
    inner = start_repository(tmp_path / "inner", {"s.md": "# Inner\n"})
    tree = start_repository(
        tmp_path / "tree",
        {
            "kb/vssync.yaml": HEAD
            + "root: ..\nstores: {docs: {formats: {.pdf: .pdf}, files: [{path: '{docs,sub}/**/*.md'}, "
            "{path: docs/**/*.pdf}, {path: build/*.md}, {path: linked/*.md}]}}\n",
            ".gitignore": "build/\n",
            "docs/größe.md": PAGE,
            "docs/big.pdf": POINTER.format(SHA, 20),
            "docs/old.pdf": POINTER.format(SHA, 20),
            "elsewhere/x.md": "# X\n",
        },
    )
    (tree / "linked").symlink_to("elsewhere")
    (tree / "docs/one.md").symlink_to("../elsewhere/x.md")
    git(tree, "submodule", "--quiet", "add", str(inner), "sub")
    commit(tree, 2)
    write_files(
        tree,
        {
            "build/made.md": "# Made\n",
            "docs/big.pdf": "%PDF the document.\n\n",
            "docs/old.pdf": "%PDF the document.\n\n",
        },
    )
    comparison = compare(tree / "kb")
    assert comparison.plan.stores[0].live == 7
    assert set(changes(comparison)) == {
        "docs/docs/big.pdf",
        "docs/docs/old.pdf",
    }  # of other bytes than the pointer says
    assert comparison.notes == ("1 file that git ignores is taken as unchanged: git has no earlier version",)
    assert changes(compare(tree / "kb", "HEAD", "HEAD")) == {}
    git(tree / "sub", "checkout", "-q", "--orphan", "other")
    edit(tree / "sub", {"s.md": "# Edited\n"})
    assert "docs/sub/s.md" in changes(compare(tree / "kb"))


def test_a_revision_without_the_manifest_or_with_a_broken_one_is_said(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"readme.md": "x"})
    write_files(tree, {"vssync.yaml": MANIFEST + "stoers: {}\n", **FILES})
    commit(tree, 2)
    edit(tree, {"vssync.yaml": MANIFEST})
    for revision, note in (("HEAD^", "HEAD^ has no manifest here"), ("HEAD", "HEAD:vssync.yaml:4:1: unknown field")):
        comparison = compare(tree, revision)
        assert note in comparison.notes[0]
        assert "everything counts as new" in comparison.notes[0]
        assert str(tmp_path) not in comparison.notes[0]
        assert set(changes(comparison).values()) == {"create missing"}
    with pytest.raises(ManifestError, match=r"^HEAD:vssync.yaml:4:1: "):
        compare(tree, "HEAD", "HEAD")
    with pytest.raises(VssyncError, match="has no manifest here"):
        compare(tree, "HEAD", "HEAD^")


def test_a_file_that_could_not_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES, "docs/bad.md": b"caf\xe9\n"})
    edit(tree, {"docs/bad.md": "# Good\n", "docs/a.md": "edited\n"})
    comparison = compare(tree)
    assert changes(comparison) == {
        "docs/docs/a.md": "replace content_changed",
        "docs/docs/bad.md": "create missing",
    }
    assert "count as new: docs/bad.md:1:1: " in comparison.notes[0]


def test_a_submodule_that_cannot_be_read_is_said_of_either_end(tmp_path: Path) -> None:
    inner = start_repository(tmp_path / "inner", {"s.md": "# Inner\n"})
    tree = start_repository(tmp_path / "tree", {"vssync.yaml": MANIFEST.replace("docs/**", "{docs,sub}/**"), **FILES})
    git(tree, "submodule", "--quiet", "add", str(inner), "sub")
    commit(tree, 2)
    git(tree, "update-index", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(tree, "commit", "-q", "-m", "a commit of the submodule that is not here")
    note = "the submodule sub cannot be read as of {}, so its files there do not count"
    fetch = "; `git -C sub fetch` brings it"
    earlier, later = compare(tree, "HEAD", "HEAD^"), compare(tree, "HEAD^", "HEAD")
    assert (earlier.notes, changes(earlier)) == ((note.format("HEAD") + fetch,), {"docs/sub/s.md": "create missing"})
    assert (later.notes, changes(later)) == (earlier.notes, {"docs/sub/s.md": "delete not_in_manifest"})
    git(tree, "submodule", "--quiet", "deinit", "-f", "sub")
    assert compare(tree, "HEAD^").notes == ()  # neither end has its files
    git(tree, "rm", "-q", "-f", "sub")
    assert compare(tree, "HEAD^").notes == (note.format("HEAD^") + ": it was removed since",)


def test_a_root_outside_of_the_work_tree_is_the_same_at_both_ends(tmp_path: Path) -> None:
    manifest = HEAD + "root: {}\nstores: {{docs: {{files: [{{path: '*.md'}}]}}}}\n"
    tree = start_repository(tmp_path / "tree", {"vssync.yaml": manifest.format("../out"), "back/a.md": PAGE})
    write_files(tmp_path, {"out/o.md": PAGE})
    for against, at in (("HEAD", ""), ("HEAD", "HEAD")):
        comparison = compare(tree, against, at, allow_outside=(tmp_path / "out",))
        assert (changes(comparison), comparison.plan.stores[0].live) == ({}, 1)
        assert comparison.notes == (
            f"{tmp_path}/out lies outside of the git work tree: all in it is taken as unchanged",
        )
    write_files(tree, {"vssync.yaml": manifest.format("../tree/back")})
    commit(tree, 2)
    edit(tree, {"back/a.md": "edited\n"})
    assert changes(compare(tree)) == {"docs/a.md": "replace content_changed"}


def test_text_is_written_as_the_configuration_at_hand_says(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES})
    git(tree, "config", "core.autocrlf", "true")
    write_files(
        tree, {".git/info/attributes": "docs/b.md -text\n*.md filter=absent\n", "docs/a.md": PAGE.replace("\n", "\r\n")}
    )
    edit(tree, {"docs/c.md": FILES["docs/c.md"].replace("\n", "\r\n")})
    assert (changes(compare(tree)), compare(tree).notes) == ({}, ())


def test_a_manifest_that_only_the_revisions_have(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yml": MANIFEST, **FILES})
    edit(tree, {"docs/a.md": "edited\n"})
    commit(tree, 2)
    edit(tree, {"vssync.yml": None})
    assert changes(compare(tree, "HEAD^", "HEAD")) == {"docs/docs/a.md": "replace content_changed"}
    with pytest.raises(ManifestError, match="there is no manifest"):
        compare(tree)


def test_an_environment_that_one_end_lacks_is_new(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES})
    edit(tree, {"vssync.yaml": MANIFEST + "environments: {prod: {}}\n"})
    comparison = compare(tree, env="prod")
    assert set(changes(comparison).values()) == {"create missing"}
    assert comparison.notes[0].startswith("the manifest of HEAD cannot be used, so everything counts as new: HEAD:vss")
    commit(tree, 2)
    with pytest.raises(ManifestError, match="none was chosen"):
        compare(tree, "HEAD^")


def test_a_link_of_the_revision_is_not_written_through(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    start_repository(tree, {"vssync.yaml": HEAD + "stores: {docs: {files: [{path: build/*.md}]}}\n"})
    (tree / "build").symlink_to(outside)
    commit(tree, 2)
    (tree / "build").unlink()
    write_files(tree, {".gitignore": "build/\n", "build/a.md": PAGE})
    assert changes(compare(tree)) == {"docs/build/a.md": "create missing"}
    assert list(outside.iterdir()) == []


def test_a_refusal_names_the_place_as_git_does_and_a_command_that_compares(tmp_path: Path) -> None:
    pages = {f"docs/{number}.md": f"# {number}\n" for number in range(12)}
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **pages})
    edit(tree, dict.fromkeys([*pages][:9]))
    commit(tree, 2)
    (refusal,) = compare(tree, "HEAD^", "HEAD").plan.refusals
    assert refusal.way_out[0].startswith("`HEAD:vssync.yaml:3:25` `docs/**/*.md` matches 3 files")
    assert refusal.way_out[-1].endswith(" --against 'HEAD^' --at HEAD --max-delete 9")
    (refusal,) = compare(tree, "HEAD^").plan.refusals
    assert refusal.way_out[-1].endswith(" --against 'HEAD^' --max-delete 9")


def test_nothing_of_a_strangers_repository_is_run(tmp_path: Path) -> None:
    """Neither filters and hooks that a repository configures, nor those of the user's own configuration."""
    tree = start_repository(tmp_path / "tree", {"vssync.yaml": MANIFEST, ".gitattributes": "*.md filter=f\n", **FILES})
    ran = tmp_path / "ran"
    for name in ("smudge", "clean", "process"):
        git(tree, "config", f"filter.f.{name}", f"touch {ran}; cat")
    git(tree, "config", "filter.f.required", "true")
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        write_files(tree, {f".git/hooks/{hook}": f"#!/bin/sh\ntouch {ran}\n"})
        (tree / ".git/hooks" / hook).chmod(0o755)
    comparison = compare(tree)
    assert changes(comparison) == {}
    assert comparison.notes == ("git's filter `f` is not run: files with it are compared as they were committed",)
    assert not ran.exists()


def test_the_repository_at_hand_is_left_as_it_is(tmp_path: Path) -> None:
    tree = start_repository(tmp_path / "tree", {"vssync.yaml": MANIFEST, **FILES})
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    compare(tree)
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == before
    assert json.dumps(sorted(path.name for path in tree.iterdir())) == '[".git", "docs", "vssync.yaml"]'
