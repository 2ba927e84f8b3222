"""Reading manifests and files: what is found, what may be read, and what changes meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest

from tests.manifest.builders import files_by_key, load_manifest, load_problems, write_files
from tests.sources.test_git import git, start_repository
from vssync.errors import ManifestError
from vssync.files import write_file
from vssync.limits import MAX_UPLOAD_BYTES
from vssync.sources import read as read_module
from vssync.sources.load import MANIFEST_NAMES, find_manifest, load_sources
from vssync.sources.paths import Sandbox
from vssync.sources.read import LoadOptions, ReadJob, are_slow, read_files

ALL = "stores: {guide: {files: [{path: 'docs/**'}]}}"
LENIENT = "stores: {guide: {skip: [empty, unsupported, too_large], files: [{path: 'docs/**'}]}}"


def test_files_are_found_read_and_hashed(tmp_path: Path) -> None:
    loaded = load_manifest(tmp_path, ALL, {"docs/b.md": "two", "docs/a/c.md": "three"})
    resolved = files_by_key(loaded)
    assert list(resolved) == ["docs/a/c.md", "docs/b.md"]
    assert resolved["docs/b.md"].sha256 == hashlib.sha256(b"two").hexdigest()
    assert (resolved["docs/b.md"].size, resolved["docs/b.md"].path) == (3, "docs/b.md")
    assert (loaded.root, loaded.file) == (tmp_path, str(tmp_path / "vssync.yaml"))


@pytest.mark.parametrize("name", ["docs/b.md", "docs/b.txt"])
@pytest.mark.parametrize("source", ["", "git.date", "front_matter"])
def test_files_may_stay_unread(tmp_path: Path, name: str, source: str) -> None:
    start_repository(tmp_path, {name: "two"})
    text = f"{ALL}\ndefaults: {{attributes: {{a: {{from: {source}}}}}}}" if source else ALL
    resolved = files_by_key(load_manifest(tmp_path, text, {}, options=LoadOptions(hashed=False)))
    assert (resolved[name].size, resolved[name].sha256) == (3, "")


@pytest.mark.parametrize(
    ("tick", "timed"),
    [
        pytest.param(0.0, 300, id="by one thread"),
        pytest.param(1.0, 64, id="by several, from the second group on"),
    ],
)
def test_many_files_are_read_in_their_order(tmp_path: Path, tick: float, timed: int) -> None:
    pages = {f"{number:03}.md": f"page {number}" for number in range(300)}
    root = write_files(tmp_path, pages)
    done: list[tuple[int, int]] = []
    times: list[float] = []

    def clock() -> float:
        times.append(tick * len(times))
        return times[-1]

    options = LoadOptions(on_hashed=lambda count, size: done.append((count, size)))
    readings, problems = read_files(Sandbox((root,)), [ReadJob(path) for path in pages], options, clock)
    assert not problems
    assert [*readings] == [(path, "") for path in pages]
    assert [each.sha256 for each in readings.values()] == [
        hashlib.sha256(text.encode()).hexdigest() for text in pages.values()
    ]
    assert done == [*enumerate(accumulate(map(len, pages.values())), 1)]
    assert len(times) == timed + -(-timed // 64)  # the begin of each group, and the end of each file


@pytest.mark.parametrize(
    ("seconds", "slow"),
    [
        ([], False),
        ([0.00002] * 64, False),  # small files in memory
        ([0.00002] * 60 + [0.5] * 4, False),  # a few waited, since others use the machine
        ([0.00002] * 20 + [0.003] * 44, True),  # a file system on a network
        ([0.003], True),
    ],
)
def test_threads_are_for_files_most_of_which_are_slow(seconds: list[float], slow: bool) -> None:
    assert are_slow(seconds) is slow


def test_a_file_of_two_stores_is_read_once(tmp_path: Path) -> None:
    told: list[int] = []
    text = "stores: {a: {files: [{path: 'docs/*'}]}, b: {files: [{path: 'docs/*'}]}}"
    load_manifest(tmp_path, text, {"docs/a.md": "x"}, options=LoadOptions(on_hashed=lambda done, _: told.append(done)))
    assert told == [1]


@pytest.mark.parametrize("name", ["vssync.yaml", "vssync.yml", "other.yml", "vssync.json"])
def test_a_manifest_is_a_file_or_a_folders(tmp_path: Path, name: str) -> None:
    path = write_files(tmp_path, {name: '{"version": 1, "owner": "docs", "stores": {}}'}) / name
    assert load_sources(path).desired.owner == "docs"
    assert find_manifest(path.parent if name in MANIFEST_NAMES else path) == path


def test_two_manifests_in_a_folder_are_one_too_many(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(MANIFEST_NAMES, "stores: {}"))
    with pytest.raises(ManifestError, match=r"holds vssync\.yaml and vssync\.yml\n    keep one of them"):
        find_manifest(tmp_path)


@pytest.mark.parametrize("name", ["", "nobody.yaml"])
def test_no_manifest_is_one_message(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match="there is no manifest"):
        find_manifest(tmp_path / name)


def test_skipped_files_are_counted_with_their_reason(tmp_path: Path) -> None:
    write_files(tmp_path, {"docs/empty.md": "", "docs/a.xyz": "x", "docs/noext": "x"})
    with (tmp_path / "docs/huge.md").open("wb") as file:
        file.truncate(MAX_UPLOAD_BYTES + 1)
    (store,) = load_manifest(tmp_path, LENIENT, {"docs/a.md": "x"}).desired.stores
    assert [file.key for file in store.files] == ["docs/a.md"]
    assert store.skipped == {
        "docs/empty.md": "empty",
        "docs/a.xyz": "unsupported",
        "docs/noext": "unsupported",
        "docs/huge.md": "too_large",
    }


@pytest.mark.parametrize(
    ("provider", "name", "content", "message"),
    [
        ("local", "docs/a.md", "", "the file is empty, and services refuse empty files"),
        ("local", "docs/a.csv", "x", "the extension `.csv` is not among those of the provider `local`"),
        ("oci", "docs/a.py", "x", "the extension `.py` is not among those of the provider `oci`"),
        (
            "local}\ndefaults: {formats: {.csv: null}",
            "docs/a.csv",
            "x",
            "`formats` says that the extension `.csv` is not",
        ),
        ("local", "docs/a", "x", "a name without extension is not among those"),
        ("local", "docs/v1.2/a", "x", "a name without extension is not among those"),
        ("local", "docs/v1.2/a.CSV", "x", "the extension `.csv` is not among those"),
    ],
)
def test_files_no_service_takes_are_problems(
    tmp_path: Path, provider: str, name: str, content: str, message: str
) -> None:
    (problem,) = load_problems(tmp_path, f"service: {{provider: {provider}}}\n{ALL}", {name: content})
    assert message in problem.message
    assert "exclude it, or add `skip:" in problem.hint
    assert (problem.file, problem.line) == (name, 0)


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 123456\n"


@pytest.mark.parametrize(
    ("content", "is_pointer"),
    [
        (POINTER, True),
        (POINTER + "x" * 1024, False),
        (f"# About\n{POINTER}", False),
        (POINTER.replace("v1", "v2"), False),
    ],
)
@pytest.mark.parametrize("name", ["docs/a.md", "docs/a.pdf"])
def test_a_pointer_of_git_lfs_is_not_the_document(tmp_path: Path, name: str, content: str, is_pointer: bool) -> None:
    service = "service: {provider: compatible, data_url: 'http://x/v1'}"
    if not is_pointer:
        assert list(files_by_key(load_manifest(tmp_path, f"{service}\n{ALL}", {name: content}))) == [name]
        return
    (problem,) = load_problems(tmp_path, f"{service}\n{ALL}", {name: content})
    assert problem.message == "is a Git LFS pointer, not the document itself"
    assert problem.hint == "run `git lfs pull`, or add `skip: [broken]`"
    skipping = f"{service}\nstores: {{guide: {{skip: [broken], files: [{{path: 'docs/**'}}]}}}}"
    (store,) = load_manifest(tmp_path, skipping, {name: content}).desired.stores
    assert (store.files, store.skipped) == ((), {name: "broken"})


def test_a_file_named_in_full_is_never_skipped(tmp_path: Path) -> None:
    text = "stores: {guide: {skip: [empty], files: [{path: docs/a.md}]}}"
    (problem,) = load_problems(tmp_path, text, {"docs/a.md": ""})
    assert (problem.message[:17], problem.hint) == ("the file is empty", "remove the entry")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("a.mdx", "{.mdx: .md}`"),
        ("a.adoc", "{.adoc: .txt}`"),
        ("a.docx", "{.docx: markdown}` to convert it"),
        ("a.epub", "{.epub: .epub}` if the service takes it"),
    ],
)
def test_a_kind_that_is_not_supported_has_its_row_of_formats(tmp_path: Path, name: str, row: str) -> None:
    (problem,) = load_problems(tmp_path, ALL, {f"docs/{name}": "x"})
    assert problem.hint == f"exclude it, or add `skip: [unsupported]`, or write `formats: {row}"


def test_a_kind_that_formats_takes_out_is_not_offered_a_row_of_formats(tmp_path: Path) -> None:
    text = "stores: {guide: {formats: {.md: null}, files: [{path: 'docs/**'}]}}"
    (problem,) = load_problems(tmp_path, text, {"docs/a.md": "x"})
    assert problem.message == "`formats` says that the extension `.md` is not taken"
    assert problem.hint == "exclude it, or add `skip: [unsupported]`, or change `formats`"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ("service: {provider: openai}", ["docs/a.MD", "docs/a.py"]),
        ("service: {provider: oci}", ["docs/a.MD"]),
        ("service: {provider: compatible}", ["docs/a.MD", "docs/a.py", "docs/a.xyz"]),
        ("service: {provider: oci}\ndefaults: {formats: {.xyz: .xyz, .md: null}}", ["docs/a.xyz"]),
        ("service: {provider: compatible}\ndefaults: {formats: {.md: null}}", ["docs/a.py", "docs/a.xyz"]),
    ],
)
def test_a_store_takes_what_formats_say_over_the_providers_list(
    tmp_path: Path, settings: str, names: list[str]
) -> None:
    pages = {"docs/a.MD": "x", "docs/a.py": "x", "docs/a.xyz": "x"}
    resolved = files_by_key(load_manifest(tmp_path, f"{settings}\n{LENIENT}", pages))
    assert sorted(resolved) == names
    assert [file.filename for file in resolved.values() if file.key == "docs/a.MD"] in ([], ["docs__a.md"])


def test_names_are_composed_and_their_spelling_on_disk_kept(tmp_path: Path) -> None:
    decomposed = "docs/gro\u0308\u00dfe.md"
    (file,) = files_by_key(load_manifest(tmp_path, ALL, {decomposed: "x"})).values()
    assert (file.key, file.path) == ("docs/gr\u00f6\u00dfe.md", decomposed)
    assert file.sha256


@pytest.mark.parametrize(
    ("names", "warning"),
    [
        (("docs/Intro.md", "docs/intro.md"), "`docs/Intro.md` and `docs/intro.md` differ only in case"),
        (("docs/A/x.md", "docs/a/x.md", "docs/a/y.md", "docs/A/Y.md"), "differ only in case, and 1 more pair"),
        (("docs/ÄB.md", "docs/äb.md"), "`docs/ÄB.md` and `docs/äb.md` differ only in case"),
        (("docs/straße.md", "docs/strasse.md"), ""),
        (("docs/A.md", "docs/b.md"), ""),
    ],
)
def test_keys_that_differ_only_in_case_are_a_warning(tmp_path: Path, names: tuple[str, ...], warning: str) -> None:
    loaded = load_manifest(tmp_path, ALL, dict.fromkeys(names, "x"))
    assert len(files_by_key(loaded)) == len(names)
    assert [warning in found.message for found in loaded.warnings] == [True] * bool(warning)


def test_without_git_nobody_can_say_what_is_tracked(tmp_path: Path) -> None:
    loaded = load_manifest(tmp_path, ALL, {"docs/a.md": "x", "docs/b.md": "x", ".gitignore": "b.md"})
    (warning,) = loaded.warnings
    assert warning.message == "1 file left out because of .gitignore, without git: there is no .git"


@pytest.mark.parametrize("path", [b"/docs/\xff.md", b"/docs/\xff/b.md", b"/docs/\xff/\xc3\xa9.md"])
def test_a_name_that_is_not_text_is_a_problem(tmp_path: Path, path: bytes) -> None:
    write_files(tmp_path, {"docs/a.md": "x"})
    absolute = os.fsencode(tmp_path) + path
    os.makedirs(os.path.dirname(absolute), exist_ok=True)
    with open(absolute, "wb") as file:
        file.write(b"x")
    (problem,) = load_problems(tmp_path, ALL, {})
    assert "is not UTF-8; rename it" in problem.message
    git(tmp_path, "init", "-q")
    ignored = load_manifest(tmp_path, ALL, {".gitignore": "docs/*\n!docs/a.md"})
    assert list(files_by_key(ignored)) == ["docs/a.md"]
    assert set(ignored.desired.stores[0].skipped.values()) == {"ignored"}


def test_hidden_files_and_our_own_folders(tmp_path: Path) -> None:
    pages = dict.fromkeys(("a.md", ".github/b.md", ".git/c.md", ".vssync/d.md", "sub/.vssync/e.md", "sub/.f.md"), "x")
    plain = files_by_key(load_manifest(tmp_path, "stores: {s: {files: [{path: '**/*.md'}]}}", pages))
    named = files_by_key(
        load_manifest(tmp_path, "stores: {s: {files: [{path: '**/{*.md,.*.md}'}, {path: '.github/**'}]}}", pages)
    )
    dotted = files_by_key(load_manifest(tmp_path, "stores: {s: {files: [{path: '{.*/**/*,*}.md'}]}}", pages))
    assert list(plain) == ["a.md"]
    assert list(named) == [".github/b.md", "a.md", "sub/.f.md"]
    assert list(dotted) == [".github/b.md", "a.md"]


def test_what_is_no_file_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    try:
        write_file(pipe, "new\n")
        assert (os.read(reader, 9), pipe.is_fifo()) == (b"new\n", True)
    finally:
        os.close(reader)


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'.*/none/p\.json'$"):
        write_file(tmp_path / "none" / "p.json", "new\n")


def test_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_files(tmp_path, {"plan.json": "old"}) / "plan.json"
    write_file(path, "new\n")
    assert path.read_text() == "new\n"
    with pytest.raises(UnicodeEncodeError):
        write_file(path, "\ud800")
    assert path.read_text() == "new\n"
    assert os.listdir(tmp_path) == ["plan.json"]


@pytest.mark.parametrize("home", ["checkout", "wheel"])
def test_schemas_are_found_where_they_ship(tmp_path: Path, home: str) -> None:
    package = Path(read_module.__file__).parent.parent
    (tmp_path / "vssync").symlink_to(package) if home == "checkout" else _wheel(package, tmp_path)
    code = "from vssync.sources.schemas import load_schema; print(load_schema('manifest.schema.json')['title'])"
    if home == "checkout":
        (tmp_path / "schemas").symlink_to(package.parent / "schemas")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=True
    )
    assert done.stdout == b"vssync manifest\n"


def _wheel(package: Path, target: Path) -> None:
    """The package as a wheel lays it out: the schemas inside."""
    (target / "vssync").mkdir()
    for part in package.iterdir():
        (target / "vssync" / part.name).symlink_to(part)
    (target / "vssync/schemas").symlink_to(package.parent / "schemas")
