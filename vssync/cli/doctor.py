"""`vssync doctor`: prints each finding as it is made, or all of them in one document."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import exit_codes
from vssync.cli.options import make_settings, make_view, manifest_options, service_options
from vssync.cli.session import json_format_option


@click.command()
@manifest_options
@service_options
@click.option("--write", is_flag=True, help="Also try writing: make a scratch store with files, then remove it.")
@json_format_option
def doctor(write: bool, form: str, **given: Any) -> int:
    """Check the service, the credential and its permissions, and say what to fix.

    Without --write it only reads. With --write it also prints the service's `capabilities`, to put into the manifest.
    """
    from vssync.commands.doctor.examine import Diagnosis, diagnosis_json, examine
    from vssync.commands.doctor.finding import Finding, finding_text
    from vssync.commands.doctor.write_probes import capabilities_snippet
    from vssync.commands.session import load_manifest
    from vssync.render.wording import heading_line

    settings = make_settings(given)
    loaded = load_manifest(settings, hashed=False)
    service, width = loaded.desired.service, make_view({}).width
    diagnosis: Diagnosis | None = None
    if form == "json":
        findings: list[Finding] = []
        try:
            diagnosis = examine(settings, loaded, findings.append, write=write)
        finally:  # also when interrupted: something of a trial may be left, and is named
            click.echo(diagnosis_json(loaded, findings, diagnosis))
    else:
        click.echo(f"{heading_line(loaded.desired.owner, service)}\n")
        diagnosis = examine(settings, loaded, lambda finding: click.echo(finding_text(finding, width)), write=write)
        if diagnosis.capabilities is not None:
            click.echo(f"\n{capabilities_snippet(diagnosis.capabilities, service.capabilities)}")
    if diagnosis.left:
        return exit_codes.INCOMPLETE
    return 1 if diagnosis.failed else exit_codes.DONE
