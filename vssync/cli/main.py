"""The program: registers the commands, runs one, and ends with its exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import NoReturn

import click

from vssync import __version__
from vssync.cli import process
from vssync.cli.help import HELP_NAMES

gc.set_threshold(250_000)  # by default, all modules are looked through again and again while they are loaded
VERBS = (
    *("apply", "batches", "cancel", "ci", "completion", "destroy", "diff", "doctor", "dump", "gc", "init"),
    *("output", "plan", "render", "schema", "search", "serve", "show", "status", "test", "validate"),
)


@click.group(context_settings={"help_option_names": HELP_NAMES, "max_content_width": 100})
@click.version_option(__version__, prog_name="vssync")
def cli() -> None:
    """Manage vector stores from a YAML manifest: plan, review and apply changes."""


class _Commands(Mapping[str, click.Command]):
    """The command of each verb, in a module of its name, which is imported when it is asked for."""

    def __getitem__(self, verb: str) -> click.Command:
        if verb not in VERBS:
            raise KeyError(verb)
        command: click.Command = getattr(import_module(f"vssync.cli.{verb}"), verb)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


cli.commands = _Commands()  # type: ignore[assignment]  # click only reads them


def main() -> NoReturn:
    """Runs the program, and ends the process."""
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # httpx's own program, which loads rich and pygments
    process.replace_streams()
    process.signals.listen()
    try:
        code = process.run_command(lambda: cli.main(prog_name="vssync", standalone_mode=False))
    except KeyboardInterrupt:  # a second signal, while the first was still being handled
        code = process.signals.exit_code()
    process.end_process(code)
