"""Options that several commands share, and what commands make of their values."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import logs
from vssync.cli.completion import complete_addresses, complete_environments
from vssync.cli.help import CONNECTION, LIMITS, MANIFEST, OUTPUT, SELECTION, AnyFunction, option

if TYPE_CHECKING:
    from vssync.commands.session import Settings
    from vssync.model.plan import Options
    from vssync.model.state import Limit
    from vssync.render.layout import View

Decorator = Callable[[AnyFunction], AnyFunction]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """The values of shared options; those that a command does not have keep their defaults."""

    manifest: str = "."
    env: str | None = None
    variables: tuple[str, ...] = ()
    allow_outside: tuple[Path, ...] = ()

    auth: str = ""
    profile: str = ""
    region: str = ""
    allow_hosts: tuple[str, ...] = ()
    allow_http: tuple[str, ...] = ()
    workers: int | None = None
    limits: str = ""

    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    adopt: bool = False
    adopt_from: str = ""
    replace: tuple[str, ...] = ()
    retry_failed: bool = False
    allow_gap: bool = False
    allow_store_deletes: bool = False
    allow_store_replace: bool = False
    delete_unmanaged: int | None = None
    max_delete: Limit | None = None
    max_replace: Limit | None = None

    color: str = "auto"
    full: bool = False
    quiet: bool = False

    def settings(self) -> Settings:
        """The settings of a session, with the process's environment and terminal."""
        from vssync.commands.session import Settings, parse_variables
        from vssync.endpoints import Caller

        caller = Caller(
            auth=self.auth,
            profile=self.profile,
            region=self.region,
            allow_hosts=self.allow_hosts,
            allow_http=self.allow_http,
        )
        return Settings(
            manifest=self.manifest,
            env=self.env,
            variables=parse_variables(self.variables),
            workers=self.workers,
            limits=self.limits,
            caller=caller,
            allow_outside=self.allow_outside,
            environment=dict(os.environ),
            ask_passphrase=_prompt_hidden if sys.stdin.isatty() else None,
        )

    def plan_options(self) -> Options:
        """What shapes a plan."""
        from vssync.model.plan import Options

        return Options(**{name: getattr(self, name) for name in _PLAN_FIELDS})

    def view(self) -> View:
        """How to show things on this stdout. NO_COLOR and pipes turn colour off (see no-color.org)."""
        from vssync.render.layout import View

        terminal = sys.stdout.isatty()
        auto = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return View(
            width=max(60, shutil.get_terminal_size((80, 24)).columns),
            color=auto if self.color == "auto" else self.color == "always",
            terminal=terminal,
            full=self.full,
            quiet=self.quiet,
        )


_PLAN_FIELDS = (
    *("targets", "excludes", "adopt", "adopt_from", "replace", "retry_failed", "allow_gap", "allow_store_deletes"),
    *("allow_store_replace", "delete_unmanaged", "max_delete", "max_replace"),
)
RECORDED_IN_PLANS = ("manifest", "env", "variables", *_PLAN_FIELDS)


def _prompt_hidden(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer


def shared_options(*groups: tuple[Decorator[Any], ...]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Adds groups of options to a command, which gets their values as its first argument, a CommandOptions."""
    names = {field.name for field in fields(CommandOptions)}

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def collect(**values: Any) -> int:
            shared = {name: values.pop(name) for name in names & values.keys()}
            return command(CommandOptions(**shared), **values)

        for add_option in reversed([each for group in groups for each in group]):
            collect = add_option(collect)
        return collect

    return decorate


def _parse_limit(_context: click.Context, _option: click.Parameter, text: str | None) -> Limit | None:
    """`412` files or `30%`."""
    from vssync.model.state import Limit

    if text is None:
        return None
    number = text.removesuffix("%")
    if not number.isdecimal() or (text.endswith("%") and int(number) > 100):
        raise click.BadParameter(f"{text!r} is neither a number of files nor a share such as 30%")
    return Limit(share=int(number) / 100) if text.endswith("%") else Limit(count=int(number))


_manifest_option = functools.partial(option, heading=MANIFEST)
_connection_option = functools.partial(option, heading=CONNECTION)
_selection_option = functools.partial(option, heading=SELECTION)
_limit_option = functools.partial(option, heading=LIMITS)
_output_option = functools.partial(option, heading=OUTPUT)

_MANIFEST_FILE = (
    _manifest_option(
        "-f",
        "--file",
        "manifest",
        default=".",
        envvar="VSSYNC_FILE",
        show_envvar=True,
        metavar="PATH",
        help="The manifest, or a folder with a vssync.yaml.  [default: the current folder]",
    ),
)
_VARIABLES = (
    _manifest_option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest."),
    _manifest_option(
        "--allow-outside",
        multiple=True,
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Allow the manifest to name files in this folder outside its work tree.",
    ),
)
ALL_ENVIRONMENTS_OPTIONS = (*_MANIFEST_FILE, *_VARIABLES)
MANIFEST_OPTIONS = (
    *_MANIFEST_FILE,
    _manifest_option(
        "-e",
        "--env",
        envvar="VSSYNC_ENV",
        show_envvar=True,
        shell_complete=complete_environments,
        help="The environment to use.",
    ),
    *_VARIABLES,
)
CONNECTION_OPTIONS = (
    _connection_option(
        "--auth", default="", metavar="KIND", help="The kind of credential, instead of the manifest's `auth`."
    ),
    _connection_option("--profile", default="", metavar="NAME", help="The profile to use from ~/.oci/config."),
    _connection_option("--region", default="", metavar="NAME", help="The region to use instead of the manifest's."),
    _connection_option(
        "--allow-host", "allow_hosts", multiple=True, metavar="HOST", help="Allow sending a credential to this host."
    ),
    _connection_option("--allow-http", multiple=True, metavar="HOST", help="Allow plain HTTP to this host."),
    _connection_option(
        "--workers",
        type=click.IntRange(1, 32),  # above 32 one pool of connections no longer pays
        metavar="N",
        help="Requests to run in parallel.  [default: by service]",
    ),
    _connection_option(
        "--limits",
        default="",
        metavar="NAME=N,...",
        envvar="VSSYNC_LIMITS",
        show_envvar=True,
        help="Limits a minute: requests, uploads, attaches (per store), files; 0 for no limit.  [default: by provider]",
    ),
    *logs.OPTIONS,
)
SERVICE_OPTIONS = (*MANIFEST_OPTIONS, *CONNECTION_OPTIONS)
VIEW_OPTIONS = (
    _output_option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="When to use colour.",
    ),
    _output_option("--full", is_flag=True, help="Print a line for every change, however many there are."),
    _output_option("-q", "--quiet", is_flag=True, help="Print only the totals."),
)


def _address_option(*names: str, help: str) -> Decorator[Any]:
    return _selection_option(*names, multiple=True, metavar="ADDRESS", shell_complete=complete_addresses, help=help)


delete_unmanaged_option = _limit_option(
    "--delete-unmanaged", type=int, metavar="N", help="Allow deleting stores with up to N unmanaged files."
)
PLAN_OPTIONS = (
    _address_option("-t", "--target", "targets", help="Plan only this store or file (glob)."),
    _address_option("--exclude", "excludes", help="Leave out this store or file (glob)."),
    _selection_option("--adopt", is_flag=True, help="Take over unmarked stores and files that match the manifest."),
    _selection_option(
        "--adopt-from", default="", metavar="OWNER", help="Take over stores and files that bear this owner's mark."
    ),
    _address_option("--replace", help="Upload this store or file again, changed or not (glob)."),
    _selection_option("--retry-failed", is_flag=True, help="Retry files that the service refused."),
    _limit_option(
        "--allow-gap", is_flag=True, help="Change chunking without a new upload; search misses the file meanwhile."
    ),
    _limit_option(
        "--allow-store-deletes", is_flag=True, help="Allow deleting stores that are no longer in the manifest."
    ),
    _limit_option("--allow-store-replace", is_flag=True, help="Allow replacing expired stores; their ids change."),
    delete_unmanaged_option,
    _limit_option(
        "--max-delete",
        metavar="N|P%",
        callback=_parse_limit,
        help="How many files of a store may be deleted.  [default: its `guards`]",
    ),
    _limit_option(
        "--max-replace",
        metavar="N|P%",
        callback=_parse_limit,
        help="How many files of a store may be replaced.  [default: its `guards`]",
    ),
)

detailed_exitcode_option = _output_option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes."
)
lock_timeout_option = option(
    "--lock-timeout",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for another run on this machine to end.  [default: 0]",
)


def format_option(*choices: str, help: str | None = None) -> Decorator[Any]:
    """`--format`, of which the first choice is the default."""
    return _output_option(
        "--format", "output_format", type=click.Choice(choices), default=choices[0], show_default=True, help=help
    )


json_format_option = format_option("text", "json")
plan_format_option = format_option(
    "text",
    "json",
    "markdown",
    "gitlab",
    help="markdown: for a comment, or with --full for a job's summary; gitlab: for GitLab's plan report.",
)
