"""What git explains of a plan after a merge, on repositories made here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.ci.repository import MANIFEST, Files, Repository
from tests.planner.builders import desired_file, desired_store, live_copy, live_store
from tests.planner.builders import plan as make_plan
from tests.sources.test_git import git
from vssync.ci.explain import find_bases, find_unexplained, needs_explanation, unexplained_error
from vssync.ci.history import GitHistory, ManifestHistory
from vssync.errors import VssyncError
from vssync.model.plan import Reason
from vssync.model.state import Contents, FileStatus

Step = tuple[object, ...]
FILES: Files = {"vssync.yaml": MANIFEST, "docs/a.md": "# A\n", "docs/b.md": "# B\n", "docs/c.md": "# C\n"}


def commit(**files: str | None) -> Step:
    """A commit of files of `docs`, by their stems."""
    return "commit", {f"docs/{stem}.md": text for stem, text in files.items()}


def manifest(text: str) -> Step:
    return "commit", {"vssync.yaml": text}


def fields(text: str) -> Step:
    """A commit that gives the store more fields."""
    return manifest(MANIFEST.replace("{files", f"{{{text}, files"))


def entry(text: str) -> Step:
    """A commit that gives the entry more fields."""
    return manifest(MANIFEST.replace("*.md'", f"*.md', {text}"))


def run(text: str) -> Step:
    return "git", *text.split()


def play(repository: Repository, steps: tuple[Step, ...]) -> set[str]:
    """The changes that are not explained after these steps, each the name of a method and its arguments."""
    for name, *arguments in steps:
        getattr(repository, str(name))(*arguments)
    return {f"{each.action} {each.store}/{each.key}" for each in repository.unexplained()}


A, DRIFT, APPLY = commit(a="new\n"), ("drift", {"docs/a.md": "x"}), ("apply",)
EXTRA = ("drift", {"docs/z.md": "x"})
EXTERNAL = MANIFEST.replace("{files", "{external: true, name: %s, files")
CHUNKED = "chunking: {size: 800, overlap: 200}"
REMOVED = "version: 1\nowner: kb\nstores: {docs: {removed: %s}}\n"
TWO = "version: 1\nowner: kb\nstores:\n  docs:\n    files:\n      - path: docs/*.md\n      - path: faq/*.md\n"
FAQ = "      - path: faq/*.md\n"
WITH_FAQ: Step = ("commit", {"vssync.yaml": TWO, "faq/q.md": "q\n"})
BUILD: tuple[Step, ...] = (
    ("commit", {"vssync.yaml": MANIFEST.replace("docs/**", "out"), ".gitignore": "out/\n"}),
    ("write", {"out/a.md": "1\n", "out/b.md": "2\n"}),
    APPLY,
    ("write", {"out/a.md": "3\n", "out/b.md": None}),
)
REPLACE_A, DELETE_Z = {"replace docs/docs/a.md"}, {"delete docs/docs/z.md"}
SIDE = run("checkout -q -b side")
MAIN = run("checkout -q main")

SCENARIOS: dict[str, tuple[tuple[Step, ...], set[str]]] = {
    "nothing happened": ((APPLY,), set()),
    "an edit is explained by its commit": ((APPLY, A), set()),
    "a deletion, too": ((APPLY, commit(a=None)), set()),
    "drift is not": ((APPLY, DRIFT), REPLACE_A),
    "nor by a commit to another file": ((APPLY, DRIFT, commit(b="new\n")), REPLACE_A),
    "a commit to the drifted file does": ((APPLY, DRIFT, A), set()),
    "changed and changed back counts": ((APPLY, DRIFT, A, commit(a="# A\n")), set()),
    "added and gone again counts": ((APPLY, EXTRA, commit(z="z\n"), commit(z=None)), set()),
    "a live file that git never had": ((APPLY, EXTRA, commit(b="new\n")), DELETE_Z),
    "creates need no explanation": ((APPLY, ("drift", {"docs/a.md": None})), set()),
    "nor does a first apply": ((), set()),
    "a rename is explained": ((APPLY, run("mv docs/a.md docs/z.md"), ("commit",)), set()),
    "merges in a row": ((APPLY, A, commit(b=None), commit(c="c\n")), set()),
    "a revert": ((APPLY, A, APPLY, run("revert --no-edit HEAD")), set()),
    "a re-run after all was applied": ((APPLY, A, APPLY), set()),
    # bases
    "no base, and a replacement": ((APPLY, A, ("unstamp",)), REPLACE_A),
    "a stamp with other changes is none": ((("apply", "+"), A), REPLACE_A),
    "then the last deployment": ((("apply", "+"), ("base", "deployed", "HEAD"), A), set()),
    "then the commit before the push": ((("apply", "+"), A, ("base", "before", "HEAD~1")), set()),
    "the stamp goes before the deployment": ((("base", "deployed", "HEAD"), A, APPLY, DRIFT), REPLACE_A),
    "a force-push: the stamp's commit is gone": (
        (A, APPLY, run("reset -q --hard HEAD~1"), commit(b="new\n")),
        REPLACE_A | {"replace docs/docs/b.md"},
    ),
    "a force-push, and an older deployment": (
        (("base", "deployed", "HEAD"), A, APPLY, run("reset -q --hard HEAD~1"), commit(a="other\n")),
        set(),
    ),
    "a new branch's push has no commit before": (
        (("apply", "+"), A, ("base", "before", "0" * 40)),
        REPLACE_A,
    ),
    # merges
    "a merge of a branch from before the base": (
        (SIDE, commit(b="new\n"), MAIN, commit(c="c\n"), APPLY, DRIFT, run("merge -q --no-ff --no-edit side")),
        REPLACE_A,
    ),
    "a merge that brings the file": ((SIDE, A, MAIN, commit(c="c\n"), APPLY, run("merge -q --no-edit side")), set()),
    "a merge beside what the base has": (
        (SIDE, commit(b="new\n"), MAIN, A, APPLY, DRIFT, run("merge -q --no-edit side")),
        REPLACE_A,
    ),
    "a branch that merged main before": (
        (
            SIDE,
            commit(b="new\n"),
            MAIN,
            A,
            ("git", "checkout", "-q", "side"),
            run("merge -q --no-edit main"),
            MAIN,
            APPLY,
            DRIFT,
            run("merge -q --no-edit --no-ff side"),
        ),
        REPLACE_A,
    ),
    "a merge that takes the file back": (
        (
            SIDE,
            commit(b="new\n"),
            MAIN,
            A,
            APPLY,
            run("merge -q -X theirs --no-commit --no-ff side"),
            run("checkout side -- docs/a.md"),
            ("commit",),
        ),
        set(),
    ),
    "a squash": ((SIDE, A, commit(b=None), MAIN, APPLY, run("merge -q --squash side"), ("commit",)), set()),
    # what of the manifest a file comes from
    "chunking of the store": ((APPLY, fields(CHUNKED)), set()),
    "a comment in the manifest explains nothing": ((APPLY, DRIFT, manifest(MANIFEST + "# hello\n")), REPLACE_A),
    "nor does another store": (
        (APPLY, DRIFT, manifest(MANIFEST.replace("stores: {", "stores: {faq: {files: [{path: docs/b.md}]}, "))),
        REPLACE_A,
    ),
    "nor what is not about files": ((APPLY, DRIFT, fields("guards: {max_delete: 1}, description: x")), REPLACE_A),
    "an attribute of the store does": ((APPLY, DRIFT, fields("attributes: {lang: en}")), set()),
    "and one that was taken back": ((APPLY, DRIFT, fields("attributes: {lang: en}"), manifest(MANIFEST)), set()),
    "an entry leaves": ((WITH_FAQ, APPLY, manifest(TWO.replace(FAQ, ""))), set()),
    "another entry's attributes": ((WITH_FAQ, APPLY, DRIFT, manifest(TWO + "        attributes: {k: v}\n")), REPLACE_A),
    "lines moved": (
        (WITH_FAQ, APPLY, DRIFT, manifest(TWO.replace(FAQ, "").replace("files:\n", f"files:\n{FAQ}"))),
        REPLACE_A,
    ),
    "an exclude takes a file out": ((APPLY, entry("exclude: [docs/a.md]")), set()),
    "an exclude of another file": ((APPLY, DRIFT, entry("exclude: [docs/b.md]")), REPLACE_A),
    "an override for it": ((APPLY, fields(f"overrides: [{{match: docs/a.md, {CHUNKED}}}]")), set()),
    "an override for another": ((APPLY, DRIFT, fields(f"overrides: [{{match: docs/b.md, {CHUNKED}}}]")), REPLACE_A),
    "a manifest that was invalid for a commit": ((APPLY, manifest("typo: 1\n"), fields(CHUNKED)), set()),
    "an invalid one explains nothing": ((APPLY, DRIFT, manifest("typo: 1\n"), manifest(MANIFEST)), REPLACE_A),
    "a store to be removed": ((APPLY, manifest(REMOVED % "delete")), set()),
    "a store to be handed over": ((APPLY, manifest(REMOVED % "keep")), set()),
    "a store that was to be removed already": (
        (APPLY, manifest(REMOVED % "delete"), ("stamp_head",)),
        {"delete docs/", "delete docs/docs/a.md", "delete docs/docs/b.md", "delete docs/docs/c.md"},
    ),
    "a store renamed in the manifest": (
        (APPLY, DRIFT, EXTRA, manifest(MANIFEST.replace("{docs:", "{guide:").replace("{files", "{was: [docs], files"))),
        {"replace guide/docs/a.md", "delete guide/docs/z.md"},
    ),
    "another live name": ((APPLY, DRIFT, EXTRA, fields("name: other")), {*REPLACE_A, "delete docs/docs/z.md"}),
    "another external store": (
        (
            ("commit", {"vssync.yaml": EXTERNAL % "one"}),
            APPLY,
            DRIFT,
            ("commit", {"vssync.yaml": EXTERNAL % "other"}),
        ),
        set(),
    ),
    # keys that are not paths
    "a key by template, its file gone": ((entry("key: '${stem}'"), APPLY, commit(a=None)), set()),
    "a key by template that git never had": (
        (entry("key: '${stem}'"), APPLY, ("drift", {"z": "x"}), commit(a="new\n")),
        {"delete docs/z"},
    ),
    # what git does not track
    "a build's file, and any commit": ((*BUILD, ("commit", {"src.py": "x\n"})), set()),
    "a build's file, and no commit": (BUILD, {"replace docs/out/a.md", "delete docs/out/b.md"}),
    "git's rules change": (
        (APPLY, ("commit", {".gitignore": "a.md\n"}), run("rm -q --cached docs/a.md"), ("commit",)),
        set(),
    ),
}


@pytest.mark.wide(3)
@pytest.mark.parametrize(("steps", "expected"), SCENARIOS.values(), ids=SCENARIOS)
def test_what_git_explains(tmp_path: Path, steps: tuple[Step, ...], expected: set[str]) -> None:
    assert play(Repository(tmp_path, FILES), steps) == expected


INCLUDING = "version: 1\nowner: kb\ninclude: [teams/*.yaml]\nstores: {}\n"
TEAM = "stores:\n  docs:\n    files:\n      - path: docs/**/*.md\n"
OTHER_TEAM = "stores:\n  faq:\n    files:\n      - path: faq/*.md\n"
INCLUDED: Step = (
    "commit",
    {"vssync.yaml": INCLUDING, "teams/a.yaml": TEAM, "teams/b.yaml": OTHER_TEAM, "faq/q.md": "q\n"},
)
LONG = "docs/" + "/".join(["x" * 200] * 3) + ".md"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((INCLUDED, APPLY, DRIFT), REPLACE_A),
        ((INCLUDED, APPLY, DRIFT, ("commit", {"teams/b.yaml": OTHER_TEAM + "    description: x\n"})), REPLACE_A),
        ((INCLUDED, APPLY, DRIFT, ("commit", {"teams/a.yaml": TEAM + f"        {CHUNKED}\n"})), set()),
        # taken out of one file, and put into another: nothing changes
        (
            (INCLUDED, APPLY, DRIFT, ("commit", {"teams/a.yaml": None, "teams/c.yaml": TEAM})),
            REPLACE_A,
        ),
        ((("commit", {LONG: "x\n"}), APPLY, ("commit", {LONG: None})), set()),  # its key is cut in the live file
        (  # the drifted files lie behind a link
            (
                ("commit", {"real/a.md": "# A\n", "docs/a.md": None, "docs/b.md": None, "docs/c.md": None}),
                ("link", "docs/more", "../real"),
                manifest(MANIFEST.replace("docs/**", "docs/more/**")),
                APPLY,
                ("drift", {"docs/more/a.md": "x"}),
                ("commit", {"real/a.md": "new\n"}),
            ),
            set(),
        ),
    ],
)
def test_includes_links_and_long_keys(tmp_path: Path, steps: tuple[Step, ...], expected: set[str]) -> None:
    assert play(Repository(tmp_path, FILES), steps) == expected


ODD_KEYS = (
    *(".", "..", "../../x.md", "/etc/passwd", "docs", "docs/..", ".git/config", "-x.md", ":(top)x.md", ":!x.md"),
    *("a\nb.md", "*.md", "größe.md", "out", "out/link", "a b.md", '"quoted".md', "x" * 512),
)


def test_live_keys_of_any_form_are_not_explained_and_break_nothing(tmp_path: Path) -> None:
    repository = Repository(tmp_path, FILES)
    repository.commit({".gitignore": "out/l*\n"})
    repository.link("out/link", "/etc")
    drift: Step = ("drift", dict.fromkeys((*ODD_KEYS, "out/link/hosts"), "x"))
    expected = {f"delete docs/{key}" for key in ODD_KEYS if key != "out/link"}  # a build may have made what git ignores
    assert play(repository, (APPLY, drift, commit(b="new\n"))) == expected


ENVIRONMENTS = """\
version: 1
owner: kb
stores:
  docs:
    files:
      - path: docs/**/*.md
environments:
  dev: {stores: {docs: {chunking: {size: 400, overlap: 0}}}}
  prod: {stores: {docs: {name: docs}}}
"""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [(("size: 400", "size: 500"), REPLACE_A), (("{name: docs}", f"{{name: docs, {CHUNKED}}}"), set())],
)
def test_another_environment_explains_nothing(tmp_path: Path, changed: tuple[str, str], expected: set[str]) -> None:
    repository = Repository(tmp_path, {**FILES, "vssync.yaml": ENVIRONMENTS}, "prod")
    assert play(repository, (APPLY, DRIFT, manifest(ENVIRONMENTS.replace(*changed)))) == expected


def test_a_submodule_explains_what_is_in_it_when_it_moves(tmp_path: Path) -> None:
    library = Repository(tmp_path / "library", {"a.md": "# A\n"})
    repository = Repository(tmp_path / "main", FILES)
    repository.git("submodule", "--quiet", "add", str(library.tree), "docs/library")
    repository.commit()
    repository.apply()
    drift: Step = ("drift", {"docs/library/a.md": "x"})
    assert play(repository, (drift, commit(b="new\n"))) == {"replace docs/docs/library/a.md"}
    library.commit({"z.md": "z\n"})
    assert play(repository, (run("submodule --quiet update --remote"), ("commit",))) == set()


def test_a_failed_copy_and_a_superseded_one_need_no_explanation() -> None:
    file = desired_file("a.md", "A")
    failed = live_copy(file, id="f1", status=FileStatus.FAILED, error="server_error")
    twice = (live_copy(file, id="f1", at=1), live_copy(file, id="f2", at=2))
    for copies, action in (((failed,), "replace"), (twice, "delete")):
        made = make_plan((desired_store(file),), [(live_store(), Contents(copies))])
        [change] = made.stores[0].files
        assert change.action == action
        assert not needs_explanation(change)


@pytest.mark.parametrize(
    ("reasons", "committed", "is_explained"),
    [
        ({Reason.CONVERTER_CHANGED}, True, True),  # as the commit that brings another version of vssync
        ({Reason.CONVERTER_CHANGED}, False, False),
        ({Reason.CONVERTER_CHANGED, Reason.CONTENT_CHANGED}, True, False),
        ({Reason.CONTENT_CHANGED}, True, False),
    ],
)
def test_another_converter_is_explained_by_any_commit(
    tmp_path: Path, reasons: set[Reason], committed: bool, is_explained: bool
) -> None:
    repository = Repository(tmp_path, FILES)
    repository.apply()
    repository.drift({"docs/a.md": "x\n"})
    if committed:
        repository.commit({"workflow.yml": "another version\n"})
    made = repository.plan()
    (store,) = made.stores
    files = tuple(replace(change, reasons=tuple(reasons)) for change in store.files)
    made, history = replace(made, stores=(replace(store, files=files),)), GitHistory(tmp_path)
    manifests, bases = ManifestHistory(history, "vssync.yaml"), find_bases(made, history, history.head)
    assert (find_unexplained(made, manifests, history.head, bases) == ()) is is_explained


def test_each_store_has_a_base_of_its_own(tmp_path: Path) -> None:
    both = MANIFEST.replace("stores: {", "stores: {faq: {files: [{path: 'faq/*.md'}]}, ")
    repository = Repository(tmp_path, {**FILES, "vssync.yaml": both, "faq/q.md": "q\n"})
    repository.apply()
    repository.commit({"docs/a.md": "new\n", "faq/q.md": "new\n"})
    made, history, stamp = repository.plan(), GitHistory(tmp_path), f"2026-11-27T14:02:31Z;{repository.head};ci;1"
    stores = tuple(replace(store, applied=stamp) if store.key == "faq" else store for store in made.stores)
    made = replace(made, stores=stores)
    bases = find_bases(made, history, history.head)
    assert {key: base and len(base.range.commits) for key, base in bases.items()} == {"docs": 1, "faq": 0}
    unexplained = find_unexplained(made, ManifestHistory(history, "."), history.head, bases)
    assert [(each.store, each.key) for each in unexplained] == [("faq", "faq/q.md")]


def test_a_shallow_clone_is_an_error_that_names_both_ways_out(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "main", FILES)
    repository.commit()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository.tree}", "clone")
    with pytest.raises(VssyncError) as raised:
        GitHistory(tmp_path / "clone")
    assert "`fetch-depth: 0`" in str(raised.value)
    assert '`GIT_DEPTH: "0"`' in str(raised.value)


def test_without_git_nothing_is_explained(tmp_path: Path) -> None:
    with pytest.raises(VssyncError, match="is in no git work tree"):
        GitHistory(tmp_path)


def test_a_manifest_that_is_not_committed_is_an_error(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {"docs/a.md": "# A\n"})
    repository.write({"vssync.yaml": MANIFEST})
    with pytest.raises(VssyncError, match=r"vssync\.yaml: is not committed"):
        play(repository, (APPLY, DRIFT))


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((APPLY, DRIFT), "nothing was committed since {base}, the commit of its last apply"),
        (
            (APPLY, ("base", "deployed", "HEAD"), ("unstamp",), DRIFT, commit(b="new\n")),
            "no commit since {base}, the commit of the last deployment, touches it or its part of vssync.yaml",
        ),
        ((APPLY, ("unstamp",), DRIFT), "no commit of this history is known that its store agreed with"),
    ],
)
def test_each_change_is_named_with_the_reason_and_the_way_out(
    tmp_path: Path, steps: tuple[Step, ...], reason: str
) -> None:
    repository = Repository(tmp_path, FILES)
    base = repository.head[:7]
    assert play(repository, steps) == REPLACE_A
    error = unexplained_error(repository.unexplained())
    assert error.exit_code == 3
    assert str(error).splitlines() == [
        "Nothing was written: git does not explain 1 change.",
        f"  docs/docs/a.md: replace: {reason.format(base=base)}",
        "If this is intended, run this job by hand with `unexplained: true`: the environment's approvers decide.",
    ]
