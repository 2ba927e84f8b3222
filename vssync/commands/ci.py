"""`vssync ci`: the jobs that review a change, apply what was merged, and watch for drift, on GitHub or GitLab.

What is found out about a manifest goes into one text for all of them, which the forge shows as a comment, an issue or
the job's summary. Whatever goes wrong stands there, too, so that no earlier text is taken for today's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from vssync.applier.watcher import Watcher
from vssync.auth.credential import CredentialError
from vssync.ci.changed import (
    ManifestsByTouch,
    base_of,
    fewer_matches,
    find_manifests,
    review_removed,
    split_touched,
)
from vssync.ci.explain import find_bases, find_unexplained, unexplained_error
from vssync.ci.forge import (
    EventKind,
    Forge,
    PullRequest,
    Severity,
    annotate_error,
    annotate_problems,
    annotate_refusals,
    annotate_settings,
    keep_comment,
)
from vssync.ci.guards import (
    JudgedLabel,
    compare_guards,
    guarded,
    guards_at,
    guards_at_bases,
    judge_labels,
    needed_labels,
)
from vssync.ci.history import CommitRange, GitHistory, ManifestHistory
from vssync.commands.against import compare_with_revision
from vssync.commands.apply import apply_plan, locked_journal
from vssync.commands.plan import make_plan_now, replan, settings_of_plan, with_source_locations
from vssync.commands.session import Session, Settings, load_manifest, open_session
from vssync.errors import ForgeDenied, ForgeError, Refused, UsageProblem, VssyncError
from vssync.journal.writer import Journal
from vssync.model.convergence import find_convergence
from vssync.model.plan import Options, Plan
from vssync.model.report import Report
from vssync.render.against import comparison_text
from vssync.render.comment import JOB, JobReview, ManifestReview, footer, review_markdown
from vssync.render.layout import View
from vssync.render.markdown import report_markdown
from vssync.render.plan_text import plan_text
from vssync.render.report import report_text
from vssync.text import join_first

Answer = TypeVar("Answer")
_TITLE = "vssync: live stores differ from the manifest"
_REFUSED, _INCOMPLETE = Refused.exit_code, 4
_FROM_BEST = (0, _REFUSED, UsageProblem.exit_code, VssyncError.exit_code, _INCOMPLETE)
_UNDONE = "The apply after the merge will leave something undone, and end with exit code 4: see the lines with `!`."
_MOST_COMMENTS = 20  # requests that one apply reports on


@dataclass(frozen=True)
class CiRun:
    """One job in this folder, the top of a work tree: its forge, and whom it tells what.

    `paths` are the manifests to look at; without any they are those that git tracks. `deployment` is the forge's name
    of the environment that this job deploys to. `saved` are plans to apply to the letter.
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

    def manifests(self, base: str = "") -> ManifestsByTouch:
        """Those that the commits since `base` touch, and the others; without a base, all of them and none."""
        paths = find_manifests(self.git, self.paths)
        if not paths:
            raise VssyncError(f"{self.git.tree}: git tracks no vssync.yaml; commit one, or name yours by -f")
        touched, untouched = split_touched(tuple(map(self.history, paths)), base or self.git.head, self.git.head)
        return ManifestsByTouch(touched, untouched) if base else ManifestsByTouch(untouched, ())

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
            repository="/".join((event.repository, *self.paths)),
            untouched=tuple(history.name for history in untouched),
            commit=sha,
            base=event.branch,
            time=self.now,
            run_url=event.job_url,
            files_url=f"{event.files_url}{sha}/" if event.files_url else "",
        )


@dataclass(slots=True)
class _Look:
    """What is known of one manifest so far."""

    review: ManifestReview
    code: int = 0
    session: Session | None = None
    journal: Journal | None = None
    report: Report | None = None
    saved: Plan | None = None


def run_job(name: str, run: CiRun) -> int:
    """Does the job of this name, and gives its exit code: the worst of its manifests'.

    An error of the whole job is told where its results would stand. Raises UsageProblem for an event that this job is
    not for.
    """
    try:
        return {"plan": _plan, "apply": _apply, "drift": _drift}[name](run)
    except Exception as raised:  # also of the forge, which may answer now, and a bug, whose text may hold anything
        if isinstance(raised, UsageProblem):
            raise
        error = raised if isinstance(raised, VssyncError) else VssyncError(f"{type(raised).__name__}: see the log")
        annotate_error(run.forge, error)
        comment, summary = review_markdown(run.review(name, [ManifestReview(JOB, error=str(error))]))
        run.forge.write_summary(summary)
        if name == "plan" and run.forge.event.number:
            with suppress(ForgeError):  # this error counts, and the job fails
                keep_comment(run.forge, run.forge.event.number, comment)
        raise


def _plan(run: CiRun) -> int:
    """Plans what a pull request touches, and keeps one comment on it."""
    event = run.forge.event
    if event.kind is not EventKind.PULL_REQUEST:
        raise UsageProblem(f"ci plan: is for pull requests, not for `{event.kind}`; see `vssync ci --help`")
    base = base_of(run.git, event)
    touched, untouched = run.manifests(base)
    numbers = (event.number,) if event.number else ()
    owners = [manifest.owner for history in (*touched, *untouched) if (manifest := history.valid_at(run.git.head))]
    labels = _judge(run, lambda: map(run.forge.pull_request, numbers if touched else ()), owners)
    looks = [_catch(run, history, partial(_look_at_change, run, history, base, labels)) for history in touched]
    looks += map(_Look, () if run.paths else review_removed(run.git, base, run.history, (*touched, *untouched)))
    unknown = tuple(str(label) for label in labels if not label.owner)
    if unknown and looks:
        looks[0].review = replace(looks[0].review, notes=(*looks[0].review.notes, *unknown))
    comment, summary = review_markdown(run.review("plan", [look.review for look in looks], untouched))
    run.forge.write_summary(summary)
    run.forge.set_output("changes", _flag(not (look.review.shown and look.review.shown.empty) for look in looks))
    for number in numbers:
        keep_comment(run.forge, number, comment, wanted=bool(looks))
    return _worst(looks)


def _look_at_change(run: CiRun, history: ManifestHistory, base: str, labels: Iterable[JudgedLabel]) -> _Look:
    """A manifest's plan, or without a credential or for a fork what git alone says of the change."""
    settings, event = replace(run.settings, manifest=history.path), run.forge.event
    loaded, before, notes = load_manifest(settings), history.valid_at(base), list[str]()
    annotate_problems(run.forge, Severity.WARNING, loaded.warnings)
    comparison, plan = compare_with_revision(settings, Options(), base, load=lambda _: loaded), None
    if not event.is_fork:
        try:
            with open_session(settings, loaded) as session:
                plan = make_plan_now(session, Options())
        except CredentialError as error:
            notes.append(f"No service was asked: {error}.")
            run.warn(f"{history.path}: no service was asked: {error}")
    shown = plan or comparison.plan
    shown = with_source_locations(guarded(shown, guards_at(shown, before), labels), loaded)
    if plan:
        run.say(plan_text(shown, run.view))
        unexplained = find_unexplained(shown, history, run.git.head, find_bases(shown, run.git, run.git.head, "", base))
        if unexplained:
            named = join_first([f"`{each.address}`" for each in unexplained])
            notes.append(f"Git does not explain {named}. After the merge, that needs a run by hand.")
        elif not (shown.refusals or find_convergence(shown, ()).reached):
            notes.append(_UNDONE)
    else:
        comparison = replace(comparison, plan=shown)
        run.say(comparison_text(comparison, run.view))
    notes += [str(label) for label in labels if label.owner == shown.owner]
    review = ManifestReview(
        history.name,
        shown if plan else None,
        comparison=comparison,
        settings=compare_guards(before, loaded.manifest),
        labels=needed_labels(shown),
        fewer=fewer_matches(history, loaded.manifest, base, {each.store for each in shown.refusals}),
        notes=tuple(notes),
        root=history.path_in_tree(loaded.manifest, ""),
    )
    annotate_settings(run.forge, review.settings)
    annotate_refusals(run.forge, shown, loaded.manifest.documents, loaded.file)
    return _Look(review, _REFUSED if shown.refusals else 0)


def _apply(run: CiRun) -> int:
    """Plans the tip anew, and applies it if git or a person explains all of it: all manifests, or none."""
    event = run.forge.event
    if event.kind not in (EventKind.PUSH, EventKind.MANUAL) or not event.is_default_branch:
        raise UsageProblem(
            f"ci apply: is for the default branch, after a push or by hand, not for `{event.kind}` on "
            f"`{event.branch}`; see `vssync ci --help`"
        )
    ask = partial(run.forge.last_deployment, run.deployment)
    deployed = (run.ask(ask, None, "the last deployment is not known") if run.deployment else None) or ""
    since = run.git.range_between(deployed, run.git.head)
    chosen: list[tuple[ManifestHistory, Plan | None]]
    chosen = [(run.history(plan.options.manifest), plan) for plan in run.saved]
    untouched: tuple[ManifestHistory, ...] = ()
    if not run.saved:  # by hand, all is looked at
        touched, untouched = run.manifests(deployed if since and event.kind is EventKind.PUSH else "")
        chosen = [(history, None) for history in touched]
    with ExitStack() as stack:
        looks = [_catch(run, each[0], partial(_check, run, stack, deployed, *each)) for each in chosen]
        is_ready = not _worst(looks)
        for index, look in enumerate(looks if is_ready else ()):
            looks[index] = _catch(run, chosen[index][0], partial(_write, run, look))
            if look.report and look.report.interrupted:
                break
    job = replace(run.review("apply", [look.review for look in looks], untouched), nothing_written=not is_ready)
    _tell_apply(run, looks, job, since or run.git.range_between(event.before, run.git.head))
    return _worst(looks)


def _check(run: CiRun, stack: ExitStack, deployed: str, history: ManifestHistory, saved: Plan | None) -> _Look:
    """What an apply of a manifest would do, and whether it may; its session and its lock stay open."""
    event, settings = run.forge.event, replace(run.settings, manifest=history.path)
    if saved:
        _check_options(run, saved)
        settings = replace(settings_of_plan(saved, settings), manifest=history.path)
    loaded = load_manifest(settings)
    session = stack.enter_context(open_session(settings, loaded))
    journal = stack.enter_context(locked_journal(session, run.lock_timeout))
    plan = replan(session, saved) if saved else make_plan_now(session, Options())
    bases = find_bases(plan, run.git, run.git.head, deployed, event.before)
    guards = guards_at_bases(plan, history, bases, deployed)
    judged, labels = guarded(plan, guards), tuple[JudgedLabel, ...]()
    if judged.refusals:
        ranges = sorted((base.range.commits for base in bases.values() if base), key=len, reverse=True)
        commits = (commit for commits in ranges for commit in reversed(commits))
        labels = _judge(run, lambda: run.forge.merged_pull_requests(commits), [plan.owner])
        judged = guarded(plan, guards, labels)
    plan = with_source_locations(replace(plan, refusals=judged.refusals), loaded)
    run.say(plan_text(plan, run.view))
    annotate_refusals(run.forge, plan, loaded.manifest.documents, loaded.file)
    notes = [str(label) for label in labels if label.owner]
    review = ManifestReview(history.name, plan, labels=needed_labels(judged), notes=tuple(notes))
    look = _Look(review, _REFUSED if plan.refusals else 0, session, journal, saved=saved)
    if not (saved or event.unexplained) and (unexplained := find_unexplained(plan, history, run.git.head, bases)):
        error = unexplained_error(unexplained)
        annotate_error(run.forge, error)
        look.review, look.code = replace(review, error=str(error)), _REFUSED
    return look


def _judge(run: CiRun, requests: Callable[[], Iterable[PullRequest]], owners: list[str]) -> tuple[JudgedLabel, ...]:
    return run.ask(lambda: judge_labels(requests(), owners, by_author=run.by_author), (), "no label counts")


def _check_options(run: CiRun, saved: Plan) -> None:
    """Raises Refused for a plan of another manifest or with other options than this job would make.

    Whoever can change a workflow on a branch can make a plan, and its options say which guards are off.
    """
    options, variables = saved.options, tuple(sorted(run.settings.variables.items()))
    own = Options(options.manifest, run.settings.env or "", variables, options.session_options)
    known = {name for path in find_manifests(run.git, run.paths) for name in run.history(path).names}
    if options != own or known.isdisjoint(run.history(options.manifest).names):
        raise Refused(f"{options.manifest}: the plan was made with other options than this job has; plan without them")


def _write(run: CiRun, look: _Look) -> _Look:
    """Applies what was checked."""
    plan = look.review.plan
    assert plan
    assert look.session
    with run.watch() as watcher:
        report = apply_plan(look.session, plan, watcher, journal=look.journal, saved=look.saved)
    look.code = 0 if report.converged else _INCOMPLETE
    if look.code or not plan.empty:
        look.report = report
        run.say(report_text(report, run.view))
    return look


def _tell_apply(run: CiRun, looks: list[_Look], job: JobReview, since: CommitRange | None) -> None:
    """The reports, or why there is none, in the summary and on the requests that were merged."""
    comment, summary = review_markdown(job)
    reports = [look.report for look in looks if look.report]
    if reports:
        marker = comment.partition("\n")[0]
        failed = replace(job, manifests=tuple(look.review for look in looks if look.code and not look.report))
        rest = review_markdown(failed) if failed.manifests else (f"\n{footer(job)}",) * 2
        comment, summary = (
            "\n\n".join(text.partition("\n")[2] for text in (*map(partial(report_markdown, view=view), reports), end))
            for view, end in zip((View(), View(full=True)), rest, strict=True)
        )
        comment = f"{marker}\n{comment}"
    run.forge.write_summary(summary)
    run.forge.set_output("changes", _flag(reports or [_worst(looks)]))
    if not (reports or _worst(looks)):
        return
    commits = since.commits[::-1] if since else (run.git.head,)
    try:  # what was done is done, whether the forge lets us tell it or not
        for request in run.forge.merged_pull_requests(commits)[:_MOST_COMMENTS]:
            keep_comment(run.forge, request.number, comment)
    except ForgeError as error:
        run.warn(f"no comment on what was merged: {error}")


def _drift(run: CiRun) -> int:
    """Keeps an issue open while a live store is not as its manifest declares."""
    event = run.forge.event
    if event.kind not in (EventKind.SCHEDULE, EventKind.MANUAL):
        raise UsageProblem(f"ci drift: is for schedules, not for `{event.kind}`; see `vssync ci --help`")
    histories, _ = run.manifests()
    looks = [_catch(run, history, partial(_look_at_drift, run, history)) for history in histories]
    differs = [look for look in looks if look.review.plan and not find_convergence(look.review.plan).reached]
    body, summary = review_markdown(run.review("drift", [look.review for look in looks]))
    run.forge.write_summary(summary)
    run.forge.set_output("changes", _flag(differs))
    marker, env = body.partition("\n")[0], run.settings.env
    if differs:
        run.forge.put_issue(marker, f"{_TITLE} ({env})" if env else _TITLE, body)
    elif not _worst(looks):
        run.forge.close_issue(marker)
    return _worst(looks)


def _look_at_drift(run: CiRun, history: ManifestHistory) -> _Look:
    settings = replace(run.settings, manifest=history.path)
    with open_session(settings, load_manifest(settings)) as session:
        plan = make_plan_now(session, Options())
    run.say(plan_text(plan, run.view))
    return _Look(ManifestReview(history.name, plan))


def _catch(run: CiRun, history: ManifestHistory, look: Callable[[], _Look]) -> _Look:
    """What is found out about a manifest, or the error that stands for it."""
    try:
        return look()
    except ForgeError:
        raise
    except VssyncError as error:
        annotate_error(run.forge, error, history.names[0])
        return _Look(ManifestReview(history.name, error=str(error)), error.exit_code)


def _worst(looks: Iterable[_Look]) -> int:
    return max((look.code for look in looks), key=_FROM_BEST.index, default=0)


def _flag(values: Iterable[object]) -> str:
    return "true" if any(values) else "false"
