"""`vssync doctor`: prints each finding as it is made, or all of them in one document."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vssync.cli.help import FILE, option, verb
from vssync.cli.options import JSON_FORMAT, SERVICE, CommandOptions, shared_options
from vssync.cli.process import DONE, ERROR, INCOMPLETE
from vssync.cli.session import confirm

if TYPE_CHECKING:
    from vssync.commands.doctor.examine import Diagnosis
    from vssync.model.service import ServiceSpec


@verb
@shared_options(*SERVICE)
@option("--probe", "Also try what the service can do, with a temporary store and files.", is_flag=True)
@option("-y --yes", "Do not ask before --probe.", is_flag=True)
@option("-o --out", "Write evidence to this file: JSON without secrets, fit for an issue.", type=FILE)
@option("--clean-up", "Remove what a --probe that was killed left; it named this word.", default="", metavar="WORD")
@JSON_FORMAT
def doctor(options: CommandOptions, *, probe: bool, yes: bool, out: Path | None, clean_up: str) -> int:
    """Check the service, the credential and its permissions, and say what to fix.

    It only reads, unless --probe allows more. --probe also prints the `capabilities` to put into the manifest, and how
    to start a local service that behaves like this one.
    """
    from vssync.commands.doctor.evidence import save_evidence
    from vssync.commands.doctor.examine import Diagnosis, diagnosis_json, examine, remove_leftovers
    from vssync.commands.doctor.finding import Finding, finding_text
    from vssync.commands.doctor.scratch import new_word
    from vssync.commands.session import load_manifest
    from vssync.render.wording import heading_line

    if clean_up and (probe or out):
        raise click.UsageError("--clean-up does nothing else: leave out --probe and --out")
    settings = options.settings()
    loaded = load_manifest(settings, hashed=False)
    service, width = loaded.desired.service, options.view().width
    is_text = options.output_format == "text"

    def show(finding: Finding) -> None:
        if is_text or clean_up:
            click.echo(finding_text(finding, width))

    if clean_up:
        return DONE if remove_leftovers(settings, loaded, show, clean_up) else INCOMPLETE
    word = new_word() if probe else ""
    if is_text:
        click.echo(f"{heading_line(loaded.desired.owner, service)}\n")
    if probe:
        _announce(word, ask=not yes)
    diagnosis = Diagnosis()
    try:
        examine(settings, loaded, show, diagnosis, word=word)
    finally:  # also when interrupted: the document names what of the temporary store may be left
        if not is_text:
            click.echo(diagnosis_json(loaded, diagnosis))
        if out and diagnosis.evidence:
            save_evidence(out, diagnosis.evidence)
            if is_text and not diagnosis.complete:
                click.echo(f"\n{out}: the evidence of what was seen until then.")
    if is_text:
        _show_capabilities(service, diagnosis)
    if out and is_text:
        text = "the evidence; the guide's page about it says what is in it, and where to send it"
        click.echo(f"\n{out}: {text if diagnosis.evidence else 'not written, since nothing was asked'}.")
    if diagnosis.left:
        return INCOMPLETE
    return ERROR if diagnosis.failed else DONE


def _announce(word: str, *, ask: bool) -> None:
    from vssync.commands.doctor.write_probes import FILES, REQUESTS

    click.echo(
        f"--probe makes one store and {FILES} small files, sends about {REQUESTS} requests, and one\n"
        "or two a second while it waits, and removes everything again. It may take some\n"
        f"minutes. Should it be killed, `vssync doctor --clean-up {word}`\n"
        "removes what it left.\n",
        err=True,
    )
    if ask:
        confirm("Begin?", "Add --yes.")


def _show_capabilities(service: ServiceSpec, diagnosis: Diagnosis) -> None:
    from vssync.commands.doctor.facts import capabilities_snippet, dialect_of

    if not diagnosis.facts:
        return
    if diagnosis.capabilities:
        usual = replace(service, capabilities={}).declared_capabilities
        click.echo(f"\n{capabilities_snippet(diagnosis.capabilities, service.capabilities, usual)}")
    if dialect := dialect_of(diagnosis.facts, service.provider):
        click.echo(f"\nA local service that behaves like this one:\n\n  vssync serve --provider {dialect}")
