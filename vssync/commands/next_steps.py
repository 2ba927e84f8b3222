"""What a person may try after the first apply of a store, as commands that can be typed as they stand."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shlex import join

from vssync.applier.writes import open_unchanged
from vssync.commands.init import WORKFLOWS
from vssync.commands.plan import options_of
from vssync.commands.session import Session, embedded_folder
from vssync.errors import VssyncError
from vssync.manifest.front_matter import FRONT_MATTER_EXTENSIONS, MAX_FRONT_MATTER
from vssync.manifest.lookups import HEADING, Lookup, look_up
from vssync.model.plan import Options
from vssync.model.report import Report
from vssync.model.state import DesiredFile, extension_of
from vssync.planner.guards import plan_command
from vssync.render.report import NextStep
from vssync.sources.convert import FileContents
from vssync.sources.git import remote_url
from vssync.sources.paths import find_work_tree

_MOST_READ = 20  # files, until one has a heading to ask for
_QUESTION = re.compile(r"\w[\w ,.:;?'()&/-]{3,28}")  # which double quotes keep as it is in a shell
_ENTRANCE = re.compile(r"(^|/)(readme|index|license|changelog)\b", re.IGNORECASE)  # headings that say little


def next_steps(session: Session, report: Report) -> tuple[NextStep, ...]:
    """The commands to go on with after an apply that made a store; none in CI, or while something is left to do."""
    new = {outcome.store for outcome in report.outcomes if outcome.creates_store}
    environment = session.settings.environment
    if not new or not report.converged or environment.get("CI"):
        return ()
    options = options_of(session.settings, Options())
    files = [file for store in session.loaded.desired.stores if store.key in new for file in store.files]
    if not files:
        return ()
    question = find_question(session.loaded.contents, files)
    search = f'{plan_command(options, "search")} "{question}"'
    steps = [NextStep(search, "ask it (a heading of yours)")] if question else []
    if session.endpoint.embedded:
        folder = os.path.relpath(embedded_folder(Path(session.settings.manifest)))
        data = [] if folder == ".vssync/local" else ["--data", folder]
        steps.append(NextStep(join(["vssync", "serve", *data]), "an API for your application"))
        return tuple(steps)
    steps.append(NextStep(f"{plan_command(options, 'output')} --format dotenv", "the ids, for your application"))
    if forge := _forge_without_workflow(Path(session.settings.manifest)):
        steps.append(NextStep(f"vssync init --ci {forge}", "plan in every pull request"))
    return tuple(steps)


def find_question(contents: FileContents, files: Iterable[DesiredFile]) -> str:
    """A heading of one of these files that can stand in double quotes, best of a few words; empty for none."""
    lookup = Lookup((HEADING,))
    texts = [file for file in files if file.path and extension_of(file.path) in FRONT_MATTER_EXTENSIONS]
    headings = [""]
    for file in sorted(texts, key=lambda file: (bool(_ENTRANCE.search(file.key)), file.key))[:_MOST_READ]:
        with suppress(VssyncError), open_unchanged(contents, file) as stream:
            head = stream.read(MAX_FRONT_MATTER).decode("utf-8-sig", "replace")
            heading = str(look_up([lookup], head, file.path).values.get(lookup, ""))
            headings += [heading] if _QUESTION.fullmatch(heading) else []
    return next((heading for heading in headings if heading.count(" ") > 1), headings[-1])


def _forge_without_workflow(manifest: Path) -> str:
    """The forge that the repository is at, as its remote tells, if `init --ci` has not written a workflow for it."""
    tree = find_work_tree(manifest if manifest.is_dir() else manifest.parent)
    host = remote_url(tree).rpartition("://")[2].partition("/")[0]
    forge = next((name for name in WORKFLOWS if name in host), "")
    return forge if forge and not (tree / WORKFLOWS[forge][0]).exists() else ""
