"""Options that several commands share, and how they become Settings, Options and a View."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vssync.cli import completion, logs

if TYPE_CHECKING:
    from vssync.commands.session import Settings
    from vssync.model.plan import Options
    from vssync.model.state import Limit
    from vssync.render.layout import View


Command = TypeVar("Command", bound=Callable[..., Any])


def _addressed(*names: str, help: str) -> Callable[[Command], Command]:
    """An option that takes addresses, completed from the manifest."""
    return click.option(*names, multiple=True, metavar="ADDRESS", shell_complete=completion.addresses, help=help)


_ENVIRONMENT = click.option(
    "-e",
    "--env",
    envvar="VSSYNC_ENV",
    show_envvar=True,
    shell_complete=completion.environments,
    help="The environment to use.",
)
_MANIFEST = (
    click.option(
        "-f",
        "--file",
        "manifest",
        default=".",
        envvar="VSSYNC_FILE",
        show_envvar=True,
        metavar="PATH",
        help="The manifest, or a folder with a vssync.yaml.  [default: the current folder]",
    ),
    click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest."),
    click.option(
        "--allow-outside",
        multiple=True,
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Allow the manifest to name files in this folder outside its work tree.",
    ),
)
_SERVICE = (
    click.option(
        "--auth", default="", metavar="KIND", help="The kind of credential, instead of the manifest's `auth`."
    ),
    click.option("--profile", default="", metavar="NAME", help="The profile to use from ~/.oci/config."),
    click.option("--region", default="", metavar="NAME", help="The region to use instead of the manifest's."),
    click.option("--allow-host", multiple=True, metavar="HOST", help="Allow sending a credential to this host."),
    click.option("--allow-http", multiple=True, metavar="HOST", help="Allow plain HTTP to this host."),
    # Above 32 one pool of connections no longer pays.
    click.option(
        "--workers", type=click.IntRange(1, 32), metavar="N", help="Requests to run in parallel.  [default: by service]"
    ),
    click.option(
        "--limits",
        default="",
        metavar="NAME=N,...",
        envvar="VSSYNC_LIMITS",
        show_envvar=True,
        help="Limits per minute: requests, uploads, attaches (per store), files; 0 lifts one.  [default: by provider]",
    ),
    *logs.OPTIONS,
)
_SHOWN = (
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="When to use colour.",
    ),
    click.option("--full", is_flag=True, help="Print a line for every change, however many there are."),
    click.option("-q", "--quiet", is_flag=True, help="Print only the totals."),
)
_CHOICE = (
    _addressed("-t", "--target", "targets", help="Plan only this store or file (glob)."),
    _addressed("--exclude", "excludes", help="Leave out this store or file (glob)."),
    click.option("--adopt", is_flag=True, help="Take over unmarked stores and files that match the manifest."),
    click.option(
        "--adopt-from", default="", metavar="OWNER", help="Take over stores and files that bear this owner's mark."
    ),
    _addressed("--replace", help="Upload this store or file again, changed or not (glob)."),
    click.option("--retry-failed", is_flag=True, help="Retry files that the service refused."),
    click.option(
        "--allow-gap", is_flag=True, help="Change chunking without a new upload; search misses the file meanwhile."
    ),
    click.option(
        "--allow-store-deletes", is_flag=True, help="Allow deleting stores that are no longer in the manifest."
    ),
    click.option("--allow-store-replace", is_flag=True, help="Allow replacing expired stores; their ids change."),
    click.option(
        "--delete-unmanaged", type=int, metavar="N", help="Allow deleting stores with up to N unmanaged files."
    ),
    click.option(
        "--max-delete", metavar="N|P%", help="How many files of a store may be deleted.  [default: its `guards`]"
    ),
    click.option(
        "--max-replace", metavar="N|P%", help="How many files of a store may be replaced.  [default: its `guards`]"
    ),
)


def _adds(options: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


manifest_options = _adds((_MANIFEST[0], _ENVIRONMENT, *_MANIFEST[1:]))
environment_options = _adds(_MANIFEST)
service_options = _adds(_SERVICE)
view_options = _adds(_SHOWN)
plan_options = _adds(_CHOICE)


def make_settings(given: dict[str, Any]) -> Settings:
    """Settings from flags and the process's environment."""
    from vssync.commands.session import Settings, pairs
    from vssync.endpoints import Caller

    who = Caller(
        auth=given.get("auth", ""),
        profile=given.get("profile", ""),
        region=given.get("region", ""),
        allow_hosts=given.get("allow_host", ()),
        allow_http=given.get("allow_http", ()),
    )
    return Settings(
        manifest=given["manifest"],
        env=given["env"],
        variables=pairs(given["variables"]),
        workers=given.get("workers"),
        limits=given.get("limits", ""),
        who=who,
        allow_outside=given["allow_outside"],
        environment=dict(os.environ),
        ask=_ask if sys.stdin.isatty() else None,
    )


def _ask(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer


def make_options(given: dict[str, Any]) -> Options:
    """What shapes the plan."""
    from vssync.model.plan import Options

    plain = ("targets", "excludes", "adopt", "adopt_from", "replace", "retry_failed", "allow_gap")
    stores = ("allow_store_deletes", "allow_store_replace", "delete_unmanaged")
    return Options(
        **{name: given[name] for name in plain + stores},
        max_delete=parse_limit(given["max_delete"]),
        max_replace=parse_limit(given["max_replace"]),
    )


def parse_limit(text: str | None) -> Limit | None:
    """`412` files or `30%`.

    Raises click.BadParameter for anything else.
    """
    from vssync.model.state import Limit

    if text is None:
        return None
    number = text.removesuffix("%")
    if not number.isdecimal() or (text.endswith("%") and int(number) > 100):
        raise click.BadParameter(f"{text!r} is neither a number of files nor a share such as 30%")
    return Limit(share=int(number) / 100) if text.endswith("%") else Limit(count=int(number))


def make_view(given: dict[str, Any]) -> View:
    """How to show things on this stdout: NO_COLOR and pipes are plain (see no-color.org)."""
    from vssync.render.layout import View

    color = given.get("color", "auto")
    terminal = sys.stdout.isatty()
    wanted = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return View(
        width=max(60, shutil.get_terminal_size((80, 24)).columns),
        color=wanted if color == "auto" else color == "always",
        terminal=terminal,
        full=given.get("full", False),
        quiet=given.get("quiet", False),
    )
