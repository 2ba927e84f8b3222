"""`vssync doctor`: prints each finding as it is made, or all of them in one document."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import endings, flags


@click.command()
@flags.manifest
@flags.service
@click.option("--write", is_flag=True, help="Also try writing: make a scratch store with files, then remove it.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(write: bool, form: str, **given: Any) -> int:
    """Check the service, the credential and its permissions, and say what to fix.

    Without --write it only reads. With --write it also prints the service's `capabilities`, to put into the manifest.
    """
    from vssync import workflow
    from vssync.doctor import Diagnosis, Finding, document, examine, snippet, text
    from vssync.render import heading

    settings = flags.settings(given)
    loaded = workflow.load(settings, hashed=False)
    service, width = loaded.desired.service, flags.view({}).width
    diagnosis: Diagnosis | None = None
    if form == "json":
        findings: list[Finding] = []
        try:
            diagnosis = examine(settings, loaded, findings.append, write=write)
        finally:  # also when interrupted: something of a trial may be left, and is named
            click.echo(document(loaded, findings, diagnosis))
    else:
        click.echo(f"{heading(loaded.desired.owner, service)}\n")
        diagnosis = examine(settings, loaded, lambda finding: click.echo(text(finding, width)), write=write)
        if diagnosis.capabilities is not None:
            click.echo(f"\n{snippet(diagnosis.capabilities, service.capabilities)}")
    if diagnosis.left:
        return endings.INCOMPLETE
    return 1 if diagnosis.failed else endings.DONE
