"""A store made by hand becomes a manifest; adopting it changes nothing but marks, and then nothing is left to do."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import vssync
from tests.sources.documents import docx
from tests.support import ENDPOINT, Clock, Silent, open_test_session
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.parse import AttachmentEntry
from vssync.commands.apply import apply_plan
from vssync.commands.compare import ContentReader
from vssync.commands.dump.contents import DownloadTarget, download_files
from vssync.commands.dump.matching import RemoteFile
from vssync.commands.dump.run import DumpRequest, dump_stores
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Connection
from vssync.errors import Refused, UsageProblem
from vssync.local import app
from vssync.local.faults.kind import FaultContext
from vssync.local.faults.rules import with_faults
from vssync.local.transport import LocalTransport
from vssync.model.plan import Action, Options
from vssync.model.service import ServiceSpec
from vssync.model.state import AUTO, Attributes
from vssync.threads import Pool

CLOSED = ("status=403:GET:/files/*/content",)
SHUT = (*CLOSED, "status=403:GET:/vector_stores/*/files/*/content")
FILES: Mapping[str, tuple[bytes, Attributes]] = {
    "intro.md": (b"# Intro\nHello.\n", {"lang": "en", "kind": "guide"}),
    "start.md": (b"# Start\nGo.\n", {"lang": "en", "kind": "guide"}),
    "faq.txt": (b"Why? Because.\n", {"lang": "en"}),
}


@contextmanager
def connected_to(folder: Path, faults: Sequence[str] = ()) -> Iterator[Connection]:
    clock = Clock()
    service = app.open_service(folder / ".vssync/local", clock=clock.monotonic)
    transport = LocalTransport(with_faults(service, faults, FaultContext(sleep=clock.sleep, clock=clock.monotonic)))
    client = connect(ENDPOINT, auth=None, clock=clock, workers=1, transport=transport)
    try:
        with Pool(1) as pool:
            yield Connection(ENDPOINT, client, pool)
    finally:
        client.close()
        service.close()


def put(client: Client, store: str, name: str, content: bytes, attributes: Attributes) -> None:
    upload = client.upload_file(io.BytesIO(content), name)
    client.attach_file(store, AttachmentEntry(upload.id, attributes, AUTO))
    client.list_files(store)  # the local service works when somebody looks


def made_by_hand(folder: Path, files: Mapping[str, tuple[bytes, Attributes]] = FILES, **settings: Any) -> None:
    with connected_to(folder) as connection:
        store = connection.client.create_store({"name": "help", **settings})
        for name, (content, attributes) in files.items():
            put(connection.client, store.id, name, content, attributes)


def written(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def dump_into(folder: Path, faults: Sequence[str] = (), store: str = "help", **given: Any) -> str:
    """Dumps into the folder's manifest."""
    with connected_to(folder, faults) as connection:
        request = DumpRequest((store,), "kb", folder / "vssync.yaml", **given)
        (text,) = dump_stores(connection, ServiceSpec(), request)[0].values()
    (folder / "vssync.yaml").write_text(text)
    return text


def adopts_and_converges(folder: Path, files: int = len(FILES)) -> None:
    with open_test_session(folder) as (session, recorder):
        planned = make_plan_now(session, Options())
        assert {change.action for change in planned.changes()} == {Action.ADOPT}
        assert sum(len(store.files) for store in planned.stores) == files
        assert apply_plan(session, planned, Silent()).converged
        assert not [path for method, path in recorder.writes if method == "DELETE" or path.endswith("/files")]
    with open_test_session(folder) as (session, recorder):
        assert make_plan_now(session, Options()).empty
        assert recorder.writes == []


def local_copies(**changed: bytes) -> dict[str, bytes]:
    return {f"docs/{name}": changed.get(name.split(".")[0], content) for name, (content, _) in FILES.items()}


def test_by_id(tmp_path: Path) -> None:
    made_by_hand(tmp_path, metadata={"team": "docs"})
    text = dump_into(tmp_path)
    assert "#   3 files: by id" in text
    assert text.count("file_id:") == 3
    assert text.count("lang: en") == 1
    adopts_and_converges(tmp_path)


@pytest.mark.convert
def test_what_was_converted_is_converted_again(tmp_path: Path) -> None:
    """With its documents, the manifest says what the first one said; without them, files have ids and their keys."""
    table = b"name,size\nlamp,3\n"
    written(tmp_path, {"docs/a.docx": docx("Sign on", "words"), "docs/b/c.csv": table, "docs/d.md": b"# Page\n"})
    store = """{name: help, formats: {.docx: markdown, .csv: markdown}, files: [{path: "docs/**"}],
        attributes: {title: {from: heading}, folder: "${dir}"}}"""
    (tmp_path / "vssync.yaml").write_text(f"version: 1\nowner: kb\nstores: {{help: {store}}}\n")
    with open_test_session(tmp_path) as (session, _):
        assert apply_plan(session, make_plan_now(session, Options()), Silent()).converged
    text = dump_into(tmp_path, match=tmp_path)
    assert '    formats:\n      ".csv": markdown\n      ".docx": markdown\n' in text
    assert "#   3 files: the same bytes" in text
    assert 'path: "docs/**/*.{csv,docx,md}"' in text
    with open_test_session(tmp_path) as (session, recorder):
        assert make_plan_now(session, Options()).empty
        assert recorder.writes == []
    text = dump_into(tmp_path)
    assert "formats" not in text
    assert [f"key: {key}" in text for key in ("docs/a.docx", "docs/b/c.csv", "docs/d.md")] == [True] * 3


@pytest.mark.parametrize(
    ("faults", "confidence"),
    [((), "the same bytes"), (CLOSED, "the same text, as the service read it"), (SHUT, "by name and size")],
)
def test_by_local_path(tmp_path: Path, faults: Sequence[str], confidence: str) -> None:
    made_by_hand(tmp_path)
    written(tmp_path, local_copies())
    text = dump_into(tmp_path, faults, match=tmp_path / "docs")
    assert f"#   3 files: {confidence}" in text
    plain = text.replace('"', "")
    assert "- path: docs/**/*.{md,txt}" in plain
    assert "filename: ${name}" in plain
    adopts_and_converges(tmp_path)


def test_a_file_with_other_content_stays_by_id(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    written(tmp_path, local_copies(intro=b"# Intro\nHallo.\n"))
    text = dump_into(tmp_path, match=tmp_path)
    assert "#   2 files: the same bytes\n#   1 file: by id\n" in text
    assert "- path: docs/intro.md" not in text
    adopts_and_converges(tmp_path)


@pytest.mark.parametrize(
    ("owner", "chunking", "options", "declared"),
    [
        ("kb", "", Options(), ""),
        ("new", "", Options(adopt_from=("kb",)), ""),
        (
            "new",
            "chunking: {size: 1200, overlap: 300}, ",
            Options(adopt_from=("kb",)),
            "size: 1200",
        ),
    ],
)
def test_a_store_with_an_owner_is_taken_over_from_it(
    tmp_path: Path, owner: str, chunking: str, options: Options, declared: str
) -> None:
    """What its marks say counts: a service reports numbers for `auto`."""
    written(tmp_path, local_copies())
    store = f"{{{chunking}files: [{{path: docs/*, filename: '${{name}}'}}]}}"
    (tmp_path / "vssync.yaml").write_text(f"version: 1\nowner: kb\nstores: {{help: {store}}}\n")
    with open_test_session(tmp_path) as (session, _):
        assert apply_plan(session, make_plan_now(session, Options()), Silent()).converged
    with connected_to(tmp_path) as connection:
        request = DumpRequest(("help",), owner, tmp_path / "vssync.yaml", match=tmp_path)
        texts, dumped = dump_stores(connection, ServiceSpec(), request)
    (text,), given = texts.values(), dumped.options
    assert given == (("--adopt-from", "kb") if options.adopt_from else ())
    assert f"# `{' '.join(('vssync', 'plan', *given))}` shows" in text
    assert ("chunking" in text, declared in text) == (bool(declared), True)
    (tmp_path / "vssync.yaml").write_text(text)
    with open_test_session(tmp_path) as (session, _):
        changes = list(make_plan_now(session, options).changes())
        assert {change.action for change in changes} == ({Action.ADOPT} if options.adopt_from else set())


def test_downloads(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    dump_into(tmp_path, download=tmp_path / "docs")
    assert (tmp_path / "docs/intro.md").read_bytes() == FILES["intro.md"][0]
    adopts_and_converges(tmp_path)


def test_what_cannot_be_downloaded_stays_by_id(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    text = dump_into(tmp_path, CLOSED, download=tmp_path / "docs")
    assert text.count("# not downloaded: the service does not give its content") == 3
    assert not list(tmp_path.glob("docs/*"))
    adopts_and_converges(tmp_path)


def test_downloads_overwrite_nothing(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    written(tmp_path, {"docs/intro.md": b"mine"})
    with pytest.raises(Refused, match=r"intro\.md: exists already"):
        dump_into(tmp_path, download=tmp_path / "docs")
    assert (tmp_path / "docs/intro.md").read_bytes() == b"mine"


def test_a_hostile_name_stays_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    made_by_hand(
        folder, {"../../evil.md": (b"one", {}), ".git__hooks.md": (b"three", {}), "a\nb: ${x}.md": (b"four!", {})}
    )
    dump_into(folder, download=folder / "docs")
    inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    assert not list(tmp_path.glob("*.md"))
    assert all(path.startswith("docs/") for path in inside)
    adopts_and_converges(folder, 3)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "work", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    made_by_hand(folder)
    (folder / "docs").mkdir()
    (folder / "docs/intro.md").symlink_to(outside / "intro.md")
    with pytest.raises(Refused, match="leads out of"):
        dump_into(folder, download=folder / "docs")
    assert list(outside.iterdir()) == []


def test_no_folder_is_made_behind_a_link(tmp_path: Path) -> None:
    folder, outside = tmp_path / "work", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    made_by_hand(folder, {"a.md": (b"one", {})})
    (folder / "guide").symlink_to(outside)
    with connected_to(folder) as connection:
        (upload,) = connection.client.list_uploads()
        seen = RemoteFile(upload.id, "a.md", upload.size, key="guide/more/a.md")
        with pytest.raises(Refused, match=r"guide/more/a\.md: leads out of"):
            download_files(ContentReader(connection.client), (seen,), (), DownloadTarget(folder, "", "local"))
    assert list(outside.iterdir()) == []


@pytest.mark.wide(3)
@pytest.mark.parametrize("names", [("index.md", "index.md"), ("site__a.md", "site__b.md")])
@pytest.mark.parametrize(
    ("faults", "local", "by_id"),
    [
        ((), {"x/a.md": b"one"}, 1),
        ((), {"x/index.md": b"one", "y/index.md": b"two"}, 0),
        ((), {"x/a.md": b"one", "y/a.md": b"one", "x/b.md": b"two"}, 1),
        (CLOSED, {"x/index.md": b"one", "y/index.md": b"two"}, 2),
    ],
)
def test_the_bytes_tell_files_apart_whose_upload_names_do_not(
    tmp_path: Path, faults: Sequence[str], local: Mapping[str, bytes], by_id: int, names: tuple[str, str]
) -> None:
    with connected_to(tmp_path) as connection:
        store = connection.client.create_store({"name": "help"})
        for name, content in zip(names, (b"one", b"two"), strict=True):
            put(connection.client, store.id, name, content, {"content": content.decode()})
    written(tmp_path, local)
    assert dump_into(tmp_path, faults, match=tmp_path).count("file_id:") == by_id
    adopts_and_converges(tmp_path, 2)
    assert dump_into(tmp_path, faults, match=tmp_path).count("file_id:") == by_id, "as it is managed"
    with open_test_session(tmp_path) as (session, _):
        assert make_plan_now(session, Options()).empty


def test_a_file_that_a_manifest_named_is_not_renamed(tmp_path: Path) -> None:
    written(tmp_path, {"docs/a.md": b"one", "docs/b.md": b"two"})
    manifest = "version: 1\nowner: kb\nstores:\n  help: {filename: 'page-${stem}.md', files: [{path: docs/*.md}]}\n"
    (tmp_path / "vssync.yaml").write_text(manifest)
    with open_test_session(tmp_path) as (session, _):
        assert apply_plan(session, make_plan_now(session, Options()), Silent()).converged
    dump_into(tmp_path, match=tmp_path)
    with open_test_session(tmp_path) as (session, _):
        changes = make_plan_now(session, Options()).changes()
        assert {change.action for change in changes} == {Action.UPDATE}, "another mark, since they are declared by id"


def test_stores_of_one_name_are_told_apart_by_id(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    made_by_hand(tmp_path, {})
    with connected_to(tmp_path) as connection:
        ids = [store.id for store in connection.client.list_stores()]
        full = next(store.id for store in connection.client.list_stores() if store.counts.total)
    with pytest.raises(UsageProblem, match="several stores") as error:
        dump_into(tmp_path)
    assert all(store_id in str(error.value) for store_id in ids)
    assert f"id: {full}" in dump_into(tmp_path, store=full)
    adopts_and_converges(tmp_path)


def test_a_folder_outside_is_refused(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    with pytest.raises(UsageProblem, match=r"lies outside .*; write the manifest into a folder that has both"):
        dump_into(tmp_path, match=tmp_path.parent)
    with pytest.raises(UsageProblem, match="dcos: is no folder"):
        dump_into(tmp_path, match=tmp_path / "dcos")


def test_a_store_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    with pytest.raises(UsageProblem, match=r"no such store; it has help \(vs_"):
        dump_into(tmp_path, store="nothing")


def test_the_command(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    first = vssync(tmp_path, "dump", "--provider", "local", "--store", "help", "-o", "vssync.yaml", "--owner", "kb")
    assert (first.code, first.out) == (0, "Wrote vssync.yaml.\nNext: vssync plan -f vssync.yaml\n")
    assert (
        "Plan: 0 to add, 0 to change, 0 to replace, 0 to delete, 0 unchanged, 3 to adopt, 1 store to adopt."
        in vssync(tmp_path, "plan").out
    )
    assert vssync(tmp_path, "dump", "--store", "help", "-o", "vssync.yaml").code == 3
    assert vssync(tmp_path, "dump", "--store", "help").out.count("file_id") == 3
    assert vssync(tmp_path, "dump", "--store", "help", "--project", "x").code == 64
    assert vssync(tmp_path, "apply", "--yes").code == 0
    assert vssync(tmp_path, "plan", "--detailed-exitcode").code == 0
    assert json.loads(vssync(tmp_path, "output", "--format", "json").out)["stores"]["help"]["current"]
