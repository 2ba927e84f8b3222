"""The guide's page on the local service: complete, its rules and command lines understood, its programs run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from vssync.cli.serve import serve
from vssync.local.app import Service
from vssync.local.dialects import DIALECTS, SWITCHES, parse_dialect
from vssync.local.faults import connection, listings, objects
from vssync.local.faults.kind import FaultKind
from vssync.local.faults.rules import KINDS, parse_rule
from vssync.local.server import serving

PATH = Path(__file__).parents[2] / "examples/quickstart/docs/local-service.md"
PAGE = PATH.read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ vssync serve ?(.*)$", PAGE, re.MULTILINE)


def fault_rows(kinds: Sequence[FaultKind]) -> Iterator[str]:
    yield from ("| kind | what it does |", "|---|---|")
    for kind in kinds:
        value = kind.settings.get("value")
        form = f"={value.form}" if value and value.default is None else ""
        summary = " ".join((kind.act.__doc__ or "").split())
        yield f"| `{kind.name}{form}` | {summary} |"


def switch_rows() -> Iterator[str]:
    yield from (
        "| switch | what it does | with `local` | other with | how sure | source |",
        "|---|---|---|---|---|---|",
    )
    for name, switch in SWITCHES.items():
        form = f"={switch.value_form}" if switch.value_form else ""
        default = switch.default if switch.value_form else "on" if switch.default else "off"
        default = "none" if default == () else default
        others = [
            f"`{provider}`"
            for provider, dialect in DIALECTS.items()
            if getattr(dialect, name.replace("-", "_")) != switch.default
        ]
        cells = (
            f"`{name}{form}`",
            switch.summary,
            default,
            ", ".join(others),
            switch.known.evidence,
            switch.known.source,
        )
        yield f"| {' | '.join(map(str, cells))} |"


TABLES = {
    "### In transit": list(fault_rows(connection.KINDS)),
    "### In listings": list(fault_rows(listings.KINDS)),
    "### In objects": list(fault_rows(objects.KINDS)),
    "### In ingestion": list(fault_rows(objects.INGESTION_KINDS)),
    "### Switches": list(switch_rows()),
}


def with_table(page: str, heading: str, rows: list[str]) -> str:
    """The page with these rows as the first table below a heading."""
    start = page.index("\n|", page.index(f"{heading}\n")) + 1
    lines = itertools.takewhile(lambda line: line.startswith("|"), page[start:].splitlines())
    return page[:start] + "\n".join(rows) + page[start + len("\n".join(lines)) :]


@pytest.mark.parametrize("heading", TABLES)
def test_its_tables_are_what_the_program_says_of_itself(request: pytest.FixtureRequest, heading: str) -> None:
    page = PATH.read_text()
    expected = with_table(page, heading, TABLES[heading])
    if request.config.getoption("--update-goldens"):
        PATH.write_text(expected)
    else:
        assert page == expected


def test_every_fault_option_and_provider_is_listed() -> None:
    rows = [row for heading, table in TABLES.items() if heading != "### Switches" for row in table[2:]]
    assert sorted(re.findall(r"^\| `([a-z-]+)", "\n".join(rows), re.MULTILINE)) == sorted(KINDS)
    named = set(re.findall(r"^\| `([a-z-]+)", PAGE[: PAGE.index("### Switches")], re.MULTILINE))
    options = {option for parameter in serve.params for option in parameter.opts}
    assert named == set(KINDS) | options | set(DIALECTS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_line_is_understood(command: str) -> None:
    for rule in re.findall(r'--fault "?([^ "]+)', command):
        assert parse_rule(rule)
    for provider in re.findall(r"--provider (\S+)", command):
        assert parse_dialect(provider)


def test_the_program_that_uses_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., Service], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    Path("intro.md").write_text("How to get a refund.")
    with serving(opened()) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        names: dict[str, Any] = {}
        exec(PROGRAMS[0], names)
        names["client"].close()
    assert re.fullmatch(r"0\.\d+ intro\.md\nHow to get a refund\.\n", capsys.readouterr().out)


def test_the_program_that_needs_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openai = pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(PROGRAMS[1], names)
    with names["service"], names["client"] as client:
        once = client.with_options(max_retries=0)
        with pytest.raises(openai.InternalServerError, match="This 503 was asked for"):
            once.files.create(file=("a.md", b"text"), purpose="assistants")
        assert once.files.create(file=("a.md", b"text"), purpose="assistants").status == "processed"
