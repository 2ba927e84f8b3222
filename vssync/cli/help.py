"""How `--help` looks: short commands have one list of options, long ones a heading for each group; examples end it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vssync.cli.examples import EXAMPLES

HEADINGS = ("Options", "What to change", "Limits", "Manifest", "Connection", "Output")
OWN, SELECTION, LIMITS, MANIFEST, CONNECTION, OUTPUT = HEADINGS
HELP_NAMES = ["-h", "--help"]
_LONG = 12  # options, above which a command shows headings
_NAMES_WIDTH = 30  # click's: columns that the names of an option take at most
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])
Decorator = Callable[[AnyFunction], AnyFunction]
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)


class Choice(click.Choice[str]):
    """One of some words. For a word that is like one of them, the error names that one."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        from vssync.manifest.diagnostics import find_closest

        closest = find_closest(str(value), self.choices)
        return super().get_invalid_choice_message(value, ctx) + (f" Did you mean {closest!r}?" if closest else "")


class GroupedOption(click.Option):
    def __init__(self, names: list[str], *, heading: str, **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.heading = heading


def option(
    names: str, help: str | None = None, *, heading: str = OWN, variable: str = "", **attributes: Any
) -> Decorator[Any]:
    """A click option under a heading, its names in one text, and the environment variable that stands in for it."""
    if variable:
        attributes |= {"envvar": variable, "show_envvar": True}
    return click.option(*names.split(), cls=GroupedOption, heading=heading, help=help, **attributes)


class Verb(click.Command):
    def __init__(self, name: str, *, help: str = "", **attributes: Any) -> None:
        summary = " ".join(help.partition("\n\n")[0].split())  # whole: click would cut it
        examples = [line for example, meaning in EXAMPLES[name] for line in (f"  {example}", f"      {meaning}")]
        attributes["epilog"] = "\n".join(["\b", "Examples:", *examples])
        # `-h` is said here, too, since a command may stand alone, in tests and in the command reference.
        attributes["context_settings"] = {"help_option_names": HELP_NAMES}
        super().__init__(name, help=help, short_help=summary, **attributes)

    def option_groups(self, context: click.Context) -> dict[str, list[tuple[str, str]]]:
        options = [parameter for parameter in self.get_params(context) if isinstance(parameter, click.Option)]
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for option in options:
            if record := option.get_help_record(context):
                heading = option.heading if isinstance(option, GroupedOption) and len(options) > _LONG else OWN
                groups[heading].append(record)
        return {heading: records for heading, records in groups.items() if records}

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the groups, their columns in line."""
        groups = self.option_groups(context)
        width = min(_NAMES_WIDTH, max(len(names) for records in groups.values() for names, _ in records))
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(names.ljust(width), meaning) for names, meaning in records])


def verb(command: Callable[..., int | None]) -> Verb:
    """Makes a function a command that bears its name; it returns its exit code, or nothing when all went well."""
    return click.command(command.__name__, cls=Verb)(command)
