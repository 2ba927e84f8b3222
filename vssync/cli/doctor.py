"""`vssync doctor`: prints each finding as it is made, or all of them in one document."""

from __future__ import annotations

from dataclasses import replace

import click

from vssync.cli.help import option, verb
from vssync.cli.options import JSON_FORMAT, SERVICE, CommandOptions, shared_options
from vssync.cli.process import DONE, ERROR, INCOMPLETE


@verb
@shared_options(*SERVICE)
@option("--write", "Also try writing: make a scratch store with files, then remove it.", is_flag=True)
@JSON_FORMAT
def doctor(options: CommandOptions, write: bool, output_format: str) -> int:
    """Check the service, the credential and its permissions, and say what to fix.

    Without --write it only reads. With --write it also prints the service's `capabilities`, to put into the manifest.
    """
    from vssync.commands.doctor.examine import Diagnosis, diagnosis_json, examine
    from vssync.commands.doctor.finding import Finding, finding_text
    from vssync.commands.doctor.write_probes import capabilities_snippet
    from vssync.commands.session import load_manifest
    from vssync.render.wording import heading_line

    settings = options.settings()
    loaded = load_manifest(settings, hashed=False)
    service, width = loaded.desired.service, options.view().width
    diagnosis: Diagnosis | None = None
    if output_format == "json":
        findings: list[Finding] = []
        try:
            diagnosis = examine(settings, loaded, findings.append, write=write)
        finally:  # also when interrupted: the document names what of the scratch store may be left
            click.echo(diagnosis_json(loaded, findings, diagnosis))
    else:
        click.echo(f"{heading_line(loaded.desired.owner, service)}\n")
        diagnosis = examine(settings, loaded, lambda finding: click.echo(finding_text(finding, width)), write=write)
        if diagnosis.capabilities is not None:
            usual = replace(service, capabilities={}).declared_capabilities
            click.echo(f"\n{capabilities_snippet(diagnosis.capabilities, service.capabilities, usual)}")
    if diagnosis.left:
        return INCOMPLETE
    return ERROR if diagnosis.failed else DONE
