"""Many stores at once: whatever they hold, the manifest takes over all of it, and writes nothing but marks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import vssync
from tests.dump.test_taking_over import adopts_and_converges, connected_to, put, written
from vssync.commands.dump.run import DumpRequest, dump_stores
from vssync.errors import VssyncError
from vssync.model.service import ServiceSpec
from vssync.model.state import Attributes, Scalar

PAGE = "---\ntitle: {0}\n---\n# The {0}\n"
Files = Mapping[str, tuple[str, Attributes]]  # upload name -> content, attributes
KINDS: tuple[Scalar, ...] = (True, 1, "1", "true", 1.5)
# The settings of a store, and its files.
SHAPES: Mapping[str, tuple[Mapping[str, Any], Files]] = {
    "empty": ({}, {}),
    "settings": (
        {
            "metadata": {f"k{number:02}": "x" for number in range(12)},
            "description": "${x}",
            "expires_after": {"anchor": "last_active_at", "days": 7},
        },
        {"a.txt": ("settings", {})},
    ),
    "by-path": (
        {},
        {
            f"by-path__{folder}__{name}.md": (
                PAGE.format(f"{folder} {name}"),
                {
                    "path": f"by-path/{folder}/{name}.md",
                    "section": folder,
                    "title": f"{folder} {name}",
                    "url": f"https://x.example/{folder}/{name}.html",
                    "lang": "de" if name == "c" else "en",
                },
            )
            for folder in ("api", "guide")
            for name in "abcdef"
        },
    ),
    "all differ": ({}, {f"all differ__{name}.md": (name, {name: 1.0, "n": ord(name)}) for name in "xyz"}),
    "kinds": ({}, {f"kinds__{n}.md": (str(n), {"v": value}) for n, value in enumerate(KINDS)}),
    "drafts": ({}, {"drafts__a.md": ("---\ndraft: true\n---\nA", {}), "drafts__b.md": ("B", {})}),
    "unloadable": ({}, {"unloadable__a.md": (" \n", {"k": "blank"}), "unloadable__b.md": ("text", {"k": "text"})}),
    "odd names": ({}, {"../up.md": ("up", {"k": "1"}), ".hidden.md": ("h", {}), "a\nb ${x}.md": ("nl", {"k": "${x}"})}),
    "${store}": ({}, {"dollar.md": ("$", {"client": "store", "a": "$", "b": "$${"})}),
    "Größe": ({}, {"größe.md": ("ö", {"k": "größe"})}),
    "same": ({}, {"same.md": ("1", {})}),
    "Same": ({}, {"same.md": ("2", {})}),
    "": ({}, {"unnamed.md": ("unnamed", {})}),
}


def filled(folder: Path, *more_names: str) -> None:
    """A service with a store of each shape; `more_names` are of stores that are there already."""
    with connected_to(folder) as connection:
        for name, (settings, files) in [*SHAPES.items(), *((name, SHAPES[name]) for name in more_names)]:
            store = connection.client.create_store({"name": name, **settings})
            for upload_name, (content, attributes) in files.items():
                put(connection.client, store.id, upload_name, content.encode(), attributes)


def dumped(folder: Path, *, is_split: bool = False, **given: Any) -> dict[str, str]:
    with connected_to(folder) as connection:
        request = DumpRequest((), "kb", folder / "vssync.yaml", is_split=is_split, **given)
        texts, _ = dump_stores(connection, ServiceSpec(), request)
    written(folder, {name: text.encode() for name, text in texts.items()})
    return texts


COUNT = sum(len(files) for _, files in SHAPES.values())


@pytest.mark.parametrize("is_split", [False, True])
def test_stores_of_every_shape_are_taken_over_by_id(tmp_path: Path, is_split: bool) -> None:
    filled(tmp_path, "same")
    texts = dumped(tmp_path, is_split=is_split)
    assert len(texts) == (len(SHAPES) + 2 if is_split else 1)
    adopts_and_converges(tmp_path, COUNT + 1)


@pytest.mark.wide(2)
@pytest.mark.parametrize("is_split", [False, True])
def test_stores_of_every_shape_are_taken_over_by_path(tmp_path: Path, is_split: bool) -> None:
    filled(tmp_path)
    files = {name: content for _, files in SHAPES.values() for name, (content, _) in files.items() if "__" in name}
    others = {"by-path/api/new.md": b"new", "by-path/old/a.md": b"1", "by-path/old/b.md": b"2", "drafts/c.md": b"C"}
    written(tmp_path, {name.replace("__", "/"): content.encode() for name, content in files.items()} | others)
    texts = dumped(tmp_path, is_split=is_split, match=tmp_path)
    text = "".join(texts.values())
    assert "exclude: [by-path/api/new.md, by-path/old]" in text.replace('"', "")
    assert '      path: "${path}"\n      section: "${dir.1}"\n      title:\n        from: front_matter\n' in text
    assert text.count("path: by-path") == 1
    adopts_and_converges(tmp_path, COUNT)


def test_what_is_taken_over_is_dumped_as_it_is_managed(tmp_path: Path) -> None:
    """The second manifest has the keys of the marks, and adopts nothing."""
    filled(tmp_path)
    first = "".join(dumped(tmp_path).values())
    adopts_and_converges(tmp_path, COUNT)
    second = "".join(dumped(tmp_path).values())
    assert "adopt: true" in first
    assert "adopt: true" not in second
    with connected_to(tmp_path) as connection:
        _, dump = dump_stores(connection, ServiceSpec(), DumpRequest((), "new", tmp_path / "vssync.yaml"))
    assert dump.options == ("--adopt-from", "kb")


NO_STORES = ("status=403:GET:/vector_stores",)


def test_a_store_that_cannot_be_listed_is_left_out_or_refused(tmp_path: Path) -> None:
    with connected_to(tmp_path) as connection:
        ids = [connection.client.create_store({"name": name}).id for name in ("one", "two")]
        put(connection.client, ids[1], "a.md", b"text", {})
    faults = (f"status=400:GET:/vector_stores/{ids[0]}/files",)
    with connected_to(tmp_path, faults) as connection:
        texts, dump = dump_stores(connection, ServiceSpec(), DumpRequest((), "kb", tmp_path / "vssync.yaml"))
        assert [store.key for store in dump.stores] == ["two"]
        assert f"# Left out: 1 store. It stays as it is.\n#   {ids[0]} (one): the files of" in texts["vssync.yaml"]
        with pytest.raises(VssyncError, match=r"one: the files of .* cannot be listed"):
            dump_stores(connection, ServiceSpec(), DumpRequest(("one",), "kb", tmp_path / "vssync.yaml"))
    (tmp_path / "vssync.yaml").write_text(texts["vssync.yaml"])
    adopts_and_converges(tmp_path, 1)


def test_without_the_right_to_list_stores_one_is_external(tmp_path: Path) -> None:
    with connected_to(tmp_path) as connection:
        store = connection.client.create_store({"name": "one"})
        put(connection.client, store.id, "a.md", b"text", {"k": "v"})
    written(tmp_path, {"a.md": b"text"})
    with connected_to(tmp_path, NO_STORES) as connection:
        request = DumpRequest((store.id,), "kb", tmp_path / "vssync.yaml", match=tmp_path)
        (text,) = dump_stores(connection, ServiceSpec(), request)[0].values()
        with pytest.raises(VssyncError, match="--store one: this credential may not list stores"):
            dump_stores(connection, ServiceSpec(), DumpRequest(("one",), "kb", tmp_path / "vssync.yaml"))
    with connected_to(tmp_path, NO_STORES) as connection, pytest.raises(VssyncError, match="403"):
        dump_stores(connection, ServiceSpec(), DumpRequest((), "kb", tmp_path / "vssync.yaml"))
    assert f"    external: true\n    id: {store.id}\n    adopt: true\n" in text
    (tmp_path / "vssync.yaml").write_text(text)
    adopts_and_converges(tmp_path, 1)


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ((), 64, "give --store with the name or id of a store, or --all for every store"),
        (("--store", ""), 64, "(one without a name is found by its id, vs_...)"),
        (("--all", "--store", "same"), 64, "or --all for every store"),
        (("--store", "saem"), 64, "--store saem: the service has no such store; did you mean `same`?"),
        (("--store", "same", "--store", "same"), 64, "--store same: names the same store as --store same"),
        (("--all", "-o", "old.yaml"), 3, "old.yaml: exists already, and nothing was written"),
        (("--all", "-o", "old"), 3, "old/vssync.yml: exists already"),
        (("--all", "-o", "parts/"), 3, "parts/stores/x.yaml: exists already"),
        (("--all", "-o", "no/where.yaml"), 1, "no/where.yaml: cannot be written: No such file or directory"),
        (("--all", "-o", "old.yaml/"), 1, "cannot be written"),
        (("--all", "-f", "parts"), 64, "give --provider with the service of the stores, or -f with a manifest"),
    ],
)
def test_bad_input(tmp_path: Path, words: tuple[str, ...], code: int, error: str) -> None:
    with connected_to(tmp_path) as connection:
        connection.client.create_store({"name": "same"})
    written(
        tmp_path, {"vssync.yaml": b"{version: 1, owner: kb, stores: {}}", "old.yaml": b"old", "old/vssync.yml": b""}
    )
    written(tmp_path, {"parts/stores/x.yaml": b""})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.y*ml")}
    done = vssync(tmp_path, "dump", *words)
    assert (done.code, done.out) == (code, "")
    assert error in done.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.y*ml")} == before


def test_a_live_name_is_one_line_of_a_message(tmp_path: Path) -> None:
    with connected_to(tmp_path) as connection:
        for _ in range(2):
            connection.client.create_store({"name": "a\nvssync: b\x1b"})
    for wanted in ("nope", "a\nvssync: b\x1b"):
        done = vssync(tmp_path, "dump", "--provider", "local", "--store", wanted)
        assert (done.code, "a\\nvssync: b\\x1b (vs_" in done.err) == (64, True)
        assert "\x1b" not in done.err


def test_a_folder_gets_a_file_for_each_store(tmp_path: Path) -> None:
    filled(tmp_path)
    done = vssync(tmp_path, "dump", "--provider", "local", "--all", "--owner", "kb", "-o", ".")
    count = len(SHAPES) + 1
    assert (done.code, done.out) == (
        0,
        f"Wrote vssync.yaml and {count - 1} files that it includes.\nNext: vssync plan -f .\n",
    )
    assert len([*tmp_path.glob("stores/*.yaml")]) == count - 1
    assert f"{COUNT} to adopt, {count - 1} stores to adopt." in vssync(tmp_path, "plan").out
    assert vssync(tmp_path, "dump", "--all", "-o", ".").code == 3
    several = vssync(tmp_path, "dump", "--store", "same", "--store", "empty", "--owner", "kb").out
    assert [
        line for line in several.splitlines() if line.endswith(":") and line.startswith("  ") and line[2] != " "
    ] == [
        "  same:",
        "  empty:",
    ]
