"""`vssync ci`: a job of GitHub Actions or GitLab CI."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from vssync.cli import process
from vssync.cli.help import MANIFEST, Choice, option, verb
from vssync.cli.options import (
    BATCHES_IN_FLIGHT,
    CONNECTION_OPTIONS,
    ENGINE,
    FULL,
    LOCK_TIMEOUT,
    ONE_ENVIRONMENT,
    CommandOptions,
    shared_options,
)

_files = partial(option, heading=MANIFEST, variable="VSSYNC_FILE")  # as a path: its name may have spaces
_JOBS = ("plan", "apply", "drift", "preview", "sweep")
_FILES_HELP = "A manifest, or its folder; may be repeated.  [default: every vssync.yaml that git tracks]"
_DEPLOYMENT_HELP = "The forge's environment that `apply` deploys to.  [default: that of a GitLab job]"
_AGE_HELP = "After how many days without an apply `sweep` deletes a preview."
_AUTHOR_HELP = "Let labels count that the author of a pull request set."


@verb
@shared_options(*ONE_ENVIRONMENT[1:], ENGINE, *CONNECTION_OPTIONS, BATCHES_IN_FLIGHT, FULL)
@_files("-f --file paths", _FILES_HELP, multiple=True, metavar="PATH", type=click.Path())
@option("--deployment", _DEPLOYMENT_HELP, default="", metavar="NAME")
@option("--allow-author-labels", _AUTHOR_HELP, is_flag=True)
@option("--max-age", _AGE_HELP, type=click.IntRange(1, 3650), default=14, show_default=True, metavar="DAYS")
@LOCK_TIMEOUT
@click.argument("job", metavar="plan|apply [PLAN]...|drift|preview|sweep", type=Choice(_JOBS))
@click.argument("plans", metavar="", nargs=-1, type=click.Path(path_type=Path))
def ci(
    options: CommandOptions,
    *,
    job: str,
    plans: tuple[Path, ...],
    paths: tuple[str, ...],
    deployment: str,
    allow_author_labels: bool,
    max_age: int,
    lock_timeout: float,
) -> int:
    """Plan a pull request, apply what was merged, watch for drift, or keep previews, in a job of GitHub or GitLab.

    `plan` comments on what a pull request changes. `apply` plans the tip of the default branch anew, and applies that
    if commits explain it; with PLAN, a file saved by `vssync plan --out`, exactly that plan. `drift` keeps an issue
    open while live stores differ. `preview` applies the environment `pr-N` of pull request N, or deletes it once that
    is closed; `sweep` deletes what is left of such previews.
    """
    from vssync.api.rate_limit import Clock
    from vssync.ci.forge import Job, open_forge
    from vssync.cli.progress import apply_progress
    from vssync.commands.ci.job import CiRun
    from vssync.commands.ci.run import run_job
    from vssync.commands.plan import load_plan

    if plans and job != "apply":
        raise click.UsageError(f"ci {job}: takes no plan; `ci apply` does")
    run = CiRun(
        forge=open_forge(Job(os.environ, click.echo, Clock())),
        settings=options.settings(),
        now=datetime.now(UTC),
        say=lambda text: click.echo(text, color=True),
        watch=apply_progress,
        view=options.view(),
        paths=paths,
        deployment=deployment or os.environ.get("CI_ENVIRONMENT_NAME", ""),
        by_author=allow_author_labels,
        saved=tuple(map(load_plan, plans)),
        lock_timeout=lock_timeout,
        max_age=timedelta(days=max_age),
    )
    code = run_job(job, run)
    if process.signals.received:
        process.end_process(process.signals.exit_code())
    return code
