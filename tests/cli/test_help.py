"""Every command says what it is for, and ends its help with examples that parse."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from vssync.cli.examples import EXAMPLES
from vssync.cli.help import HEADINGS
from vssync.cli.main import cli

LINES = [
    pytest.param(name, line, id=f"{name}-{number}")
    for name, rows in EXAMPLES.items()
    for number, (line, _) in enumerate(rows)
]


def words_of(line: str) -> list[str]:
    """The words of our own command in a shell line: inside `eval`, before a redirection."""
    inner = re.fullmatch(r'eval "\$\((.*)\)"', line)
    return shlex.split(re.split(r"\s[|>]", inner[1] if inner else line)[0])


@pytest.mark.parametrize(("name", "line"), LINES)
def test_examples_parse(name: str, line: str) -> None:
    program, command, *arguments = words_of(line)
    assert (program, command) == ("vssync", name)
    cli.commands[name].make_context(name, arguments, parent=click.Context(cli))


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_says_what_it_is_for_and_shows_examples(name: str) -> None:
    command = cli.commands[name]
    text = command.get_help(click.Context(command, info_name=f"vssync {name}"))
    assert command.get_short_help_str()
    assert "Examples:\n" in text
    for line, meaning in EXAMPLES[name]:
        assert f"    {line}\n        {meaning}\n" in f"{text}\n"


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_says_what_it_does(name: str) -> None:
    silent = [
        parameter.opts[-1]
        for parameter in cli.commands[name].params
        if isinstance(parameter, click.Option)
        and not parameter.help
        and not isinstance(parameter.type, click.Choice)  # its choices say it
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        ("plan", HEADINGS),
        ("apply", HEADINGS),
        ("destroy", ("Options", "Limits", "Manifest", "Connection", "Output")),
        ("dump", ("Options", "Manifest", "Connection", "Output")),
        ("validate", ("Options",)),
        ("init", ("Options",)),
    ],
)
def test_long_helps_are_grouped_and_fit_80_columns(name: str, headings: tuple[str, ...]) -> None:
    command = cli.commands[name]
    context = click.Context(command, info_name=f"vssync {name}", terminal_width=80)
    text = command.get_help(context)
    assert tuple(re.findall(r"^(\w.*):$", text, re.MULTILINE)) == headings
    assert max(map(len, text.splitlines())) <= 80
    options = [parameter for parameter in command.get_params(context) if isinstance(parameter, click.Option)]
    assert len(re.findall(r"^  --?\w", text, re.MULTILINE)) == len(options)
