"""`vssync init`: takes flags, asks for the rest at a terminal, and writes a commented manifest."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from vssync.cli.help import Choice, option, verb
from vssync.cli.options import ENGINE
from vssync.cli.process import DONE
from vssync.errors import ManifestError
from vssync.providers import PROVIDERS, AuthKind
from vssync.text import count_noun, escape_control, join_words

if TYPE_CHECKING:
    from vssync.commands.init import DraftEntry, ManifestDraft
    from vssync.commands.survey import FolderSurvey
    from vssync.model.state import Desired
    from vssync.sources.convert import Converter

_PATH = click.Path(path_type=Path)
_FILE_HELP = "The manifest to write, or its folder.  [default: the current folder]"
_PROVIDERS = Choice(list(PROVIDERS))
_CI_HELP = "Write the workflow for pull requests, and no manifest."

_CI_PAGE = "https://github.com/vssync/vssync/blob/main/examples/quickstart/docs/pull-requests.md"


@verb
@option("-f --file manifest", _FILE_HELP, variable="VSSYNC_FILE", default=".", type=_PATH, metavar="PATH")
@option("--owner", "The owner of what the manifest creates.  [default: the repository's or the folder's name]")
@option("--provider", "The kind of service.  [default: local]", type=_PROVIDERS)
@option("--path paths", "Files to include.  [default: the documents found]", multiple=True, metavar="GLOB")
@option("--region", "For oci: the region.")
@option("--project", "For oci: the OCID of the Generative AI project.")
@option("--compartment", "For oci: the OCID of the project's compartment.")
@option("--data-url", "For azure and compatible: the service's base URL.")
@ENGINE
@option("--ci", _CI_HELP, type=Choice(["github", "gitlab"]))
@option("-y --yes", "Do not ask, and use the defaults; implied without a terminal.", is_flag=True)
def init(manifest: Path, yes: bool, ci: str | None, paths: tuple[str, ...], engine: str, **answers: str | None) -> int:
    """Write a commented manifest for the documents in a folder; existing files are not overwritten."""
    from vssync.commands.init import manifest_path, write_manifest, write_workflow
    from vssync.commands.session import Settings
    from vssync.commands.survey import FolderSurvey, survey_folder

    if ci:
        if paths or any(answers.values()):
            raise click.UsageError("--ci: writes no manifest; run init once more for that")
        workflow, to_do = write_workflow(ci, manifest)
        click.echo(f"Wrote {escape_control(str(workflow))}.\nNext: {to_do}\nHow:  {_CI_PAGE}")
        return DONE
    path = manifest_path(manifest)
    survey = FolderSurvey() if paths else survey_folder(path.parent)
    draft = _make_draft(path, paths, survey, answers, asks=sys.stdin.isatty() and not yes)
    ignore_file = write_manifest(path, draft)
    settings = Settings(str(path), environment=dict(os.environ), engine=engine)
    return _print_result(path, draft, survey, ignore_file, settings.converter)


def _make_draft(
    path: Path, patterns: tuple[str, ...], survey: FolderSurvey, flags: dict[str, str | None], *, asks: bool
) -> ManifestDraft:
    """The manifest to write to a path; without patterns it lists the documents of the surveyed folder.

    Each answer is taken from its flag, from a person if there is one to ask, or from the folder.
    """
    import secrets

    from vssync.commands.init import DraftEntry, draft_manifest, propose_entries
    from vssync.commands.names import suggested_owner

    def answer(flag: str, question: str, default: str, kind: Any = None) -> str:
        if flags[flag] or not asks:
            return flags[flag] or default
        return str(click.prompt(question, default=default, type=kind, err=True))

    provider = answer("provider", "Provider", "local", _PROVIDERS)
    owner = answer("owner", "Owner", suggested_owner(path.parent, secrets.token_hex(3)), _check_name)
    service = {
        field.name: answer(field.name, f"{field.question[0].upper()}{field.question[1:]}", field.example)
        for field in PROVIDERS[provider].wizard_fields
    }
    entries = tuple(map(DraftEntry, patterns)) or propose_entries(survey, provider)
    if asks and not patterns:
        entries = _ask_for_patterns(entries)
    return draft_manifest(path, owner, provider, service, entries)


def _check_name(name: str) -> str:
    """The name, if it is valid; click asks again for one that is not."""
    from vssync.commands.names import NAME_RULE, is_name

    if not is_name(name):
        raise click.BadParameter(NAME_RULE)
    return name


def _ask_for_patterns(proposed: tuple[DraftEntry, ...]) -> tuple[DraftEntry, ...]:
    from vssync.commands.init import DraftEntry

    click.echo("Files:", err=True)
    for entry in proposed:
        click.echo(f"  {escape_control(entry.path)}", err=True)
    question = "Other patterns, separated by spaces, or Enter for these"
    answer = click.prompt(question, default="", show_default=False, err=True)
    return tuple(map(DraftEntry, answer.split())) or proposed


def _print_result(
    path: Path, draft: ManifestDraft, survey: FolderSurvey, ignore_file: Path | None, converter: Converter
) -> int:
    """Says what the new manifest holds and leaves out, or what needs a change in it, and what to do next."""
    from vssync.commands.init import load_new_manifest
    from vssync.commands.names import is_placeholder_owner
    from vssync.commands.survey import conversion_hint, survey_lines
    from vssync.sources.read import LoadOptions

    wrote = f"Wrote {path}"
    ignored = [f"Added .vssync/ to {ignore_file}."] if ignore_file else []
    try:
        (store,) = (desired := load_new_manifest(path, draft, LoadOptions(converter=converter))).stores
    except ManifestError as error:
        click.echo("\n".join([f"{wrote}.", *ignored]))
        click.echo("\n".join(["It needs a change:", *map(escape_control, str(error).split("\n"))]), err=True)
        return error.exit_code
    table = survey_lines(survey, store, shutil.get_terminal_size((80, 24)).columns)
    hints = [*ignored, *filter(None, [conversion_hint(survey, store)])]
    summary = f"{wrote}: 1 store, {count_noun(len(store.files), 'file')}."
    owner = f"Its owner is {desired.owner}"
    owner += ": write a name of your own before the first apply." if is_placeholder_owner(desired.owner) else "."
    click.echo("\n".join([*table, *([""] if table else []), summary, owner, *hints, _next_line(path, desired)]))
    return DONE


def _next_line(path: Path, desired: Desired) -> str:
    """What is missing for a first apply, and the command to go on with."""
    from vssync.manifest.rules import find_unedited_fields

    service, named = desired.service, escape_control(str(path))
    provider = PROVIDERS[service.provider]
    placeholders = [f"`{diagnostic.path[-1]}`" for diagnostic in find_unedited_fields(service)]
    steps = [f"fill in {join_words(placeholders)} in {named}"] if placeholders else []
    steps += [] if desired.stores[0].files else ["add documents or change `files`"]
    if provider.default_auth is AuthKind.BEARER and not any(map(os.environ.get, provider.key_variables)):
        steps.append(f"put the key into {' or '.join(provider.key_variables)}")
    file_option = "" if str(path) == "vssync.yaml" else f" -f {quote(str(path))}"
    command = f"vssync {'apply' if provider.embedded else 'doctor'}{file_option}"
    return f"Next: {', '.join(steps)}{', then ' if steps else ''}{command}"
