"""What is written is valid and means exactly what was found; what files share is said once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.commands.dump.entries import DumpedFile, Omission, declared_settings, dumped_files, omit_unfinished
from vssync.commands.dump.forms import lookups_for
from vssync.commands.dump.layout import StoreLayout, level_tree, plain_layout, shared_level, short_layout
from vssync.commands.dump.manifest import (
    Dump,
    DumpedStore,
    LocalFiles,
    declared_files,
    is_equivalent,
    manifest_texts,
    write_manifest,
)
from vssync.commands.dump.matching import Confidence, RemoteFile
from vssync.manifest.globs import FoundFile
from vssync.manifest.lookups import look_up
from vssync.manifest.resolve import Reading
from vssync.model.service import ServiceSpec
from vssync.model.state import (
    AUTO,
    Attributes,
    Chunking,
    FileStatus,
    IngestError,
    LiveFile,
    LiveStore,
    Scalar,
    StoreStatus,
)
from vssync.sources.schemas import load_schema

SCHEMA = load_schema("manifest.schema.json")
SMALL, LARGE = Chunking(200, 50), Chunking(800, 400)
LOCAL = ServiceSpec()
STORE = LiveStore("vs_1", "kb", StoreStatus.COMPLETED, 1)


def dumped_file(
    path: str = "a.md", *, file_id: str = "", chunking: Chunking = AUTO, filename: str = "${path}", **given: Any
) -> DumpedFile:
    attributes: Attributes = given
    return DumpedFile(path, "" if file_id else path, file_id, filename, attributes, chunking, Confidence.BYTES)


def dump_of(*files: DumpedFile, service: ServiceSpec = LOCAL, store: LiveStore = STORE, **given: Any) -> Dump:
    return Dump("kb", service, (DumpedStore("kb", store, files=files, **given),))


def local_files(files: Iterable[DumpedFile], *others: str) -> LocalFiles:
    return LocalFiles(tuple(FoundFile(path, 1) for path in (*(file.path for file in files if file.path), *others)))


def manifest_of(*files: DumpedFile, others: tuple[str, ...] = (), **given: Any) -> str:
    (text,) = write_manifest(dump_of(*files, **given), local_files(files, *others), SCHEMA).values()
    return text


def unwrapped(text: str) -> str:
    """A manifest with each comment on one line."""
    return re.sub(r"\n *#  *", " ", text)


def text_of(dump: Dump, *layouts: StoreLayout) -> dict[str, str]:
    by_key = {store.key: layout for store, layout in zip(dump.stores, layouts, strict=True)}
    return manifest_texts(dump, by_key, shared_level(by_key))


def test_what_all_share_is_said_at_the_store() -> None:
    text = manifest_of(
        dumped_file("d/a.md", lang="en", chunking=LARGE), dumped_file("d/b.md", lang="en", chunking=LARGE)
    )
    assert text.count("lang: en") == text.count("size") == 1
    assert "      # 2 files: the same bytes\n      - path: d/**/*.md\n" in text


def test_an_upload_name_that_is_one_files_own_is_no_other_files() -> None:
    files = [dumped_file(f"got/{name}.md", filename=f"docs__{name}.md") for name in "ab"]
    assert manifest_of(*files, others=("got/c.md",)).partition("files:")[0].count("filename") == 0
    assert 'filename: "${name}"' in manifest_of(
        *files, *(dumped_file(f"got/{name}.md", filename="${name}") for name in "cde")
    )


def test_what_a_folder_shares_is_said_in_one_override() -> None:
    kinds = {"api": "reference", "guide": "howto"}
    files = [dumped_file(f"d/{folder}/{name}.md", kind=kinds[folder]) for folder in kinds for name in "ab"]
    text = manifest_of(*files)
    assert "- path: d/**/*.md" in text
    assert "- match: d/api\n        attributes:\n          kind: reference" in text
    assert text.count("attributes:") == 2


def test_values_of_other_kinds_are_not_the_same() -> None:
    text = manifest_of(dumped_file("d/a.md", flag=True), dumped_file("d/b.md", flag=1))
    assert "flag: true" in text
    assert "flag: 1" in text


def test_a_pattern_never_chooses_a_file_that_is_not_in_the_store() -> None:
    text = manifest_of(dumped_file("d/a.md"), dumped_file("d/b.md"), others=("d/c.md",))
    assert "- path: d/a.md" in text
    assert "*" not in text.split("files:")[-1]


def test_settings_and_service_are_kept() -> None:
    store = LiveStore("vs_1", "kb", StoreStatus.COMPLETED, 1, {"team": "docs"}, 0, 7, "Help")
    settings, notes = declared_settings(store, "kb", "openai", SCHEMA, by_id=True)
    text = manifest_of(
        store=store, settings=settings, notes=notes, service=ServiceSpec("openai", capabilities={"batches": False})
    )
    for line in ("id: vs_1", "description: Help", "team: docs", "days: 7", "provider: openai", "batches: false"):
        assert f" {line}\n" in text
    assert text.endswith("    files: []\n")


def test_the_store_of_another_manifest_says_so() -> None:
    marked = LiveStore("vs_1", "kb", StoreStatus.COMPLETED, 1, {"vssync_owner": f"v1;old/prod;kb;{'0' * 16}"})
    for file_id in ("", "file-1"):
        text = manifest_of(dumped_file(file_id=file_id), store=marked).replace("\n# ", " ")
        assert "It belongs to old/prod, whose own manifest says more." in text
        assert ("Files by id are ingested" in text) == bool(file_id)


def test_what_was_left_out_is_told() -> None:
    reason = "it cannot be listed: GET /v1: 500 (request id req_1)"
    left = (Omission("f", "a.pdf", reason), *(Omission(f"f{n}", "x.pdf", "its ingestion failed") for n in range(69)))
    text = manifest_of(dumped_file(), omitted=left, store=replace(STORE, name="a long name " * 9))
    assert max(map(len, text.splitlines())) <= 80
    assert "# Left out: 70 files of the store." in text
    assert "#   f0 (x.pdf): its ingestion failed\n" in text
    assert text.endswith("#   and 6 more\n")
    assert "GET /v1: 500\n" in text, "whose request it was is of no use to a reader of the file"


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (FileStatus.FAILED, IngestError("unsupported_file"), "its ingestion failed (unsupported_file)"),
        (FileStatus.CANCELLED, None, "its ingestion was cancelled"),
        (FileStatus.IN_PROGRESS, None, "is being ingested; dump again when it is completed"),
    ],
)
def test_unfinished_files(status: FileStatus, error: IngestError | None, reason: str) -> None:
    assert omit_unfinished(LiveFile("f1", status, 1, error=error)).reason == reason


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({f"a{number}": 1 for number in range(15)}, "has 15 attributes"),
        ({"n": 2**60}, "a manifest cannot declare its attributes"),
        ({"x" * 65: "1"}, "a manifest cannot declare its attributes"),
        ({"x": "$" + "{" * 512}, "a manifest cannot declare its attributes"),
    ],
)
def test_what_a_manifest_cannot_say_is_left_out_with_its_reason(attributes: dict[str, Any], reason: str) -> None:
    files, omitted = dumped_files([RemoteFile("f1", "a.md", 1, attributes)], {}, SCHEMA, {})
    assert files == ()
    assert omitted[0].reason.startswith(reason)


@pytest.mark.parametrize(
    ("metadata", "more", "declared", "notes"),
    [
        ({"team": "docs", "vssync_owner": "v1;x"}, {}, {"team"}, []),
        ({"a": "$" + "{" * 511}, {}, set(), ["Its metadata `a` stays as it is, and is not declared: "]),
        ({f"k{number:02}": "x" for number in range(12)}, {}, {f"k{number:02}" for number in range(10)}, ["k10", "k11"]),
        ({"embedding_model": "x", "team": "a"}, {}, {"team"}, ["`embedding_model` is the server's own"]),
        ({}, {"name": ""}, set(), ["Taking it over gives it the name `kb`."]),
        ({}, {"name": "x" * 257}, set(), ["Its `name` cannot be declared", "gives it the name `kb`"]),
        ({}, {"expires_after_days": 999}, set(), ["Its `expires_after` cannot be declared"]),
    ],
)
def test_settings_that_no_manifest_can_declare_are_told(
    metadata: dict[str, str], more: dict[str, Any], declared: set[str], notes: list[str]
) -> None:
    store = replace(STORE, metadata=metadata, **more)
    settings, said = declared_settings(store, "kb", "compatible", SCHEMA, by_id=False)
    assert set(settings.get("metadata", ())) == declared
    assert len(said) == len(notes)
    assert all(note in sentence for note, sentence in zip(notes, said, strict=True))
    text = manifest_of(store=store, settings=settings, notes=said)
    assert all(sentence in unwrapped(text) for sentence in said)


@pytest.mark.parametrize("reported", [None, AUTO, Chunking(50, 10), Chunking(5000, 1), Chunking(800, 700)])
def test_chunking_that_no_manifest_may_ask_for_is_left_to_the_service(reported: Chunking | None) -> None:
    files, _ = dumped_files([RemoteFile("f1", "a.md", 1, chunking=reported)], {}, SCHEMA, {})
    assert files[0].chunking == AUTO


@pytest.mark.parametrize(
    ("attribute", "written"),
    [
        (lambda _, path: path, "${path}"),
        (lambda _, path: path.rpartition("/")[2], "${name}"),
        (lambda _, path: Path(path).stem, "${stem}"),
        (lambda _, path: path.rpartition("/")[0], "${dir}"),
        (lambda _, path: path.split("/")[1], "${dir.1}"),
        (lambda _, path: f"https://x.example/{path.removesuffix('.md')}.html", "https://x.example/${dir}/${stem}.html"),
        (lambda _, path: f"/{path.split('/')[1]}/v$/{Path(path).stem}", "/${dir.1}/v$/${stem}"),
        (lambda number, _: f"Title {number}", {"from": "front_matter"}),
        (lambda number, _: f"Heading {number}", {"from": "heading"}),
        (lambda number, _: 86400 * number, {"from": "front_matter.date", "as": "epoch"}),
        (lambda *_: "en", "en"),
        (lambda *_: True, True),
    ],
)
def test_an_attribute_that_every_file_has_in_one_way_is_one_line(
    attribute: Callable[[int, str], Scalar], written: object
) -> None:
    paths = [f"docs/{folder}/page{number}.md" for folder in ("one", "two") for number in range(1, 8)]
    files = [dumped_file(path, title=attribute(number, path)) for number, path in enumerate(paths, 1)]
    fields = "---\ntitle: Title {0}\ndate: 1970-01-{1:02}\n---\n# Heading {0}\n"
    readings = {
        path: Reading("1", 1, look_up([*lookups_for("title")], fields.format(number, number + 1), path))
        for number, path in enumerate(paths, 1)
    }
    layout = short_layout(files, paths, {path: reading.findings.values for path, reading in readings.items()})
    assert layout.level == {("attributes", "title"): json.dumps(written)}
    assert [entry.path for entry in layout.entries] == ["docs/**/*.md"]
    assert not layout.overrides
    local = LocalFiles(local_files(files).files, {(path, ""): each for path, each in readings.items()})
    (text,) = write_manifest(dump_of(*files), local, SCHEMA).values()
    assert len(text.splitlines()) <= 17


ODD_AND_EVEN = {"d/{a1,a3,a5}.md": {"k": "odd1"}, "d/{a2,a4,a6}.md": {"k": "odd0"}}
EXCEPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"d/a0.md": {"k": "odd"}}, {"d/a0.md": {"k": "odd"}}),
    ({f"d/a{number}.md": {"k": f"odd{number % 2}"} for number in range(1, 7)}, ODD_AND_EVEN),
    ({f"d/a{number}.md": {"k": "odd"} for number in (1, 3, 5)}, {"d/{a1,a3,a5}.md": {"k": "odd"}}),
    ({"d/a0.md": {}}, {"d/a0.md": {"k": None}}),
    ({f"d/in/a{number}.md": {"k": "inner"} for number in range(5)}, {"d/in": {"k": "inner"}}),
    (
        {f"d/in/a{number}.md": {"k": "x" if number == 2 else "inner"} for number in range(5)},
        {"d/in": {"k": "inner"}, "d/in/a2.md": {"k": "x"}},
    ),
    (
        {f"d/{folder}a{number}.de.md": {"k": "de"} for folder in ("", "in/") for number in range(2)},
        {"**/*.de.md": {"k": "de"}},
    ),
    (
        {f"d/{folder}a{number}.txt": {"k": "text"} for folder in ("", "in/") for number in range(2)},
        {"**/*.txt": {"k": "text"}},
    ),
]


@pytest.mark.parametrize(("exceptions", "overrides"), EXCEPTIONS)
def test_exceptions_are_overrides_from_the_outside_in(exceptions: dict[str, Any], overrides: dict[str, Any]) -> None:
    attributes = {**{f"d/a{number}.md": {"k": "usual"} for number in range(9)}, **exceptions}
    files = [dumped_file(path, **each) for path, each in attributes.items()]
    layout = short_layout(files, [*attributes], {})
    assert {pattern: level_tree(level)["attributes"] for pattern, level in layout.overrides.items()} == overrides
    assert is_equivalent(text_of(dump_of(*files), layout), dump_of(*files), local_files(files), SCHEMA)


def test_what_all_stores_declare_alike_is_a_default() -> None:
    stores = [
        DumpedStore(key, replace(STORE, name=key), files=(dumped_file(f"{key}/a.md", client=key, lang="en", n=number),))
        for number, key in enumerate(("acme", "oldco"))
    ]
    dump = Dump("kb", ServiceSpec(), tuple(stores))
    files = [file for store in stores for file in store.files]
    texts = write_manifest(dump, local_files(files), SCHEMA, is_split=True)
    assert [*texts] == ["vssync.yaml", "stores/acme.yaml", "stores/oldco.yaml"]
    assert 'defaults:\n  attributes:\n    client: "${store}"\n    lang: en\n' in texts["vssync.yaml"]
    assert "include: [stores/*.yaml]" in texts["vssync.yaml"].replace('"', "")
    assert "client" not in texts["stores/acme.yaml"]
    assert is_equivalent(texts, dump, local_files(files), SCHEMA)


VALUES = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 2.5e-07, "${x}", "yes", "1.10", "", "a\nb", "\x1b[2J", "::x", "store0", "$"]),
)
# Of a path, with what may stand around it.
DERIVED = st.builds(
    "{}${{{}}}{}".format,
    st.sampled_from(["", "x/", "$", "$$", "${"]),
    st.sampled_from(["path", "dir", "name", "stem", "ext"]),
    st.sampled_from(["", ".html", "}"]),
)
NAMES = st.sampled_from(["lang", "kind", "n o", "#"])
CHUNKINGS = st.sampled_from([AUTO, SMALL, LARGE])
PATHS = st.builds(
    "{}{}{}.{}".format,
    st.sampled_from(["", "d/", "d/e/", "${x}/", "[a]/", "x y/"]),
    st.sampled_from("abc$"),
    st.sampled_from(["", "", ".de", "${path}"]),
    st.sampled_from(["md", "txt"]),
)


def value_of(path: str, value: Any) -> Any:
    """The value itself, or a template in which the placeholder is replaced as text."""
    if not isinstance(value, tuple):
        return value
    folder, _, name = path.rpartition("/")
    parts = {"path": path, "dir": folder, "name": name, "stem": Path(name).stem, "ext": Path(name).suffix}
    return value[0].replace(value[1], parts[value[1][2:-1]])


@st.composite
def stores(draw: st.DrawFn, number: int = 0) -> DumpedStore:
    """A store in which most files have the attributes that two drawn rules give."""
    paths = draw(st.lists(PATHS, unique=True, max_size=10))
    derived = DERIVED.map(lambda text: (text, text[text.rindex("${") :].partition("}")[0] + "}"))
    rules = draw(st.lists(st.dictionaries(NAMES, VALUES | derived, max_size=3), min_size=1, max_size=2))
    files = []
    for path in paths:
        by_id = draw(st.booleans())
        rule = draw(st.sampled_from(rules) | st.dictionaries(NAMES, VALUES, max_size=2))
        files.append(
            DumpedFile(
                key=path,
                path="" if by_id else path,
                file_id=f"file-{path}" if by_id else "",
                filename="${path}" if by_id else draw(st.sampled_from(["${path}", "${name}", "own.md"])),
                attributes={name: value_of(path, value) for name, value in rule.items()},
                chunking=draw(CHUNKINGS),
                confidence=Confidence.SIZE,
                remark=draw(st.sampled_from(["", "a\nb"])),
            )
        )
    return DumpedStore(f"store{number}", replace(STORE, name=f"store{number}"), files=tuple(files))


@given(st.tuples(stores(0), stores(1)), st.lists(PATHS, unique=True, max_size=3), st.booleans())
def test_the_manifest_declares_exactly_the_live_attributes(
    made: tuple[DumpedStore, DumpedStore], others: list[str], is_split: bool
) -> None:
    dump = Dump("kb", ServiceSpec(), made)
    files = [file for store in made for file in store.files]
    taken = {file.path for file in files}
    local = LocalFiles(tuple(FoundFile(path, 1) for path in sorted(taken.union(others) - {""})))
    names = [file.nfc_path for file in local.files]
    short = tuple(short_layout(store.files, names, {}) for store in made)
    for layouts in (short, tuple(plain_layout(store.files) for store in made)):
        texts = text_of(dump, *layouts)
        assert is_equivalent(texts, dump, local, SCHEMA)
        assert all(line.isprintable() for text in texts.values() for line in text.split("\n"))
    declared = declared_files(write_manifest(dump, local, SCHEMA, is_split=is_split), local, SCHEMA)
    for store in made:
        live = {file.key: typed(file.attributes) for file in store.files}
        assert {file.key: typed(file.attributes) for file in declared[store.key]} == live


def typed(attributes: Attributes) -> dict[str, tuple[type, Scalar]]:
    return {name: (type(value), value) for name, value in attributes.items()}


def test_the_proof_sees_a_difference() -> None:
    file = dumped_file(lang="en")
    texts, local = text_of(dump_of(file), plain_layout((file,))), local_files([file])
    assert is_equivalent(texts, dump_of(file), local, SCHEMA)
    for other in (
        dumped_file(lang="de"),
        dumped_file(lang=True),
        dumped_file("b.md", lang="en"),
        dumped_file(lang="en", chunking=SMALL),
    ):
        assert not is_equivalent(texts, dump_of(other), local, SCHEMA)
    assert not is_equivalent(texts, dump_of(file), LocalFiles(()), SCHEMA)
