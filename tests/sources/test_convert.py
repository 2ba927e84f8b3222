"""Documents that are converted before their upload: by real converters where these are installed."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.guarantees.test_documents import apply_now, found_keys
from tests.manifest.builders import files_by_key, load_manifest, load_problems, write_files
from tests.planner.builders import desired_file, live_copy, plan_store, sha, with_mark
from tests.sources.documents import bomb, docx, ipynb, pptx, xlsx
from tests.sources.test_git import commit, start_repository
from tests.support import open_test_session
from vssync.commands.doctor.samples import SAMPLES
from vssync.errors import VssyncError
from vssync.manifest.spec import CONVERTIBLE_EXTENSIONS
from vssync.model.marks import Mark
from vssync.model.plan import Action, Reason
from vssync.model.state import DesiredFile
from vssync.sources import converter
from vssync.sources.cache import open_cache
from vssync.sources.convert import Converter
from vssync.sources.engine import Conversion, ConversionEngine, ConversionLimits, Converters, open_engine
from vssync.sources.load import LoadedManifest
from vssync.sources.read import LoadOptions

ROOT = Path(__file__).parents[2]
OLD, NEW = f"{sha('source')}.0", f"{sha('source')}.1"
STORE = """
stores:
  docs:
    skip: [broken, empty]
    formats: {.docx: markdown, .html: markdown, .csv: markdown}
    attributes: {title: {from: heading}}
    files: [{path: "guide/*"}]
"""


def read(loaded: LoadedManifest, file: DesiredFile) -> bytes:
    """What an apply would upload."""
    with loaded.contents.open(file) as handle:
        return handle.read()


# The set


def test_the_extra_pins_the_set_that_the_converter_asks_for() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["convert"]
    pins = {name.partition("[")[0]: version for name, _, version in (text.partition("==") for text in extras)}
    assert pins == dict(converter.PACKAGES)
    assert set(converter._CONVERTERS) == CONVERTIBLE_EXTENSIONS


def test_another_version_or_none_names_the_command_that_installs_the_set() -> None:
    versions = {**converter.PACKAGES, "markdownify": "0.14.1"}
    del versions["lxml"]

    def version_of(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    assert converter.find_set_problem(version_of) == (
        f"converter set {converter.CONVERTER_SET} needs lxml 6.1.3 (missing), markdownify 1.2.3 (0.14.1); "
        "run: pip install 'vssync[convert]'"
    )
    assert converter.find_set_problem(converter.PACKAGES.__getitem__) == ""


# What a plan makes of it


@pytest.mark.parametrize(
    ("content", "source", "action", "reasons"),
    [
        ("made", NEW, None, ()),
        ("otherwise", NEW, None, ()),  # whatever a new conversion gives
        ("made", OLD, None, ()),  # the new set gives the same
        ("made", f"{sha('edited')}.1", None, ()),  # the text of the edited document is the same
        ("otherwise", OLD, Action.REPLACE, (Reason.CONVERTER_CHANGED,)),
        ("otherwise", f"{sha('edited')}.1", Action.REPLACE, (Reason.CONTENT_CHANGED,)),
        ("otherwise", f"{sha('edited')}.0", Action.REPLACE, (Reason.CONTENT_CHANGED,)),
        ("otherwise", "-", Action.REPLACE, (Reason.CONTENT_CHANGED,)),
    ],
)
def test_the_source_and_the_set_decide(
    content: str, source: str, action: Action | None, reasons: tuple[Reason, ...]
) -> None:
    wanted = replace(desired_file("a.docx", "made"), source=NEW)
    live = with_mark(live_copy(desired_file("a.docx", content)), source=source)
    changes = plan_store([wanted], [live]).files
    assert [(change.action, change.reasons) for change in changes] == ([(action, reasons)] if action else [])


def test_kinds_that_nothing_converts_are_refused(tmp_path: Path) -> None:
    (problem,) = load_problems(tmp_path, STORE.replace(".csv", ".png"), {"guide/a.md": "a"})
    assert (problem.line, problem.message) == (7, "files of the kind `.png` cannot be converted to Markdown")
    assert ".docx, .htm" in problem.hint


# The cache


def test_the_cache_gives_what_was_put_in_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with open_cache(folder) as cache:
        cache.put("s", ".csv", "1", b"| a |\n")
        assert cache.get("s", ".csv", "1") == b"| a |\n"
        assert [cache.get(*key) for key in (("s", ".html", "1"), ("s", ".csv", "2"), ("t", ".csv", "1"))] == [None] * 3
    with open_cache(folder) as cache:
        assert cache.get("s", ".csv", "1") == b"| a |\n"
    for sound in (0, 4096):  # bytes: all pages are damaged, or those with the texts
        for path in folder.iterdir():
            path.write_bytes(path.read_bytes()[:sound].ljust(8192, b"d"))
        with open_cache(folder, cleans=True) as cache:
            assert cache.get("s", ".csv", "1") is None
            cache.put("s", ".csv", "1", b"again\n")
            assert cache.get("s", ".csv", "1") == b"again\n"


def test_without_a_folder_that_can_be_used_there_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file"):
        with open_cache(folder) as cache:
            cache.put("s", ".csv", "1", b"x")
            assert cache.get("s", ".csv", "1") is None


# Real converters

DOCUMENTS = {
    "a.docx": (docx("Sign on", "Größe"), "# Sign on\n\nGröße is in a document.\n"),
    "a.html": (b"<h1>Keys</h1><p>Gr\xc3\xb6\xc3\x9fe <a href='/b'>more</a></p>", "# Keys\n\nGröße [more](/b)\n"),
    "wide.htm": ("<p>Größe</p>".encode("utf-16"), "Größe\n"),
    "a.csv": ("\ufeffname,size\nlamp,Größe".encode(), "| name | size |\n| --- | --- |\n| lamp | Größe |\n"),
    "cell.csv": (b"text\n" + b"x" * 200_000, "| text |\n| --- |\n| " + "x" * 200_000 + " |\n"),
    "a.ipynb": (ipynb(("markdown", "# La\0mp"), ("code", "x = 1")), "# Lamp\n\n```python\nx = 1\n```\n"),
    "a.pdf": (SAMPLES[".pdf"]("Lamp"), "Lamp is in a page.\n"),
}
HANGING = b"x,y\n" + b"1,2\n" * 2_000_000


@pytest.fixture(scope="module")
def engine() -> Iterator[ConversionEngine]:
    with open_engine() as engine:
        yield engine


def convert(engine: ConversionEngine, limits: ConversionLimits, *documents: tuple[bytes, str]) -> list[Conversion]:
    return list(engine.convert_all(documents, limits))


@pytest.mark.convert
def test_documents_become_markdown(engine: ConversionEngine) -> None:
    kinds = [(data, Path(name).suffix) for name, (data, _) in DOCUMENTS.items()]
    office = [(pptx("Lamps"), ".pptx"), (xlsx(("name", "size"), ("lamp", 3)), ".xlsx")]
    made = convert(engine, ConversionLimits(), *kinds, *office)
    assert [each.problem for each in made] == [""] * len(made)
    texts = [each.markdown.decode() for each in made]
    assert texts[:-2] == [text for _, text in DOCUMENTS.values()]
    assert texts[-2:] == [
        "<!-- Slide number: 1 -->\n# Lamps\n",
        "## Sheet\n| name | size |\n| --- | --- |\n| lamp | 3 |\n",
    ]


@pytest.mark.convert
def test_what_cannot_be_converted_says_why_and_the_others_go_on(engine: ConversionEngine) -> None:
    good, limits = (b"a,b\n1,2\n", ".csv"), ConversionLimits(memory=1 << 30, output=1000)
    cases = [
        ((b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"0" * 600, ".docx"), "is protected with a password, or has the"),
        ((b"not a zip", ".docx"), "cannot be read: File is not a zip file"),
        ((b"Gr\xf6\xdfe", ".csv"), "is not UTF-8 text; save it as UTF-8"),
        (("a,b".encode("utf-16-le"), ".csv"), "holds a NUL character"),
        ((b"{", ".ipynb"), "cannot be read: Expecting property name"),
        ((b"%PDF-1.4 cut", ".pdf"), "cannot be read: "),
        ((b"a,b\n" * 500, ".csv"), "becomes "),
        ((bomb(1), ".docx"), "takes more than 1,024 MB of memory"),
    ]
    documents = [each for document, _ in cases for each in (document, good)]
    made = convert(engine, limits, *documents)
    assert [each.problem for each in made[1::2]] == [""] * len(cases)
    told = [(each.problem, words) for each, (_, words) in zip(made[::2], cases, strict=True)]
    assert [pair for pair in told if not pair[0].startswith(pair[1])] == []
    (slow,) = convert(engine, ConversionLimits(seconds=0.2), (HANGING, ".csv"))
    assert slow == Conversion(problem="takes more than 0.2 s of processor time to convert")
    (late,) = convert(engine, ConversionLimits(wait=0.2), (HANGING, ".csv"))
    assert late == Conversion(problem="takes longer than 0.2 s to convert")
    (after,) = convert(engine, ConversionLimits(), good)
    assert after.markdown


@pytest.mark.convert
def test_converters_that_start_are_ended_with_the_others() -> None:
    """As on Ctrl-C: a thread that is about to start one must not wait for it."""
    converters = Converters()
    converters.close()
    with pytest.raises(VssyncError, match="a converter does not start: killed by signal 9"):
        converters.convert(b"a,b\n", ".csv", ConversionLimits())


@pytest.mark.convert
def test_a_document_fails_only_in_a_process_that_had_none_before() -> None:
    """Earlier ones may have left it too little memory, or the system may have ended it."""
    converters = Converters()
    for _ in range(2):
        assert converters.convert(b"a,b\n", ".csv", ConversionLimits()).markdown
        (child,) = converters._idle
        child._process.kill()
    converters.close()


@pytest.mark.convert
def test_a_document_that_takes_too_long_is_not_tried_again() -> None:
    """As one that ends a process is, in case the documents before it were to blame."""
    converters = Converters()
    assert converters.convert(b"a,b\n", ".csv", ConversionLimits()).markdown
    converters._is_closed = True  # so that no other process starts
    assert "of processor time" in converters.convert(HANGING, ".csv", ConversionLimits(seconds=0.2)).problem
    converters.close()


@pytest.mark.convert
@pytest.mark.parametrize(
    ("limits", "ended_by"),
    [({"seconds": 0.2}, signal.SIGPROF), ({"wait": 1 - converter._GRACE_SECONDS}, signal.SIGALRM)],
)
def test_a_converter_whose_vssync_is_gone_ends_itself(limits: dict[str, float], ended_by: signal.Signals) -> None:
    limits = {**asdict(ConversionLimits()), **limits}
    request = json.dumps({"extension": ".csv", "size": len(HANGING), **limits}).encode()
    command = [sys.executable, "-m", "vssync.sources.converter"]
    end = subprocess.run(command, input=request + b"\n" + HANGING, capture_output=True, timeout=60, check=False)
    assert end.returncode == -ended_by


@pytest.mark.convert
def test_the_desired_state_is_that_of_the_markdown(tmp_path: Path) -> None:
    """Heading, size and digest see the result; what has no text is empty, and what cannot be read is broken."""
    source, markdown = DOCUMENTS["a.docx"]
    files: dict[str, str | bytes] = {
        "guide/sso.docx": source,
        "guide/empty.html": "<p></p>",
        "guide/locked.docx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "guide/plain.md": "# Plain\n",
    }
    loaded = load_manifest(tmp_path, STORE, files)
    desired = files_by_key(loaded)
    assert loaded.desired.stores[0].skipped == {"guide/empty.html": "empty", "guide/locked.docx": "broken"}
    assert {key: (file.filename, file.attributes) for key, file in desired.items()} == {
        "guide/sso.docx": ("guide__sso.docx.md", {"title": "Sign on"}),
        "guide/plain.md": ("guide__plain.md", {"title": "Plain"}),
    }
    file = desired["guide/sso.docx"]
    assert (file.size, file.sha256) == (len(markdown.encode()), hashlib.sha256(markdown.encode()).hexdigest())
    assert file.source == f"{hashlib.sha256(source).hexdigest()}.{converter.CONVERTER_SET}"
    assert read(loaded, file) == markdown.encode()  # there is no cache
    strict = load_problems(tmp_path, STORE.replace("broken, empty", "draft"), files)
    assert [problem.message for problem in strict] == [
        "the file holds no text once it is converted, as of a scan; nothing would be found",
        "cannot be converted to Markdown: it is protected with a password, or has the format of Office 97; "
        "save it anew, without one",
    ]
    assert all("skip: [" in problem.hint for problem in strict)
    (tmp_path / "guide/sso.docx").write_bytes(docx("Other", "words"))
    with pytest.raises(VssyncError, match=r"guide/sso\.docx: changed since the plan was made; plan again"):
        read(loaded, file)


@pytest.mark.convert
def test_two_stores_take_one_file_in_two_forms_and_a_name_gives_the_kind(tmp_path: Path) -> None:
    text = """
        stores:
          a: {formats: {.html: markdown}, filename: "${stem}.html", files: [{path: page.data}]}
          b: {formats: {.data: .html}, files: [{path: page.data}]}
    """
    loaded = load_manifest(tmp_path, text, {"page.data": "<p>words</p>"})
    files = [store.files[0] for store in loaded.desired.stores]
    assert [file.filename for file in files] == ["page.html.md", "page.data.html"]
    assert [read(loaded, file) for file in files] == [b"words\n", b"<p>words</p>"]


@pytest.mark.convert
def test_what_was_converted_before_is_read_from_the_cache(tmp_path: Path) -> None:
    """Its text is believed: so a text that no converter made shows where it came from."""
    files: dict[str, str | bytes] = {"guide/a.csv": "a,b\n1,2\n"}
    options = LoadOptions(converter=Converter(cache_folder=tmp_path / "state"))
    load_manifest(tmp_path / "tree", STORE, files, options=options)
    source = hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    with open_cache(tmp_path / "state") as cache:
        assert cache.get(source, ".csv", converter.CONVERTER_SET) == b"| a | b |\n| --- | --- |\n| 1 | 2 |\n"
        cache.put(source, ".csv", converter.CONVERTER_SET, b"kept\n")
    loaded = load_manifest(tmp_path / "tree", STORE, files, options=options)
    (file,) = files_by_key(loaded).values()
    assert read(loaded, file) == b"kept\n"


@pytest.mark.convert
def test_an_apply_uploads_the_markdown_and_the_next_plan_is_empty(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "guide/sso.docx": docx("Sign on", "words"),
        "guide/keys.html": "<h1>Keys</h1><p>words</p>",
    }
    write_files(tmp_path, {"vssync.yaml": f"version: 1\nowner: docs\n{STORE}", **files})
    assert {change.reasons for change in apply_now(tmp_path).stores[0].files} == {(Reason.MISSING,)}
    assert found_keys(tmp_path, "title", "Sign on") == {"guide/sso.docx"}
    write_files(tmp_path, {"guide/sso.docx": docx("Sign on", "words", more="saved once more")})
    assert apply_now(tmp_path).empty  # another file, the same text
    write_files(tmp_path, {"guide/sso.docx": docx("Sign on", "other words")})
    (change,) = apply_now(tmp_path).stores[0].files
    assert (change.key, change.action, change.reasons) == ("guide/sso.docx", Action.REPLACE, (Reason.CONTENT_CHANGED,))
    with open_test_session(tmp_path) as (session, _):
        (store,) = session.client.list_stores()
        live = session.client.list_files(store.id)
        assert [file.mark.source[64:] for file in live if isinstance(file.mark, Mark)] == [".1", ".1"]
        names = {session.client.get_upload(file.id).filename for file in live}
    assert names == {"guide__sso.docx.md", "guide__keys.html.md"}


@pytest.mark.convert
def test_render_shows_the_markdown(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.docx": DOCUMENTS["a.docx"][0], "b.docx": b"no zip", "c.png": b"x"})
    assert vssync(tmp_path, "render", "--converted", "a.docx").out == DOCUMENTS["a.docx"][1]
    for name, words in (("b.docx", "b.docx: cannot be read: File is not a zip file"), ("c.png", "these can: .csv")):
        end = vssync(tmp_path, "render", "--converted", name)
        assert (end.code, words in end.err) == (1, True)


@pytest.mark.convert
def test_reviewers_see_what_changed_in_the_text(tmp_path: Path) -> None:
    """Both texts come from git's objects; of a document that is new or gone there is nothing to compare."""
    table = "name,size\n" + "".join(f"lamp {number},{number}\n" for number in range(300))
    pages: dict[str, str | bytes] = {"vssync.yaml": f"version: 1\nowner: docs\n{STORE}", "guide/b.csv": table}
    start_repository(tmp_path, {**pages, "guide/a.docx": docx("Sign on", "old"), "guide/c.csv": "a,b"})
    commit(tmp_path, 0)
    (tmp_path / "guide/c.csv").unlink()
    write_files(tmp_path, {"guide/a.docx": docx("Sign on", "new ```"), "guide/d.csv": "new,one"})
    write_files(tmp_path, {"guide/b.csv": table.replace("lamp", "lantern")})
    command = ("plan", "--against", "HEAD", "--format", "markdown")
    short = vssync(tmp_path, *command).out
    heads = re.findall(r"<summary><code>([^<]*)</code> as Markdown: (.*)</summary>", short)
    assert [(html.unescape(name), counts) for name, counts in heads] == [
        ("docs / guide/a.docx", "1 - and 1 + lines"),
        ("docs / guide/b.csv", "300 - and 300 + lines"),
    ]
    assert "````diff\n@@ -1,3 +1,3 @@\n # Sign on\n \n-old is in a document.\n+new ``` is in a document.\n````" in short
    assert "... and 543 more lines\n```" in short
    assert "+| lantern 299 | 299 |" in vssync(tmp_path, *command, "--full").out


@pytest.mark.convert
def test_init_proposes_to_convert_what_the_service_does_not_take(tmp_path: Path) -> None:
    _assert_init_proposes(tmp_path, is_installed=True)


def test_init_says_what_it_could_load_with_the_extra(tmp_path: Path) -> None:
    _assert_init_proposes(tmp_path, is_installed=not converter.find_set_problem())


def _assert_init_proposes(tmp_path: Path, *, is_installed: bool) -> None:
    write_files(tmp_path, {"docs/a.md": "# A", "docs/sso.docx": DOCUMENTS["a.docx"][0], "docs/b.png": "x"})
    end = vssync(tmp_path, "init", "--yes", "--owner", "kb")
    assert ("docs/  2 files  .md 1  .docx 1 as Markdown [convert]\n" in end.out) == is_installed
    way = "pip install 'vssync[convert]', delete this manifest, and run init again."
    hint = f"As Markdown, 1 .docx could be loaded, too:\n  {way}\n"
    assert (hint in end.out) == (not is_installed)
    assert ("    formats: {.docx: markdown}\n" in (tmp_path / "vssync.yaml").read_text()) == is_installed


# A cluster


@pytest.mark.convert
@pytest.mark.slow
def test_a_cluster_makes_the_same_plan_and_loses_nothing_with_a_worker(tmp_path: Path) -> None:
    pages = {f"guide/{number:02}.html": f"<h1>Page {number}</h1><p>words</p>" for number in range(40)}
    write_files(tmp_path, {"vssync.yaml": f"version: 1\nowner: docs\n{STORE}", **pages})
    command = [sys.executable, "-m", "tests.sources.cluster", str(tmp_path)]
    environment = {**os.environ, "VSSYNC_STATE_DIR": str(tmp_path.parent / "state")}  # with no cache in it
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    here = vssync(tmp_path, "plan")
    assert seen["plan"] == [here.code, here.out, ""]
    assert "40 to add" in here.out
    assert len(seen["work"]) == 2
    assert sum(seen["work"].values()) == 40
    assert min(seen["work"].values()) > 0
    desired = load_manifest(tmp_path, STORE, {}).desired.stores[0].files
    assert seen["digests"] == [file.sha256 for file in sorted(desired, key=lambda file: file.path)]
    assert min(seen["work"], key=int) not in seen["left"]


@pytest.mark.parametrize("address", ["scheduler:8786", "dask://scheduler", "dask://me:secret@scheduler:8786"])
def test_an_engine_is_named_by_its_scheduler(tmp_path: Path, address: str) -> None:
    (tmp_path / "a.csv").write_text("a,b")
    end = vssync(tmp_path, "render", "--converted", "a.csv", "--engine", address)
    assert (end.code, "write it as dask://HOST:PORT" in end.err) == (64, True)


@pytest.mark.convert
def test_a_scheduler_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b")
    end = vssync(tmp_path, "render", "--converted", "a.csv", "--engine", "dask://127.0.0.1:1")
    assert (end.code, "the scheduler cannot be reached" in end.err) == (1, True)
