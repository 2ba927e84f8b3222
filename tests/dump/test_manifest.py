"""What is written is valid and means exactly what was found; what files share is said once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.commands.dump.deduplicate import deduplicate, plain_layout
from vssync.commands.dump.entries import DumpedFile, OmittedFile, dumped_files, omit_unfinished
from vssync.commands.dump.manifest import DumpedStore, is_equivalent, manifest_of_store, manifest_text
from vssync.commands.dump.matching import Confidence, RemoteFile
from vssync.manifest.globs import FoundFile
from vssync.model.service import ServiceSpec
from vssync.model.state import AUTO, Attributes, Chunking, FileStatus, IngestError, LiveFile, LiveStore, StoreStatus
from vssync.sources.schemas import load_schema

SCHEMA = load_schema("manifest.schema.json")
SMALL, LARGE = Chunking(200, 50), Chunking(800, 400)
STORE = LiveStore("vs_1", "kb", StoreStatus.COMPLETED, 1)


def dumped_file(
    path: str = "a.md", *, file_id: str = "", chunking: Chunking = AUTO, filename: str = "${path}", **given: Any
) -> DumpedFile:
    attributes: Attributes = given
    return DumpedFile(path, "" if file_id else path, file_id, filename, attributes, chunking, Confidence.BYTES)


def dumped_store(*files: DumpedFile, **given: Any) -> DumpedStore:
    return DumpedStore(
        **{"owner": "kb", "key": "kb", "store": STORE, "service": ServiceSpec(), "files": files, **given}
    )


def manifest_of(*files: DumpedFile, others: tuple[str, ...] = (), **given: Any) -> str:
    local = [FoundFile(path, 1) for path in (*(file.path for file in files if file.path), *others)]
    return manifest_of_store(dumped_store(*files, **given), local, SCHEMA)


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
        *files, *(dumped_file(f"{name}.md", filename="${name}") for name in "cd")
    )


def test_what_a_folder_shares_is_said_in_one_override() -> None:
    files = [dumped_file(f"d/{folder}/{name}.md", kind=folder) for folder in ("api", "guide") for name in "ab"]
    text = manifest_of(*files)
    assert "- path: d/**/*.md" in text
    assert "- match: d/api/**/*.md\n        attributes:\n          kind: api" in text
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
    store = LiveStore("vs_1", "kb", StoreStatus.COMPLETED, 1, expires_after_days=7, description="Help")
    text = manifest_of(
        store=store,
        by_id=True,
        metadata={"team": "docs"},
        service=ServiceSpec("openai", capabilities={"batches": False}),
    )
    for line in ("id: vs_1", "description: Help", "team: docs", "days: 7", "provider: openai", "batches: false"):
        assert f" {line}\n" in text
    assert text.endswith("    files: []\n")


def test_the_store_of_another_manifest_says_so() -> None:
    marked = LiveStore("vs_1", "kb", StoreStatus.COMPLETED, 1, {"vssync_owner": f"v1;old/prod;kb;{'0' * 16}"})
    assert "# It belongs to old/prod" in manifest_of(dumped_file(), store=marked)


def test_what_was_left_out_is_told() -> None:
    left = tuple(OmittedFile(f"f{number}", "x.pdf", "its ingestion failed") for number in range(70))
    text = manifest_of(dumped_file(), omitted=left)
    assert "# Left out: 70 files of the store." in text
    assert "#   f0 (x.pdf): its ingestion failed\n" in text
    assert text.endswith("#   and 6 more\n")


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


@pytest.mark.parametrize("reported", [None, AUTO, Chunking(50, 10), Chunking(5000, 1), Chunking(800, 700)])
def test_chunking_that_no_manifest_may_ask_for_is_left_to_the_service(reported: Chunking | None) -> None:
    files, _ = dumped_files([RemoteFile("f1", "a.md", 1, chunking=reported)], {}, SCHEMA, {})
    assert files[0].chunking == AUTO


VALUES = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 2.5e-07, "${x}", "yes", "1.10", "", "a\nb", "\x1b[2J", "::x"]),
)
ATTRIBUTES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["lang", "kind", "n o", "#"]), VALUES, max_size=3
)
CHUNKINGS = st.sampled_from([AUTO, SMALL, LARGE])
PATHS = st.builds(
    "{}{}.{}".format,
    st.sampled_from(["", "d/", "d/e/", "${x}/", "[a]/", "x y/"]),
    st.sampled_from("abc$"),
    st.sampled_from(["md", "txt"]),
)


@st.composite
def stores(draw: st.DrawFn) -> tuple[tuple[DumpedFile, ...], list[FoundFile]]:
    paths = draw(st.lists(PATHS, unique=True, max_size=10))
    files = []
    for path in paths:
        by_id = draw(st.booleans())
        attributes, chunking = draw(ATTRIBUTES), draw(CHUNKINGS)
        template = "${path}" if by_id else draw(st.sampled_from(["${path}", "${name}"]))
        files.append(
            DumpedFile(
                path,
                "" if by_id else path,
                f"file-{path}" if by_id else "",
                template,
                attributes,
                chunking,
                Confidence.SIZE,
                "a\nb",
            )
        )
    others = draw(st.lists(PATHS.filter(lambda path: path not in paths), unique=True, max_size=3))
    local = [FoundFile(path, 1) for path in (*(file.path for file in files if file.path), *others)]
    return tuple(files), local


@given(stores())
def test_both_forms_mean_exactly_what_was_found(made: tuple[tuple[DumpedFile, ...], list[FoundFile]]) -> None:
    files, local = made
    store = dumped_store(*files)
    for layout in (deduplicate(files, [file.nfc_path for file in local]), plain_layout(files)):
        text = manifest_text(store, layout)
        assert is_equivalent(text, files, local, SCHEMA)
        assert all(line.isprintable() for line in text.split("\n"))


def test_the_proof_sees_a_difference() -> None:
    text = manifest_text(dumped_store(dumped_file(lang="en")), plain_layout((dumped_file(lang="en"),)))
    local = [FoundFile("a.md", 1)]
    assert is_equivalent(text, (dumped_file(lang="en"),), local, SCHEMA)
    for other in (
        dumped_file(lang="de"),
        dumped_file(lang=True),
        dumped_file("b.md", lang="en"),
        dumped_file(lang="en", chunking=SMALL),
    ):
        assert not is_equivalent(text, (other,), local, SCHEMA)
    assert not is_equivalent(text, (dumped_file(lang="en"),), [], SCHEMA)
