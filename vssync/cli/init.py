"""`vssync init`: takes flags, asks for the rest at a terminal, and writes a commented manifest."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from vssync.cli.help import option, verb
from vssync.cli.process import DONE
from vssync.cli.session import format_valid
from vssync.errors import ManifestError
from vssync.providers import PROVIDERS
from vssync.text import escape_control, join_words

if TYPE_CHECKING:
    from vssync.commands.init import DraftEntry, FolderSurvey, ManifestDraft

_PATH = click.Path(path_type=Path)
_FILE_HELP = "The manifest to write, or its folder.  [default: the current folder]"
_PROVIDERS = click.Choice(list(PROVIDERS))
_CI_HELP = "Write the workflow for pull requests, and no manifest."

_CI_PAGE = "https://github.com/vssync/vssync/blob/main/examples/quickstart/docs/pull-requests.md"


@verb
@option("-f --file manifest", _FILE_HELP, variable="VSSYNC_FILE", default=".", type=_PATH, metavar="PATH")
@option("--owner", "The owner of what the manifest creates.  [default: the folder's name, with a random suffix]")
@option("--provider", "The kind of service.  [default: local]", type=_PROVIDERS)
@option("--path paths", "Files to include.  [default: the documents found]", multiple=True, metavar="GLOB")
@option("--region", "For oci: the region.")
@option("--project", "For oci: the OCID of the Generative AI project.")
@option("--compartment", "For oci: the OCID of the project's compartment.")
@option("--data-url", "For azure and compatible: the service's base URL.")
@option("--ci", _CI_HELP, type=click.Choice(["github", "gitlab"]))
@option("-y --yes", "Do not ask, and use the defaults; implied without a terminal.", is_flag=True)
def init(manifest: Path, yes: bool, ci: str | None, paths: tuple[str, ...], **answers: str | None) -> int:
    """Write a commented manifest for the documents in a folder; existing files are not overwritten."""
    from vssync.commands.init import FolderSurvey, manifest_path, survey_folder, write_manifest, write_workflow

    if ci:
        if paths or any(answers.values()):
            raise click.UsageError("--ci: writes no manifest; run init once more for that")
        workflow, to_do = write_workflow(ci, manifest)
        click.echo(f"Wrote {escape_control(str(workflow))}.\nNext: {to_do}\nHow:  {_CI_PAGE}")
        return DONE
    path = manifest_path(manifest)
    survey = FolderSurvey() if paths else survey_folder(path.parent)
    wizard = _Wizard(answers, asks=sys.stdin.isatty() and not yes)
    ignore_file = write_manifest(path, wizard.make_draft(path, paths, survey))
    written = [f"Wrote {path}.", *([f"Added .vssync/ to {ignore_file}."] if ignore_file else [])]
    return _print_result(path, survey, written)


class _Wizard:
    """Takes each answer from its flag, from a person if there is one to ask, or from the folder."""

    def __init__(self, flags: dict[str, str | None], *, asks: bool) -> None:
        self._flags = flags
        self._asks = asks

    def make_draft(self, path: Path, patterns: tuple[str, ...], survey: FolderSurvey) -> ManifestDraft:
        """The manifest to write to a path; without patterns it lists the documents of the surveyed folder."""
        import secrets

        from vssync.commands.init import DraftEntry, draft_manifest, propose_entries, suggested_name

        provider = self._get_answer("provider", "Provider", "local", _PROVIDERS)
        suggestion = suggested_name(path.resolve().parent.name, secrets.token_hex(3))
        owner = self._get_answer("owner", "Owner", suggestion, _check_name)
        service = {
            field.name: self._get_answer(field.name, f"{field.question[0].upper()}{field.question[1:]}", field.example)
            for field in PROVIDERS[provider].wizard_fields
        }
        entries = tuple(map(DraftEntry, patterns)) or propose_entries(survey, provider)
        if self._asks and not patterns:
            entries = _ask_for_patterns(entries)
        return draft_manifest(path, owner, provider, service, entries)

    def _get_answer(self, flag: str, question: str, default: str, kind: Any = None) -> str:
        if self._flags[flag] or not self._asks:
            return self._flags[flag] or default
        answer: str = click.prompt(question, default=default, type=kind, err=True)
        return answer


def _check_name(name: str) -> str:
    """The name, if it is valid; click asks again for one that is not."""
    from vssync.commands.init import NAME_RULE, is_name

    if not is_name(name):
        raise click.BadParameter(NAME_RULE)
    return name


def _ask_for_patterns(proposed: tuple[DraftEntry, ...]) -> tuple[DraftEntry, ...]:
    """The proposed entries, or those that a person types instead."""
    from vssync.commands.init import DraftEntry

    click.echo("Files:", err=True)
    for entry in proposed:
        click.echo(f"  {escape_control(entry.path)}", err=True)
    question = "Other patterns, separated by spaces, or Enter for these"
    answer = click.prompt(question, default="", show_default=False, err=True)
    return tuple(map(DraftEntry, answer.split())) or proposed


def _print_result(path: Path, survey: FolderSurvey, written: list[str]) -> int:
    """Says what the new manifest holds and leaves out, or what needs a change in it, with what was `written`."""
    from vssync.commands.init import survey_lines
    from vssync.manifest.rules import find_unedited_fields
    from vssync.sources.load import load_sources

    try:
        desired = load_sources(path).desired
    except ManifestError as error:
        click.echo("\n".join(written))
        click.echo("\n".join(["It needs a change:", *map(escape_control, str(error).split("\n"))]), err=True)
        return error.exit_code
    file_option = "" if str(path) == "vssync.yaml" else f" -f {quote(str(path))}"
    table = survey_lines(survey, desired.stores[0])
    placeholders = [f"`{diagnostic.path[-1]}`" for diagnostic in find_unedited_fields(desired.service)]
    verdict = [] if placeholders else [format_valid(desired)]
    click.echo("\n".join([*table, *([""] if table else []), *written, *verdict]))
    command = f"vssync {'plan' if PROVIDERS[desired.service.provider].embedded else 'doctor'}{file_option}"
    steps = [f"fill in {join_words(placeholders)} in {escape_control(str(path))}"] if placeholders else []
    steps += [] if desired.stores[0].files else ["add documents or change `files`"]
    click.echo(f"Next: {', '.join(steps)}{', then ' if steps else ''}{command}")
    return DONE
