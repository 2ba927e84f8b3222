"""What every job of `vssync ci` has: its forge, its repository, and what is known of each manifest so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from vssync.applier.watcher import Watcher
from vssync.ci.changed import ManifestsByTouch, find_manifests, find_removed, split_touched
from vssync.ci.forge import Forge, PullRequest, Severity, annotate_error
from vssync.ci.guards import JudgedLabel, judge_labels
from vssync.ci.history import GitHistory, ManifestHistory
from vssync.commands.session import Session, Settings
from vssync.errors import ForgeDenied, ForgeError, Refused, UsageProblem, VssyncError
from vssync.journal.writer import Journal
from vssync.model.plan import Plan
from vssync.model.report import Report
from vssync.render.comment import JobReview, ManifestReview
from vssync.render.layout import View

Answer = TypeVar("Answer")
REFUSED, INCOMPLETE = Refused.exit_code, 4
SKIPPED = "the run was interrupted before this one; run it again"
_FROM_BEST = (0, REFUSED, UsageProblem.exit_code, VssyncError.exit_code, INCOMPLETE)


@dataclass(frozen=True)
class CiRun:
    """One job in this folder, the top of a work tree: its forge, and whom it tells what.

    `paths` are the manifests to look at; without any they are those that git tracks. `deployment` is the forge's name
    of the environment that this job deploys to. `saved` are plans to apply to the letter. Previews that nobody applied
    for longer than `max_age` are swept.
    """

    forge: Forge
    settings: Settings
    now: datetime
    say: Callable[[str], object]
    watch: Callable[[], AbstractContextManager[Watcher]]
    view: View
    paths: tuple[str, ...] = ()
    deployment: str = ""
    by_author: bool = False
    saved: tuple[Plan, ...] = ()
    lock_timeout: float = 0.0
    max_age: timedelta = timedelta(days=14)

    @cached_property
    def git(self) -> GitHistory:
        """The work tree's history. Raises UsageProblem in another folder of it: paths are those that git knows."""
        git = GitHistory(Path())
        if Path.cwd().resolve() != git.tree:
            raise UsageProblem(f"{git.tree}: run this in the top folder of the work tree")
        return git

    def history(self, path: str) -> ManifestHistory:
        """A manifest's, in this job's environment."""
        return ManifestHistory(self.git, path, self.settings.env or "", self.settings.variables)

    def manifests(self, base: str = "", *, since: str = "") -> ManifestsByTouch:
        """Those that the commits since `base` touch, and the others; without a base, all of them and none.

        Besides those that went since the commit `since`. Raises VssyncError where there is none at all.
        """
        removed = tuple(map(self.history, find_removed(self.git, since, self.paths))) if since else ()
        gone = {name for history in removed for name in history.names}
        paths = [path for path in find_manifests(self.git, self.paths) if path not in gone]
        if not (paths or removed):
            raise VssyncError(f"{self.git.tree}: git tracks no vssync.yaml; commit one, or name yours by -f")
        touched, untouched, _ = split_touched(tuple(map(self.history, paths)), base or self.git.head, self.git.head)
        return ManifestsByTouch(*((touched, untouched) if base else (untouched, ())), removed)

    def owners(self, histories: Iterable[ManifestHistory]) -> list[str]:
        """Those of the manifests that can be read at this job's commit."""
        manifests = (history.valid_at(self.git.head) for history in histories)
        return [manifest.owner for manifest in manifests if manifest]

    def warn(self, message: str) -> None:
        """Shows a warning on the forge."""
        self.forge.annotate(Severity.WARNING, message)

    def ask(self, question: Callable[[], Answer], otherwise: Answer, problem: str) -> Answer:
        """What the forge answers; where it may not be asked, a warning says so and what follows from that."""
        try:
            return question()
        except ForgeDenied as error:
            self.warn(f"{problem}: {error}")
            return otherwise

    def review(self, kind: str, reviews: list[ManifestReview], untouched: Iterable[ManifestHistory] = ()) -> JobReview:
        """What is known about these manifests, as the text on all of them shows it."""
        event = self.forge.event
        sha = event.head_sha or event.sha
        return JobReview(
            tuple(reviews),
            kind,
            environment=self.settings.env or "",
            repository="/".join(filter(None, (event.repository, "|".join(self.paths)))),
            untouched=tuple(history.name for history in untouched),
            commit=sha,
            base=event.branch,
            time=self.now,
            run_url=event.job_url,
            files_url=f"{event.files_url}{sha}/" if event.files_url else "",
        )


@dataclass(slots=True)
class Look:
    """What is known of one manifest so far."""

    review: ManifestReview
    code: int = 0
    session: Session | None = None
    journal: Journal | None = None
    report: Report | None = None
    saved: Plan | None = None


def catch(run: CiRun, history: ManifestHistory, look: Callable[[], Look]) -> Look:
    """What is found out about a manifest, or the error that stands for it."""
    try:
        return look()
    except ForgeError:
        raise
    except VssyncError as error:
        annotate_error(run.forge, error, history.names[0])
        return Look(ManifestReview(history.name, error=str(error)), error.exit_code)


def is_interrupted(looks: Iterable[Look]) -> bool:
    return any(look.report and look.report.interrupted for look in looks)


def catch_each(
    run: CiRun, histories: Iterable[ManifestHistory], look: Callable[[CiRun, ManifestHistory], Look]
) -> list[Look]:
    """What a job does about each manifest; nothing about those after one whose run was interrupted."""
    looks: list[Look] = []
    for history in histories:
        skipped = Look(ManifestReview(history.name, error=SKIPPED), INCOMPLETE)
        looks.append(skipped if is_interrupted(looks) else catch(run, history, partial(look, run, history)))
    return looks


def worst(looks: Iterable[Look]) -> int:
    """The exit code of a job that found this out."""
    return max((look.code for look in looks), key=_FROM_BEST.index, default=0)


def flag(values: Iterable[object]) -> str:
    """The value of an output that says whether any of these is true."""
    return "true" if any(values) else "false"


def judge(run: CiRun, requests: Callable[[], Iterable[PullRequest]], owners: list[str]) -> tuple[JudgedLabel, ...]:
    """The labels of these requests; none, with a warning, where the forge may not be asked."""
    return run.ask(lambda: judge_labels(requests(), owners, by_author=run.by_author), (), "no label counts")
