"""The guide's command reference is what the program says of itself; `pytest --update-goldens` writes it anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vssync.cli.commands import cli
from vssync.cli.examples import EXAMPLES

PAGE = Path(__file__).parent.parent / "examples/quickstart/docs/command-reference.md"
INTRO = """\
# Command reference

Every command, its options and some examples, as `vssync COMMAND --help` shows them. Results go to stdout, progress and
messages to stderr; the exit codes are in [ownership and safety](ownership-and-safety.md#exit-codes). `-h` and `--help`
go with each."""


def reference() -> str:
    """The whole page."""
    return "\n\n".join([INTRO, *(_section(name, command) for name, command in sorted(cli.commands.items()))]) + "\n"


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"vssync {name}")
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    examples = [line for example, meaning in EXAMPLES[name] for line in (f"# {meaning}", f"$ {example}")]
    parts = [f"## vssync {name}", _prose(command.help or ""), f"```text\n{usage}\n```"]
    if options := list(_options(command, context)):
        parts.append("\n".join(["| option | meaning |", "|---|---|", *options]))
    return "\n\n".join([*parts, "```console\n" + "\n".join(examples) + "\n```"])


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.params:  # without `--help`, which click adds by itself
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            names, meaning = (_cell(text) for text in record)
            yield f"| `{names}` | {meaning} |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def test_the_page_is_what_the_program_says(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-goldens"):
        PAGE.write_text(reference())
    assert PAGE.read_text() == reference()


def test_every_command_has_a_section() -> None:
    assert re.findall(r"^## vssync (\w+)$", reference(), re.MULTILINE) == sorted(cli.commands)
