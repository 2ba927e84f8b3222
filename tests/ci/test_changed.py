"""Which manifests of a repository a change touches."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from tests.ci.repository import Files, Repository
from vssync.ci.changed import (
    ManifestsByTouch,
    fewer_matches,
    find_manifests,
    find_removed,
    review_removed,
    split_touched,
)
from vssync.ci.history import GitHistory, ManifestHistory
from vssync.errors import VssyncError
from vssync.render.comment import ManifestReview

A = """\
version: 1
owner: a
root: ../..
stores: {docs: {files: [{path: 'services/*/docs/*.md', exclude: ['**/draft.md']}]}}
"""
B = "version: 1\nowner: b\ninclude: [stores/*.yaml]\nstores: {own: {files: [{path: pages/*.md}], tests: ../q.yaml}}\n"
C = "version: 1\nowner: c\nstores: {docs: {files: [{path: shared/*.md}]}}\n"
FILES: Files = {
    "teams/a/vssync.yaml": A,
    "teams/b/vssync.yaml": B,
    "teams/b/stores/faq.yaml": "stores: {faq: {files: [{path: faq/*.md}]}}\n",
    "teams/b/faq/q.md": "q\n",
    "teams/b/pages/p.md": "p\n",
    "teams/c/vssync.yml": C,
    "teams/c/notes.md": "n\n",
    "services/x/docs/d.md": "d\n",
    "services/x/main.go": "x\n",
    "shared/terms.md": "t\n",
    ".github/workflows/vssync.yml": "on: push\n",  # as `init --ci github` writes it
    "teams/.old/vssync.yaml": A,
}
PATHS = ["teams/a/vssync.yaml", "teams/b/vssync.yaml", "teams/c/vssync.yml"]


def touched_by(repository: Repository, base: str) -> set[str]:
    """The letters of the manifests that are touched since a commit; each is either touched or not."""
    git = GitHistory(repository.tree)
    assert list(find_manifests(git)) == PATHS
    result = split_touched([ManifestHistory(git, path) for path in PATHS], base, repository.head)
    assert sorted(each.path for each in (*result.touched, *result.untouched)) == PATHS
    return {each.path[6] for each in result.touched}


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("files", "touched"),
    [
        ({}, set()),
        ({"README.md": "x\n"}, set()),
        ({"teams/a/vssync.yaml": A + "# comment\n"}, {"a"}),
        ({"services/x/docs/d.md": "new\n"}, {"a"}),
        ({"services/y/docs/new.md": "new\n"}, {"a"}),
        ({"services/x/docs/d.md": None}, {"a"}),
        ({"services/x/docs/draft.md": "x\n"}, set()),
        ({"services/x/main.go": "y\n"}, set()),
        ({"teams/b/stores/faq.yaml": "stores: {}\n"}, {"b"}),
        ({"teams/b/stores/new.yaml": "stores: {new: {files: [{path: faq/*.md}]}}\n"}, {"b"}),
        ({"teams/b/stores/faq.yaml": None, "teams/b/stores/z.yaml": "stores: {}\n"}, {"b"}),
        ({"teams/b/faq/q.md": "new\n"}, {"b"}),
        ({"teams/b/pages/p.md": "new\n", "shared/terms.md": "new\n"}, {"b", "c"}),  # c by its link
        # a pattern that matched before the change
        ({"teams/b/vssync.yaml": B.replace("pages", "other"), "teams/b/pages/p.md": "new\n"}, {"b"}),
        ({"teams/q.yaml": "questions: []\n"}, {"b"}),
        ({"teams/c/.gitignore": "x\n"}, {"c"}),
        ({"services/.gitattributes": "*.md text\n"}, {"a"}),
        ({".gitignore": "*.tmp\n"}, {"a", "b", "c"}),
        ({"teams/c/vssync.yml": "version: 2\n"}, {"c"}),
    ],
)
def test_what_a_change_touches(tmp_path: Path, files: Files, touched: set[str]) -> None:
    repository = Repository(tmp_path, {})
    repository.link("teams/c/shared", "../../shared")
    repository.commit(FILES)
    base = repository.head
    repository.commit(files)
    assert touched_by(repository, base) == touched


def test_what_the_target_got_meanwhile_is_not_of_the_change(tmp_path: Path) -> None:
    repository = Repository(tmp_path, FILES)
    repository.git("checkout", "-q", "-b", "side")
    repository.commit({"teams/b/pages/p.md": "new\n"})
    repository.git("checkout", "-q", "main")
    repository.commit({"services/x/docs/d.md": "new\n"})
    base = repository.head
    repository.git("checkout", "-q", "side")
    assert touched_by(repository, base) == {"b"}
    repository.git("merge", "-q", "--no-edit", "main")  # as a forge checks out a pull request
    assert touched_by(repository, base) == {"b"}


def test_histories_with_nothing_in_common_touch_everything(tmp_path: Path) -> None:
    repository = Repository(tmp_path, FILES)
    base = repository.head
    repository.git("checkout", "-q", "--orphan", "new")
    repository.commit({"README.md": "x\n"})
    assert touched_by(repository, base) == {"a", "b", "c"}


def test_an_invalid_manifest_is_touched_with_anything_in_its_folder(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {**FILES, "teams/c/vssync.yml": "version: 2\n"})
    for file, touched in (("teams/c/notes.md", {"c"}), ("shared/terms.md", set[str]())):
        base = repository.head
        repository.commit({file: "new\n"})
        assert touched_by(repository, base) == touched


def test_files_that_a_manifest_includes_are_no_manifests_and_others_can_be_named(tmp_path: Path) -> None:
    files = {"vssync.yaml": B.replace("stores/*.yaml", "parts/vssync.yaml"), "parts/vssync.yaml": "stores: {}\n"}
    Repository(tmp_path, {**files, "pages/p.md": "p\n", "kb/other.yaml": C.replace("shared", "../kb")})
    git = GitHistory(tmp_path)
    assert find_manifests(git, ["kb/other.yaml", "."]) == ("kb/other.yaml", "vssync.yaml")
    found = ("kb/other.yaml", *find_manifests(git))
    assert found == ("kb/other.yaml", "parts/vssync.yaml", "vssync.yaml")
    head = git.ask("rev-parse", "HEAD").decode().strip()
    result = split_touched([ManifestHistory(git, path) for path in found], head, head)
    assert [each.path for each in result.untouched] == ["kb/other.yaml", "vssync.yaml"]
    assert split_touched([], head, head) == ManifestsByTouch((), ())


def test_a_submodule_touches_what_may_read_in_it(tmp_path: Path) -> None:
    library = Repository(tmp_path / "library", {"a.md": "# A\n"})
    repository = Repository(tmp_path / "main", FILES)
    repository.git("submodule", "--quiet", "add", str(library.tree), "services/library")
    repository.commit()
    base = repository.head
    library.commit({"z.md": "z\n"})
    repository.git("submodule", "--quiet", "update", "--remote")
    repository.commit()
    assert touched_by(repository, base) == {"a"}


OPENAI = "service: {provider: openai}\n"
OCI = "service: {provider: oci, region: us-chicago-1, project: ocid1.x, compartment: ocid1.y}\n"
CHICAGO = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1"
REMOTE = "service: {provider: compatible, data_url: 'http://127.0.0.1:8700/%s'}\n"


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (C + REMOTE % "v1", C + REMOTE % "v1", True),
        (C + REMOTE % "v1", C + REMOTE % "v2", False),  # another service
        (C + REMOTE % "v1", B.replace("include: [stores/*.yaml]\n", "") + REMOTE % "v1", False),  # another owner
        (C, C, False),  # each beside its manifest
        (C + REMOTE % "v1", "broken", False),
        (C + REMOTE % "v1", C + REMOTE % "v1/", True),
        (C + REMOTE % "v1", C + (REMOTE % "v1").replace("127.0.0.1", "LocalHost"), True),
        (C + REMOTE % "v1", C + (REMOTE % "v1").replace("compatible", "local"), True),
        (C + OPENAI, C + OPENAI.replace("openai}", "compatible, data_url: 'https://API.openai.com:443/v1'}"), True),
        (C + OPENAI, C + OPENAI.replace("}", ", project: proj_2}"), False),
        (C + OCI, C + OCI.replace("us-chicago-1", "eu-frankfurt-1"), False),
        (C + OCI, C + OCI.replace("region: us-chicago-1", f"data_url: '{CHICAGO}'"), True),
    ],
)
def test_two_manifests_of_one_owner_at_one_service_are_an_error(
    tmp_path: Path, one: str, other: str, clash: bool
) -> None:
    repository = Repository(tmp_path / "tree", {"a/vssync.yaml": one, "b/vssync.yaml": other})
    git = GitHistory(repository.tree)
    manifests = [ManifestHistory(git, path) for path in find_manifests(git)]
    if clash:
        with pytest.raises(VssyncError, match=r"b/vssync.yaml: has the owner `c` of a/vssync.yaml"):
            split_touched(manifests, git.head, git.head)
    else:
        assert split_touched(manifests, git.head, git.head).touched == ()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, []),
        ({"teams/c/vssync.yml": None}, ["c"]),
        ({"teams/c/vssync.yml": None, "teams/c/notes.md": None, "kb/vssync.yaml": C}, []),  # moved
        ({"teams/c/vssync.yml": C.replace("{files: [{path: shared/*.md}]}", "{removed: keep}")}, []),
    ],
)
def test_a_manifest_that_goes_is_told(tmp_path: Path, files: Files, told: list[str]) -> None:
    repository = Repository(tmp_path / "tree", FILES)
    base = repository.head
    repository.commit(files)
    git = GitHistory(repository.tree)
    present = [ManifestHistory(git, path) for path in find_manifests(git)]
    reviews = told_of(git, base, present)
    assert [review.name for review in reviews] == told
    assert all("teams/c/vssync.yml" in review.notes[0] for review in reviews)


def test_a_manifest_whose_stores_were_given_up_goes_silently(tmp_path: Path) -> None:
    repository = Repository(
        tmp_path / "tree", {"vssync.yaml": "version: 1\nowner: c\nstores: {docs: {removed: keep}}\n"}
    )
    base = repository.head
    repository.commit({"vssync.yaml": None})
    git = GitHistory(repository.tree)
    assert told_of(git, base, []) == []


def told_of(git: GitHistory, base: str, present: list[ManifestHistory]) -> list[ManifestReview]:
    owners = [manifest.owner for each in present if (manifest := each.valid_at(git.head))]
    removed = [ManifestHistory(git, path) for path in find_removed(git, base)]
    return list(review_removed(removed, base, owners))


KB = "version: 1\nowner: kb\nstores:\n  docs:\n    files:\n%s"
ENTRY, OTHER = "      - path: faq/**/*.md\n", "      - path: guide/*.md\n"
TEXTS: Files = {f"kb/faq/{folder}{number}.md": "q\n" for folder in ("", "old/") for number in range(3)}


@pytest.mark.parametrize(
    ("files", "fewer"),
    [
        ({"kb/faq/new.md": "q\n"}, []),
        ({"kb/faq/0.md": None}, [("kb/vssync.yaml:6:9", "faq/**/*.md", 5, 6, "faq/**/*.md")]),
        ({"kb/vssync.yaml": KB % (ENTRY.replace("**/", "") + OTHER)}, [("kb/vssync.yaml:6:9", "faq/*.md", 3, 6)]),
        (
            {"kb/vssync.yaml": KB % (OTHER + ENTRY + "        exclude: [faq/old]\n")},
            [("kb/vssync.yaml:7:9", "faq/**/*.md", 3, 6)],
        ),
        ({"kb/vssync.yaml": KB % OTHER}, [("", "", 0, 6, "faq/**/*.md")]),
        ({"kb/vssync.yaml": KB % (OTHER + "      - path: '{faq,more}/**/*.md'\n")}, []),
    ],
)
def test_patterns_say_what_they_lost(tmp_path: Path, files: Files, fewer: list[tuple[object, ...]]) -> None:
    repository = Repository(tmp_path, {"kb/vssync.yaml": KB % (ENTRY + OTHER), "kb/guide/a.md": "g\n", **TEXTS})
    base = repository.head
    repository.commit(files)
    history = ManifestHistory(GitHistory(repository.tree), "kb")
    manifest = history.valid_at(repository.head)
    assert manifest
    found = fewer_matches(history, manifest, base, {"docs"}).get("docs", ())
    assert fewer_matches(history, manifest, base, set()) == {}
    assert [astuple(match)[: len(row)] for match, row in zip(found, fewer, strict=True)] == fewer
