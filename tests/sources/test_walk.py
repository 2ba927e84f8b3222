"""Which files a walk meets and which it leaves out: ignored by git, behind links, and names of every spelling."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.cli.test_commands import vssync
from tests.manifest.builders import HEAD, files_by_key, load_manifest, load_problems, write_files
from tests.program import STARTED
from tests.sources.test_git import git, start_repository
from vssync.errors import ManifestError
from vssync.manifest.globs import compile_pattern
from vssync.sources.ignore import IgnoreFile
from vssync.sources.load import file_provenance, load_sources
from vssync.sources.paths import Sandbox, sandbox_around
from vssync.sources.walk import walk_files

Outcome = tuple[set[str], dict[str, str]]


def choose(root: Path, *patterns: str, header: str = "") -> Outcome:
    """The keys that a store takes by these patterns, and what it leaves out, with the reasons."""
    entries = ", ".join(f"{{path: '{pattern}', optional: true}}" for pattern in patterns)
    (store,) = load_manifest(root, f"{header}stores: {{s: {{files: [{entries}]}}}}", {}).desired.stores
    return {file.key for file in store.files}, dict(store.skipped)


def files_of(*names: str) -> dict[str, str | bytes]:
    return dict.fromkeys(names, "x")


@pytest.mark.parametrize(
    ("ignore_files", "patterns", "left_out"),
    [
        ({".gitignore": "dist/"}, ["**/*.md"], ["dist/a.md", "dist/api/b.md"]),
        ({".gitignore": "dist/"}, ["**/*.md", "dist/api/*.md"], ["dist/a.md"]),
        ({".gitignore": "dist/"}, ["dist/**", "docs/*.md"], []),
        ({".gitignore": "dist/"}, ["dist/*.md", "d*/**/*.md"], ["dist/api/b.md"]),
        ({".gitignore": "dist/"}, ["{dist,docs}/**"], ["dist/a.md", "dist/api/b.md"]),
        ({".gitignore": "/a.md"}, ["**/*.md"], ["a.md"]),
        ({".gitignore": "a.md"}, ["docs/a.md"], []),
        ({".gitignore": "a.md\n!docs/a.md"}, ["**/*.md"], ["a.md", "dist/a.md"]),
        ({".gitignore": "docs\n", "docs/.gitignore": "!a.md"}, ["**/*.md"], ["docs/a.md", "docs/b.md"]),
        ({"docs/.gitignore": "*\n!a.md"}, ["**/*.md"], ["docs/b.md"]),
        ({".gitignore": "*.md\r\n", "docs/.gitignore": "!*"}, ["docs/**", "a.md"], []),
        ({".gitignore": "nothing"}, ["**/*.md"], []),
    ],
)
def test_ignored_files_are_hidden_files(
    tmp_path: Path, ignore_files: dict[str, str], patterns: list[str], left_out: list[str]
) -> None:
    """Wildcards pass them by; a pattern whose fixed part lies inside means them, and only that one."""
    git(tmp_path, "init", "-q")
    pages = files_of("a.md", "docs/a.md", "docs/b.md", "dist/a.md", "dist/api/b.md")
    write_files(tmp_path, {**pages, **ignore_files})
    taken, skipped = choose(tmp_path, *patterns)
    assert skipped == dict.fromkeys(left_out, "ignored")
    assert not taken.intersection(left_out)
    os.rename(tmp_path / ".git", tmp_path / "moved")
    assert choose(tmp_path, *patterns) == (taken, dict.fromkeys(left_out, "ignored_without_git"))


def test_tracked_files_are_never_ignored(tmp_path: Path) -> None:
    start_repository(tmp_path, files_of("dist/kept.md", "dist/größe/kept.md", "a.log.md"))
    write_files(
        tmp_path, {**files_of("dist/new.md", "dist/größe/new.md", "b.log.md"), ".gitignore": "dist/\n*.log.md\n"}
    )
    kept = {"a.log.md", "dist/kept.md", "dist/größe/kept.md"}
    left_out = dict.fromkeys(("b.log.md", "dist/new.md", "dist/größe/new.md"), "ignored")
    assert choose(tmp_path, "**/*.md") == (kept, left_out)
    write_files(tmp_path, {"docs/ops/c.md": "x"})
    taken, _ = choose(tmp_path / "docs/ops", "dist/kept*", "*.md", header="root: ../..\n")
    assert taken == {"a.log.md", "dist/kept.md"}


def test_only_the_work_trees_own_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine has another user and another `.git`."""
    tree = start_repository(tmp_path / "tree", files_of("a.md"))
    write_files(tmp_path, {"home/.config/git/ignore": "*.md", "elsewhere": "*.md"})
    write_files(tree, {**files_of("new.md", "sub/new.md"), ".git/info/exclude": "*.md"})
    (tree / "sub/.gitignore").symlink_to("../../elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    git(tree, "config", "core.excludesFile", str(tmp_path / "elsewhere"))
    assert choose(tree, "**/*.md") == ({"a.md", "new.md", "sub/new.md"}, {})


@pytest.mark.parametrize("root", ["docs", "docs/in"])
def test_the_files_above_the_root_count_too(tmp_path: Path, root: str) -> None:
    git(tmp_path, "init", "-q")
    write_files(tmp_path, {**files_of("docs/in/a.md", "docs/in/b.md", "docs/in/c.md"), ".gitignore": "docs/in/b.md"})
    write_files(tmp_path, {"docs/.gitignore": "c.md"})
    taken, left_out = choose(tmp_path / root, "**/*.md")
    assert ({Path(key).name for key in taken}, {Path(key).name for key in left_out}) == ({"a.md"}, {"b.md", "c.md"})


def test_a_root_that_git_ignores_is_meant(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write_files(tmp_path, {**files_of("build/site/a.md", "build/site/b.md"), ".gitignore": "build/\nb.md\n"})
    assert choose(tmp_path / "build/site", "*.md") == ({"a.md", "b.md"}, {})


def test_a_submodule_has_ignore_files_and_tracked_files_of_its_own(tmp_path: Path) -> None:
    start_repository(tmp_path / "other", files_of("kept.log.md"))
    tree = start_repository(tmp_path / "tree", {".gitignore": "*.md\n"})
    git(tree, "submodule", "--quiet", "add", str(tmp_path / "other"), "docs/sub")
    write_files(tree / "docs/sub", {**files_of("a.md", "b.log.md"), ".gitignore": "*.log.md"})
    assert choose(tree, "docs/**/*.md") == ({"docs/sub/a.md", "docs/sub/kept.log.md"}, {"docs/sub/b.log.md": "ignored"})


def test_an_ignored_folder_that_cannot_be_read_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that runs in a container keeps such folders."""
    git(tmp_path, "init", "-q")
    write_files(tmp_path, {**files_of("a.md", "data/b.md"), ".gitignore": "data"})
    real = os.scandir

    def scandir(path: Path) -> object:
        if str(path).endswith("data"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert choose(tmp_path, "**/*.md") == ({"a.md"}, {})
    (problem,) = load_problems(tmp_path, "stores: {s: {files: [{path: 'data/*.md'}]}}", {})
    assert "the folder cannot be read" in problem.message


def test_a_pattern_that_meets_only_ignored_files_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write_files(tmp_path, {**files_of("build/html/a.md"), ".gitignore": "build"})
    (problem,) = load_problems(tmp_path, "stores: {s: {files: [{path: '**/*.md'}]}}", {})
    assert "matches only files that git ignores or that lie behind a link" in problem.message
    assert problem.hint.startswith("begin the pattern with `build` if they are meant")


NAMES = st.sampled_from(["a", "b", "ab", "a.b", "c", "é", "*", "!", "#a", "a b", "[a", "{a,b}", ".a", "]", "x.md"])
PIECES = ["*", "?", "[ab]", "[!a]", "[^b]", "[a", "]", "a", "b", "ab", "/", "!", "\\", "\\*", "é", " ", "#", "."]
PIECES += ["a.b", "[[:alpha:]]", "[a-c]", "[]a]", "[a/b]", "[\\]]", "{a,b}", "/**/", "**/", "/**", "x.md", "\\!", "\t"]
LINE = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
LINES = st.lists(
    LINE.filter(lambda line: not re.search(r"[^/]\*\*/", line)), max_size=4
)  # versions of git differ there
IGNORE_TEXTS = st.tuples(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans()).map(
    lambda parts: parts[1].join([*parts[0], ""]).removesuffix(parts[1] if parts[2] else "")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.frozensets(PATHS, min_size=1, max_size=8), st.lists(IGNORE_TEXTS, min_size=1, max_size=3))
@example(frozenset({"a/a", "b/a/a", "a"}), ["*\\/*\n"])
@example(frozenset({"a/a", "b/a/b", "a"}), ["**\\/b\n", "\\/a"])
@example(frozenset({"a/a", "b/a/b", "a"}), ["b/**\\/b\na\\\\/a"])
def test_ignore_files_are_read_as_git_reads_them(tmp_path: Path, paths: frozenset[str], texts: list[str]) -> None:
    """What the walk leaves out is what git lists as ignored."""
    if not (tmp_path / ".git").exists():
        git(tmp_path, "init", "-q")
    for name in os.listdir(tmp_path):
        if name != ".git":
            shutil.rmtree(tmp_path / name) if (tmp_path / name).is_dir() else (tmp_path / name).unlink()
    for path in sorted(paths):
        if not any((tmp_path / parent).is_file() for parent in Path(path).parents) and not (tmp_path / path).is_dir():
            write_files(tmp_path, {path: "x"})
    folders = ["", *sorted({path.rpartition("/")[0] for path in paths if (tmp_path / path).parent.is_dir()})]
    for inner, text in zip(dict.fromkeys(folders), texts, strict=False):
        (tmp_path / inner / ".gitignore").write_bytes(text.encode())
    listing = walk_files(str(tmp_path), [compile_pattern("**"), compile_pattern("{.,[}/**")], Sandbox((tmp_path,)))
    met = {file.path: file.left_out_reason for file in listing.files if not file.path.endswith(".gitignore")}
    options = ("--others", "--ignored", "--exclude-per-directory=.gitignore", "-z")
    ignored = {path for path in git(tmp_path, "ls-files", *options).split("\0") if path}
    assert {path for path, left_out_reason in met.items() if left_out_reason} == ignored.intersection(met)
    assert met.keys() == {path for path in paths if (tmp_path / path).is_file()}


def test_no_ignore_file_takes_for_ever() -> None:
    assert not IgnoreFile("*a" * 20 + "b", "").ignores("a" * 250, is_folder=False)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [("**/a/" * 12 + "b", "has more than 4 `**`"), ("#" * 2**20 + "\na", "has more than 1,048,576 bytes")],
)
@pytest.mark.parametrize(
    ("folder", "place"), [("docs/", ".gitignore"), ("docs/sub/", "sub/.gitignore"), ("", "../.gitignore")]
)
def test_rules_that_cannot_be_used_are_a_problem(tmp_path: Path, text: str, flaw: str, folder: str, place: str) -> None:
    """Whatever they would leave out would be published; the place is relative to the root, in a submodule too."""
    start_repository(tmp_path / "docs/sub", files_of("a.md"))
    start_repository(tmp_path, {f"{folder}.gitignore": text})
    (problem,) = load_problems(tmp_path, "root: docs\nstores: {s: {files: [{path: '**/*.md'}]}}", {})
    assert (problem.file, flaw in problem.message) == (place, True)


def test_keys_that_leave_through_a_gitignore_are_guarded(tmp_path: Path) -> None:
    """A line too much would empty the store; where git cannot say which files it tracks, they stay."""
    git(tmp_path, "init", "-q")
    manifest = f"{HEAD}stores: {{docs: {{files: [{{path: 'docs/**/*.md'}}]}}}}"
    write_files(tmp_path, {"vssync.yaml": manifest, **{f"docs/{number}.md": f"page {number}" for number in range(12)}})
    assert vssync(tmp_path, "apply", "--yes").code == 0
    write_files(tmp_path, {".gitignore": "/docs/1*"})
    git(tmp_path, "add", "docs/1.md", "-f")
    plan = vssync(tmp_path, "plan", "--format", "json")
    changes = json.loads(plan.out)["stores"][0]["changes"]
    assert {change["key"]: change["reasons"] for change in changes} == {
        "docs/10.md": ["ignored"],
        "docs/11.md": ["ignored"],
    }
    write_files(tmp_path, {".gitignore": "docs/*"})
    refused = vssync(tmp_path, "apply", "--yes")
    assert (refused.code, "11 of 12 live files would be deleted (92%, limit 30%)" in refused.out + refused.err) == (
        3,
        True,
    )
    write_files(tmp_path, {".gitignore": "/docs/1*"})
    os.rename(tmp_path / ".git", tmp_path / "moved")
    without_git = vssync(tmp_path, "plan", "--format", "json")
    assert "3 files left out because of .gitignore, without git: there is no .git" in without_git.err
    (store,) = json.loads(without_git.out)["stores"]
    assert (store["changes"], [note["detail"] for note in store["notes"]]) == ([], ["ignored without git"] * 3)


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A work tree with links to folders: a sibling, the newest version, a folder around it, and one outside."""
    pages = files_of("docs/v1/a.md", "docs/v2/b.md", "shared/c.md", "shared/d/e.md", ".git/HEAD")
    tree = write_files(tmp_path / "tree", pages)
    write_files(tmp_path, files_of("outside/f.md"))
    links = {"shared": "../shared", "latest": "v2", "loop": "..", "self": "self", "out": "../../outside"}
    for name, target in links.items():
        (tree / "docs" / name).symlink_to(target)
    return tree


OWN = {"docs/v1/a.md", "docs/v2/b.md"}
BEHIND = {"docs/shared/c.md", "docs/shared/d/e.md", "docs/latest/b.md"}


@pytest.mark.parametrize(
    ("patterns", "taken", "left_out"),
    [
        (["docs/**/*.md"], OWN, BEHIND),
        (["docs/**/*.md", "docs/shared/*.md"], {*OWN, "docs/shared/c.md"}, BEHIND),
        (["docs/shared/**"], {"docs/shared/c.md", "docs/shared/d/e.md"}, set[str]()),
        (["docs/shared/d/*"], {"docs/shared/d/e.md"}, set[str]()),
        (["docs/shared/c.md", "docs/**/*.md"], {*OWN, "docs/shared/c.md"}, BEHIND),
        (["docs/s[h]ared/*.md"], set[str](), {"docs/shared/c.md"}),
        (["docs/loop/shared/*.md"], {"docs/loop/shared/c.md"}, set[str]()),
        (["docs/loop/docs/latest/*"], {"docs/loop/docs/latest/b.md"}, set[str]()),
        (["docs/*"], set[str](), {"docs/loop", "docs/out"}),
    ],
)
def test_links_to_folders_are_followed_where_a_pattern_names_them(
    linked: Path, patterns: list[str], taken: set[str], left_out: set[str]
) -> None:
    """And for that pattern alone: what wildcards would meet twice, or for ever, is counted instead."""
    (linked / "docs/self").unlink()
    assert choose(linked, *patterns) == (taken, dict.fromkeys(left_out - taken, "linked"))


def test_a_link_to_a_folder_is_no_file_of_the_ignored_folder_it_is_in(linked: Path) -> None:
    (linked / "docs/self").unlink()
    write_files(linked, {".gitignore": "docs"})
    links = ("docs/latest", "docs/loop", "docs/out", "docs/shared")
    assert choose(linked, "docs/*") == (set(), dict.fromkeys(links, "linked"))


def test_another_stores_links_are_not_followed(linked: Path) -> None:
    stores = "{a: {files: [{path: docs/shared/*.md}]}, b: {files: [{path: 'docs/**/*.md'}]}}"
    loaded = load_manifest(linked, f"stores: {stores}", {})
    assert [set(files_by_key(loaded, store)) for store in (0, 1)] == [{"docs/shared/c.md"}, OWN]
    assert set(loaded.desired.stores[1].skipped) == BEHIND


def test_what_a_file_comes_from_is_the_entry_that_names_its_link(linked: Path) -> None:
    entries = "[{path: 'docs/**/*.md'}, {path: docs/shared/*.md, attributes: {kind: shared}}]"
    loaded = load_manifest(linked, f"stores: {{s: {{files: {entries}}}}}", {})
    file = files_by_key(loaded)["docs/shared/c.md"]
    assert file_provenance(loaded, "s", file)["file"].path == ("stores", "s", "files", 1)


TWINS = "its name, or that of a folder it is in, differs from another name only in its Unicode form; rename one"


def nfd(text: str) -> str:
    return normalize("NFD", text)


@pytest.mark.parametrize(
    "pattern",
    ["größe/äpfel/é.md", "größe/äpfel/*.md", nfd("größe/äpfel/é.md"), "größe/**", "**/é.md", "größe/*/é.md", "gr*/**"],
)
@pytest.mark.parametrize("spell", [nfd, str], ids=["NFD", "NFC"])
def test_names_may_have_any_unicode_form(tmp_path: Path, pattern: str, spell: Callable[[str], str]) -> None:
    """Archives and repositories of macOS hold names in NFD."""
    write_files(tmp_path, {spell("größe/äpfel/é.md"): "x"})
    (file,) = files_by_key(load_manifest(tmp_path, f"stores: {{s: {{files: [{{path: '{pattern}'}}]}}}}", {})).values()
    assert (file.key, file.path) == ("größe/äpfel/é.md", spell("größe/äpfel/é.md"))
    load_manifest(tmp_path, "root: größe\nstores: {s: {files: [{path: '**'}]}}".replace("größe", spell("größe")), {})


@pytest.mark.parametrize(
    ("names", "pattern", "message"),
    [
        (("ö.md", nfd("ö.md")), "*.md", TWINS),
        (("ö.md", nfd("ö.md")), "ö.md", TWINS),
        (("ö/a.md", nfd("ö/b.md")), "**/*.md", TWINS),
        (("ö/a.md", nfd("ö/b.md")), "ö/a.md", TWINS),
        (("ö/a.md", nfd("ö/b.md"), "docs/a.md"), "docs/*.md", ""),
    ],
)
def test_two_names_that_are_one_text_are_a_problem(
    tmp_path: Path, names: tuple[str, ...], pattern: str, message: str
) -> None:
    write_files(tmp_path, files_of(*names))
    text = f"stores: {{s: {{files: [{{path: '{pattern}'}}]}}}}"
    if message:
        assert message in [problem.message for problem in load_problems(tmp_path, text, {})]
    else:
        load_manifest(tmp_path, text, {})


class CarelessDisk:
    """What Windows and macOS do with the path of a file that exists: cases, and dots and spaces at its end, are one."""

    def __init__(self, root: Path) -> None:
        self._real = {name: getattr(os, name) for name in ("stat", "lstat", "scandir")}
        self._known = {str(path).lower(): str(path) for path in root.rglob("*")}

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets `os` behave so."""
        for name, real in self._real.items():
            monkeypatch.setattr(os, name, lambda path, *args, real=real, **kw: real(self._spelled(path), *args, **kw))

    def _spelled(self, path: object) -> object:
        return self._known.get(str(path).lower().rstrip(". "), path)


@pytest.mark.parametrize("pattern", ["docs/A.md", "DOCS/*.md", "docs/a.md.", "docs./*.md", "docs/a.md ", "docs/CON"])
def test_a_name_is_taken_as_it_is_written_on_any_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    manifest = f"{HEAD}stores: {{s: {{files: [{{path: '{pattern}'}}]}}}}"
    write_files(tmp_path, {"docs/a.md": "x", "vssync.yaml": manifest})
    CarelessDisk(tmp_path).patch(monkeypatch)
    assert os.stat(tmp_path / "DOCS/A.md .").st_size == 1
    with pytest.raises(ManifestError, match=r"does not exist|matches no file"):
        load_sources(tmp_path)


def test_no_spelling_leads_into_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {".git/config": "secret", "GIT~1/config": "secret", ".GIT/config": "secret"})
    sandbox = sandbox_around(tmp_path, ())
    assert [sandbox.allows(tmp_path / name / "config") for name in (".git", ".GIT", "GIT~1")] == [False, False, True]
    monkeypatch.setattr(os.path, "samefile", lambda one, other: (one.name, other.name) == ("GIT~1", ".git"))
    assert not sandbox.allows(tmp_path / "GIT~1/config")


@pytest.fixture(scope="session")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a locale of ISO-8859-1, where localedef can make one; else of the plain one."""
    folder = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-f", "ISO-8859-1", "-i", "de_DE", str(folder / "de_DE")]
    is_made = shutil.which("localedef") and subprocess.run(command, capture_output=True, check=False).returncode < 2
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE" if is_made else "C"}


def in_locale(variables: dict[str, str]) -> dict[str, str]:
    """The variables of a process in this locale."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONUTF8"))}
    return others | variables


@pytest.mark.wide(2)
@pytest.mark.parametrize("locale", ["POSIX", "latin_1"])
def test_names_are_utf_8_in_any_locale(tmp_path: Path, latin_1: dict[str, str], locale: str) -> None:
    """A plan in another locale than that of the apply finds nothing to do."""
    variables = latin_1 if locale == "latin_1" else {"LC_ALL": "POSIX"}
    patterns = {"name": "größe/ä.md", "folder": "größe/**", "glob": "gr*/ä.md"}
    stores = ", ".join(f"{key}: {{files: [{{path: '{pattern}'}}]}}" for key, pattern in patterns.items())
    manifest = f"{HEAD}stores: {{{stores}}}"
    folder = write_files(tmp_path / "größe", {"größe/ä.md": "words", "vssync.yaml": manifest})
    environment = in_locale(variables)
    subprocess.run([*STARTED, "apply", "--yes"], cwd=folder, env=environment, check=True)
    subprocess.run([*STARTED, "plan", "--detailed-exitcode"], cwd=folder, env=environment, check=True)
    subprocess.run([*STARTED, "plan", "--detailed-exitcode"], cwd=folder, check=True)


def test_a_root_and_a_revision_are_utf_8_in_any_locale(tmp_path: Path, latin_1: dict[str, str]) -> None:
    manifest = HEAD + "root: größe\nstores: {s: {files: [{path: '*.md'}]}}"
    tree = start_repository(tmp_path, {"größe/größe/ä.md": "words", "größe/vssync.yaml": manifest})
    command = [*STARTED, "plan", "--against", "HEAD", "--detailed-exitcode"]
    subprocess.run(command, cwd=tree / "größe", env=in_locale(latin_1), check=True)
