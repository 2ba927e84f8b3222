"""The README is short, shows what is really printed, and its commands are the ones that work.

In a `console` block the lines behind a command are what it prints. A line `...` stands for lines left out; an output
that is shortened may begin late, and its numbers may be old, so that a new page of the guide does not make it wrong.
`pytest --update-goldens` brings all numbers up to date.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.docs.test_docs import BLOCK
from tests.docs.test_tutorials import served
from tests.manifest.builders import write_files
from tests.program import program
from tests.support import masked
from vssync.cli.main import cli
from vssync.local.app import open_service
from vssync.local.transport import LocalTransport

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SCENARIO = ROOT / "tests/guarantees/scenarios/support-kb/1"
SET_UP = "python3 -m venv .venv && .venv/bin/pip install -q -c .ci/constraints.txt -e "
FIRST = "vssync apply --yes -f examples/quickstart"
COMMANDS = [SET_UP + f". && .venv/bin/{FIRST}", SET_UP + "'.[test]' && .venv/bin/pytest -q -n 2"]
DEFAULT_URL = "http://127.0.0.1:8700/v1"
NUMBER = re.compile(r" *\b\d[\d,.]*\b")


@dataclass(frozen=True)
class Shown:
    command: str
    output: str

    def shortened(self) -> bool:
        return "\n...\n" in f"\n{self.output}"

    def agrees(self, actual: str) -> bool:
        """Whether these lines are what is printed, or are in it in this order up to its end."""
        if not self.shortened():
            return masked(self.output) == masked(actual)
        parts = [re.escape(part) for part in re.split(r"^\.\.\.\n", numberless(self.output), flags=re.MULTILINE)]
        return re.search("^" + "(?:.*\n)+".join(parts) + r"\Z", numberless(actual), re.MULTILINE) is not None

    def renewed(self, actual: str) -> str:
        """The same lines with today's numbers, or everything where other lines are printed."""
        if not self.shortened():
            return self.output if self.agrees(actual) else actual
        today = {numberless(line): line for line in actual.splitlines()}
        lines = [today.get(numberless(line), line) for line in self.output.splitlines()]
        return "".join(f"{line}\n" for line in lines)


def numberless(text: str) -> str:
    """Ids and numbers as zeros, with the spaces that align them."""
    return NUMBER.sub(" 0", masked(text))


def section(title: str) -> str:
    (body,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README.read_text(), re.MULTILINE | re.DOTALL)
    return str(body)


def shown_commands(title: str) -> Iterator[Shown]:
    """The commands of a section, each with the output that is shown for it."""
    for language, text in BLOCK.findall(section(title)):
        if language == "text":
            yield Shown(FIRST, text)
        elif language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                if command.startswith("vssync"):  # others are for the reader's shell
                    yield Shown(command, output)


def output_of(command: str, folder: Path) -> str:
    """What a command prints, in always the same time; where it would ask, it is told yes."""
    words = shlex.split(command)[1:]
    if words[0] == "apply" and not {"--yes", "plan.json"} & {*words}:
        words.append("--yes")
    run = [program(), *words]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    return re.sub(r"in [0-9.]+ s\.", "in 0.2 s.", done.stdout)


def check_section(title: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """Runs a section's commands in their order, and compares what they print where it is shown."""
    examples = list(shown_commands(title))
    assert examples
    for example in examples:
        check_example(example, folder, request)


def check_example(example: Shown, folder: Path, request: pytest.FixtureRequest) -> None:
    real = output_of(example.command, folder)
    if example.output and request.config.getoption("--update-goldens"):
        README.write_text(README.read_text().replace(example.output, example.renewed(real)))
    elif example.output:
        assert example.agrees(real), real


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    """The folder of the manifest that the README shows."""
    return Path(shutil.copytree(SCENARIO, tmp_path / "kb"))


def test_the_quick_start_prints_what_is_shown(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".vssync"))
    first, *_ = shown_commands("Try it")
    check_example(first, tmp_path, request)
    assert "No changes." in output_of(FIRST, tmp_path)


def test_the_quick_start_fits_a_screen(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/quickstart", tmp_path / "examples/quickstart")
    shutil.rmtree(tmp_path / "examples/quickstart/.vssync", ignore_errors=True)
    lines = output_of(FIRST, tmp_path).splitlines()
    assert len(lines) < 24
    assert [line for line in lines if len(line) > 80 and not line.startswith(("Plan: ", "Apply: "))] == []
    search, serve = (line.removeprefix("Next").strip() for line in lines[-2:])
    assert "docs/" in output_of(search, tmp_path)
    assert serve == "vssync serve --data examples/quickstart/.vssync/local"


def test_a_folder_of_mixed_documents_is_loaded_and_found(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"docs/{n}/Größe {n}.md": f"---\ntitle: {n}\n---\n# Page {n}\n" for n in range(60)}
    files |= {f"web/{n}.html": f"<p>Page {n}" for n in range(60)} | {f"docs/{n}.mdx": f"# Part {n}" for n in range(60)}
    files |= {f"img/{n}.png": b"\x89PNG" for n in range(60)} | {f"docs/{n}.pdf": b"%PDF-1.7" for n in range(30)}
    files |= {f"{n}.md": "" for n in range(20)} | {f"docs/draft {n}.md": "---\ndraft: true\n---\n" for n in range(10)}
    files["docs/account.md"] = "# Your account\n\nReset your password on the page Security.\n"
    write_files(tmp_path, files)
    _, *examples = shown_commands("Try it")
    init, apply, search = (output_of(example.command, tmp_path) for example in examples)
    for part in (
        ".mdx 60 as .md",
        "60 .png",
        "30 .pdf",
        "20 empty",
        "10 draft",
        "1 store, 181 files",
        "Next: vssync apply",
    ):
        assert part in init
    assert "181 added" in apply
    assert search.splitlines()[0].endswith("docs/account.md")


def test_the_manifest_is_the_one_planned_and_drawn(kb: Path, request: pytest.FixtureRequest) -> None:
    (manifest,) = [text for language, text in BLOCK.findall(README.read_text()) if language == "yaml"]
    assert manifest == f"# vssync.yaml\n{(SCENARIO / 'vssync.yaml').read_text()}"
    assert len(manifest.splitlines()) == 12
    check_section("A manifest and its plan", kb, request)


def test_a_reviewed_plan_is_applied(kb: Path, request: pytest.FixtureRequest) -> None:
    check_section("Review in pull requests", kb, request)
    assert "No changes." in output_of("vssync plan", kb)


def test_a_store_is_taken_over(tmp_path: Path) -> None:
    """Here from the local service, where a script has made it."""
    openai = pytest.importorskip("openai")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs/refunds.md"
    page.write_text("# Refunds\n\nWithin 30 days.\n")
    with (
        open_service(tmp_path / ".vssync/local") as service,
        openai.OpenAI(
            base_url="http://local/v1", api_key="none", http_client=httpx.Client(transport=LocalTransport(service))
        ) as client,
    ):
        store = client.vector_stores.create(name="Support documents")
        client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=page)
    dump, apply = (example.command for example in shown_commands("Take over an existing store"))
    output_of(dump.replace("--provider openai", "--provider local"), tmp_path)
    assert "Apply: 0 added, 0 changed, 0 replaced, 0 deleted, 1 adopted, 1 store adopted, 0 failed" in output_of(
        apply, tmp_path
    )
    assert output_of("vssync output --format id", tmp_path).strip() == store.id
    assert "No changes." in output_of("vssync plan", tmp_path)


def test_the_application_answers_with_citations(kb: Path) -> None:
    """By the shell's lines as they stand, with another port and another question."""
    pytest.importorskip("openai")
    blocks = dict(BLOCK.findall(section("Use it in an application")))
    output_of("vssync apply", kb)
    (kb / "ask.py").write_text(blocks["python"])
    start, exports, ids, ask = blocks["sh"].splitlines()
    assert start == "vssync serve &"
    assert ask.startswith("pip install -q openai && python ask.py ")
    with served(kb) as variables:
        assert exports == f"export OPENAI_BASE_URL={DEFAULT_URL} OPENAI_API_KEY={variables['OPENAI_API_KEY']}"
        exports = exports.replace(DEFAULT_URL, variables["OPENAI_BASE_URL"])
        ids = ids.replace("vssync", program())
        lines = f"{exports}\n{ids}\n{sys.executable} ask.py 'When do invoices come?'"
        done = subprocess.run(["bash", "-ec", lines], cwd=kb, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "# Billing\n\nInvoices come by mail.\n- faq__billing.md\n"


def test_the_two_commands_stand_as_they_are_run_in_ci() -> None:
    assert [line for line in README.read_text().splitlines() if line.startswith("python3 -m venv")] == COMMANDS


def test_it_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_it_names_every_command() -> None:
    rows = re.findall(r"^\| (`.+?) \|", section("Commands"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(cli.commands)


SHORT = Shown("vssync plan", "docs  2 files\n...\nPlan: 2 to add.\n")


@pytest.mark.parametrize(
    ("output", "agrees"),
    [
        ("kb: local\n\ndocs      13 files\n  +   a.md\n  +   b.md\nPlan: 13 to add.\n", True),
        ("docs  2 files\nPlan: 2 to add.\n", False),  # nothing is left out
        ("docs  2 files\n  +   a.md\nPlan: 2 to delete.\n", False),
        ("docs  2 files\n  +   a.md\nPlan: 2 to add.\nMore.\n", False),
        ("my docs  2 files\n  +   a.md\nPlan: 2 to add.\n", False),
    ],
)
def test_a_shortened_output_holds_its_lines_in_their_order(output: str, agrees: bool) -> None:
    assert SHORT.agrees(output) == agrees


def test_numbers_of_a_shortened_output_are_renewed() -> None:
    actual = "kb: local\n\ndocs      13 files\n  +   a.md\nPlan: 13 to add.\n"
    assert SHORT.renewed(actual) == "docs      13 files\n...\nPlan: 13 to add.\n"
