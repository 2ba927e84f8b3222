"""`vssync validate`: checks the manifest and the files it names, without a service."""

from __future__ import annotations

from functools import partial

import click

from vssync.cli.help import option, verb
from vssync.cli.options import ENGINE, FULL, JSON_FORMAT, ONE_ENVIRONMENT, CommandOptions, shared_options
from vssync.cli.session import each_environment, format_valid, load_with_progress
from vssync.errors import ManifestError


@verb
@shared_options(*ONE_ENVIRONMENT, ENGINE, FULL, JSON_FORMAT)
@option("--strict", "Treat warnings as errors.", is_flag=True)
def validate(options: CommandOptions, strict: bool) -> int:
    """Check the manifest and the files it names, without contacting a service.

    `-e '*'` checks each declared environment, and a name such as `pr-0` for each pattern.
    """
    return each_environment(options, partial(_check, strict=strict), samples=True)


def _check(options: CommandOptions, *, strict: bool) -> None:
    from vssync.render.json import validation_json
    from vssync.render.wording import left_out_lines

    try:
        loaded = load_with_progress(options.settings(), strict=strict)
    except ManifestError as error:
        if options.output_format == "json":
            click.echo(validation_json(None, problems=error.problems))
        raise
    if options.output_format == "json":
        click.echo(validation_json(loaded.desired, loaded.warnings))
        return
    lines = [format_valid(loaded.desired)]
    for store in loaded.desired.stores:
        total, *each = left_out_lines(store.left_out, full=options.full) or [""]
        lines += [f"{store.key}: {total}", *each] if total else []
    click.echo("\n".join(lines))
