"""Options that several commands share, and what commands make of their values."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import logs
from vssync.cli.completion import complete_addresses, complete_environments
from vssync.cli.help import CONNECTION, LIMITS, MANIFEST, OUTPUT, SELECTION, Choice, Decorator, option

if TYPE_CHECKING:
    from vssync.commands.session import Settings
    from vssync.model.plan import Options
    from vssync.model.state import Limit
    from vssync.render.layout import View


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """The values of shared options; those that a command does not have keep their defaults."""

    manifest: str = "."
    env: str | None = None
    variables: tuple[str, ...] = ()
    allow_outside: tuple[Path, ...] = ()
    allow_large: bool = False

    auth: str = ""
    control_auth: str = ""
    auth_command: str = ""
    profile: str = ""
    region: str = ""
    allow_hosts: tuple[str, ...] = ()
    allow_http: tuple[str, ...] = ()
    workers: int | None = None
    batches_in_flight: int = 8
    limits: str = ""

    engine: str = ""
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    adopt: bool = False
    adopt_from: tuple[str, ...] = ()
    compare: bool = False
    replace: tuple[str, ...] = ()
    retry_failed: bool = False
    allow_gap: bool = False
    allow_store_deletes: bool = False
    allow_store_replace: bool = False
    delete_unmanaged: int | None = None
    delete_unlisted: tuple[str, ...] = ()
    max_delete: Limit | None = None
    max_replace: Limit | None = None

    fail_fast: bool = False
    output_format: str = "text"
    color: str = "auto"
    full: bool = False
    quiet: bool = False

    def settings(self) -> Settings:
        """The settings of a session, with the process's environment and terminal."""
        from vssync.commands.session import Settings, parse_variables
        from vssync.endpoints import Caller

        return Settings(
            manifest=self.manifest,
            env=self.env,
            variables=parse_variables(self.variables),
            workers=self.workers,
            batches_in_flight=self.batches_in_flight,
            limits=self.limits,
            engine=self.engine,
            caller=Caller(**{name: getattr(self, name) for name in _CALLER_FIELDS}),
            allow_outside=self.allow_outside,
            allow_large=self.allow_large,
            environment=dict(os.environ),
            ask_passphrase=partial(click.prompt, hide_input=True, err=True) if sys.stdin.isatty() else None,
        )

    def plan_options(self) -> Options:
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


_CALLER_FIELDS = ("auth", "control_auth", "auth_command", "profile", "region", "allow_hosts", "allow_http")
_PLAN_FIELDS = (
    *("targets", "excludes", "adopt", "adopt_from", "compare", "replace", "retry_failed", "allow_gap"),
    *("allow_store_deletes", "allow_store_replace", "delete_unmanaged", "max_delete", "max_replace"),
)
SAVED_IN_PLANS = ("manifest", "env", "variables", *_PLAN_FIELDS)


def shared_options(*options: Decorator[Any]) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Adds options to a command, which gets the values of those it shares as a CommandOptions, its first argument."""
    names = {field.name for field in fields(CommandOptions)}

    def decorate(command: Callable[..., int | None]) -> Callable[..., int | None]:
        @wraps(command)
        def collect(**values: Any) -> int | None:
            shared = {name: values.pop(name) for name in names & values.keys()}
            return command(CommandOptions(**shared), **values)

        for add_option in reversed(options):
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


_manifest = partial(option, heading=MANIFEST)
_connection = partial(option, heading=CONNECTION)
_selection = partial(option, heading=SELECTION)
address_option = partial(_selection, multiple=True, metavar="ADDRESS", shell_complete=complete_addresses)
_limit = partial(option, heading=LIMITS)
_guard = partial(_limit, metavar="N|P%", callback=_parse_limit)
_output = partial(option, heading=OUTPUT)

_FOLDER = click.Path(path_type=Path)
_FILE_HELP = "The manifest, or a folder with a vssync.yaml.  [default: the current folder]"
_OUTSIDE_HELP = "Allow the manifest to name files in this folder outside its work tree."
_MANIFEST_FILE = _manifest("-f --file manifest", _FILE_HELP, variable="VSSYNC_FILE", default=".", metavar="PATH")
_ENVIRONMENT = _manifest(
    "-e --env", "The environment to use.", variable="VSSYNC_ENV", shell_complete=complete_environments
)
_VARIABLES = (
    _manifest("--var variables", "Set a variable of the manifest.", multiple=True, metavar="NAME=VALUE"),
    _manifest("--allow-outside", _OUTSIDE_HELP, multiple=True, metavar="DIR", type=_FOLDER),
    _manifest("--allow-large", "Allow a manifest of more than 16 MB.", is_flag=True),
)
_ENGINE_HELP = "Convert documents on the workers of this Dask scheduler.  [default: on this machine]"
ENGINE: Decorator[Any] = _manifest("--engine", _ENGINE_HELP, default="", metavar="dask://HOST:PORT")
ALL_ENVIRONMENTS = (_MANIFEST_FILE, *_VARIABLES)
ONE_ENVIRONMENT = (_MANIFEST_FILE, _ENVIRONMENT, *_VARIABLES)

_WORKERS = click.IntRange(1, 32)  # above 32 one pool of connections no longer pays
_RATES_HELP = "Limits a minute: requests, uploads, attaches (per store), files; 0 for no limit.  [default: by provider]"
_CONTROL_AUTH_HELP = "The kind of credential for the stores themselves, where it is another."
_AUTH_COMMAND_HELP = "A command that prints the bearer token to send; run again when the token expires."
CONNECTION_OPTIONS = (
    _connection("--auth", "The kind of credential, instead of the manifest's `auth`.", default="", metavar="KIND"),
    _connection("--control-auth", _CONTROL_AUTH_HELP, default="", metavar="KIND"),
    _connection("--auth-command", _AUTH_COMMAND_HELP, default="", metavar="CMD"),
    _connection("--profile", "The profile to use from ~/.oci/config.", default="", metavar="NAME"),
    _connection("--region", "The region to use instead of the manifest's.", default="", metavar="NAME"),
    _connection("--allow-host allow_hosts", "Allow sending a credential to this host.", multiple=True, metavar="HOST"),
    _connection("--allow-http", "Allow plain HTTP to this host.", multiple=True, metavar="HOST"),
    _connection("--workers", "Requests to run in parallel.  [default: up to 32, by load]", type=_WORKERS, metavar="N"),
    _connection("--limits", _RATES_HELP, variable="VSSYNC_LIMITS", default="", metavar="NAME=N,..."),
    *logs.OPTIONS,
)
SERVICE = (*ONE_ENVIRONMENT, *CONNECTION_OPTIONS)

_COLORS = Choice(["auto", "always", "never"])
FULL = _output("--full", "Print a line for every change, and for every file that is left out.", is_flag=True)
COLOR = _output("--color", "When to use colour.", type=_COLORS, default="auto", show_default=True)
VIEW = (COLOR, FULL, _output("-q --quiet", "Print only the totals.", is_flag=True))

_GAP_HELP = "Change chunking without a new upload; search misses the file meanwhile."
ALLOW_GAP = _limit(
    "--allow-gap", "Allow deleting files though search then misses others of the same text.", is_flag=True
)
_STORE_DELETES_HELP = "Allow deleting stores that are no longer in the manifest."
_ADOPT_FROM_HELP = "Take over stores and files that bear this owner's mark."
DELETE_UNMANAGED = _limit(
    "--delete-unmanaged", "Allow deleting stores with up to N unmanaged files.", type=int, metavar="N"
)
DELETE_UNLISTED = _limit(
    "--delete-unlisted", "Allow deleting this store, though its files cannot be listed.", multiple=True, metavar="STORE"
)
PLAN = (
    ENGINE,
    address_option("-t --target targets", "Plan only this store or file (glob)."),
    address_option("--exclude excludes", "Leave out this store or file (glob)."),
    _selection("--adopt", "Take over unmarked stores and files that match the manifest.", is_flag=True),
    _selection("--adopt-from", _ADOPT_FROM_HELP, variable="VSSYNC_ADOPT_FROM", multiple=True, metavar="OWNER"),
    _selection("--compare", "Download more than 1 GB to compare what --adopt takes over.", is_flag=True),
    address_option("--replace", "Upload this store or file again, changed or not (glob)."),
    _selection("--retry-failed", "Retry files that the service refused.", is_flag=True),
    _limit("--allow-gap", _GAP_HELP, is_flag=True),
    _limit("--allow-store-deletes", _STORE_DELETES_HELP, is_flag=True),
    _limit("--allow-store-replace", "Allow replacing stores that expired or list no files; ids change.", is_flag=True),
    DELETE_UNMANAGED,
    _guard("--max-delete", "How many files of a store may be deleted.  [default: its `guards`]"),
    _guard("--max-replace", "How many files of a store may be replaced.  [default: its `guards`]"),
)


def format_option(*choices: str, help: str | None = None) -> Decorator[Any]:
    """`--format`, of which the first choice is the default."""
    kind = Choice(choices)
    return _output("--format output_format", help, type=kind, default=choices[0], show_default=True)


JSON_FORMAT = format_option("text", "json")
_PLAN_FORMAT_HELP = "markdown: a comment, or with --full a job's summary; html: a page; gitlab: GitLab's plan report."
PLAN_FORMAT = format_option("text", "json", "markdown", "html", "gitlab", help=_PLAN_FORMAT_HELP)
DETAILED_EXITCODE = _output("--detailed-exitcode", "Exit with 2 when there are changes.", is_flag=True)
BATCHES_IN_FLIGHT = _connection(
    "--batches-in-flight",
    "Batches of one store to have in progress at once.",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
)
LOCK_TIMEOUT = option(
    "--lock-timeout",
    "How long to wait for another run on this machine to end.  [default: 0]",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
)
