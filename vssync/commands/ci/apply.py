"""`vssync ci apply`: what was merged is planned anew, and applied if git or a person explains it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from vssync.ci.changed import find_manifests, review_removed
from vssync.ci.explain import find_bases, find_unexplained, unexplained_error
from vssync.ci.forge import EventKind, annotate_error, annotate_refusals, keep_comment
from vssync.ci.guards import JudgedLabel, guarded, guards_at_bases, needed_labels
from vssync.ci.history import CommitRange, ManifestHistory
from vssync.commands.apply import apply_plan, locked_journal
from vssync.commands.ci.job import INCOMPLETE, REFUSED, SKIPPED, CiRun, Look, catch, flag, is_interrupted, judge, worst
from vssync.commands.plan import make_plan_now, replan, settings_of_plan, with_source_locations
from vssync.commands.session import load_manifest, open_session
from vssync.errors import ForgeError, Refused
from vssync.model.plan import Options, Plan
from vssync.render.comment import GITHUB_COMMENT, JobReview, ManifestReview, footer, review_markdown
from vssync.render.layout import View
from vssync.render.markdown import SUMMARY, fit_between, report_markdown
from vssync.render.plan_text import plan_text
from vssync.render.report import report_text
from vssync.text import escape_control, size_in_bytes, size_in_utf16

_MOST_COMMENTS = 20  # requests that one apply reports on


def apply_merged(run: CiRun) -> int:
    """Plans the tip anew, and applies it if git or a person explains all of it: all manifests, or none."""
    event = run.forge.event
    ask = partial(run.forge.last_deployment, run.deployment)
    deployed = (run.ask(ask, None, "the last deployment is not known") if run.deployment else None) or ""
    since = run.git.range_between(deployed, run.git.head)
    earlier = since or run.git.range_between(event.before, run.git.head)
    chosen: list[tuple[ManifestHistory, Plan | None]]
    chosen = [(run.history(plan.options.manifest), plan) for plan in run.saved]
    untouched, removed = tuple[ManifestHistory, ...](), tuple[ManifestHistory, ...]()
    if not run.saved:  # by hand, all is looked at
        base, before = deployed if since and event.kind is EventKind.PUSH else "", earlier.base if earlier else ""
        touched, untouched, removed = run.manifests(base, since=before)
        chosen = [(history, None) for history in touched]
    with ExitStack() as stack:
        looks = [catch(run, each[0], partial(_check, run, stack, deployed, *each)) for each in chosen]
        is_ready = not worst(looks)
        for index, look in enumerate(looks if is_ready else ()):
            looks[index] = catch(run, chosen[index][0], partial(_write, run, look))
            if is_interrupted([look]):
                looks[index + 1 :] = map(_skip, looks[index + 1 :])
                break
    if earlier:
        owners = run.owners((*(history for history, _ in chosen), *untouched))
        looks += map(Look, review_removed(removed, earlier.base, owners, is_merged=True))
    job = replace(run.review("apply", [look.review for look in looks], untouched), nothing_written=not is_ready)
    _tell_apply(run, looks, job, earlier)
    return worst(looks)


def _check(run: CiRun, stack: ExitStack, deployed: str, history: ManifestHistory, saved: Plan | None) -> Look:
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
        labels = judge(run, lambda: run.forge.merged_pull_requests(commits), [plan.owner])
        judged = guarded(plan, guards, labels)
    plan = with_source_locations(replace(plan, refusals=judged.refusals), loaded)
    run.say(plan_text(plan, run.view))
    annotate_refusals(run.forge, plan, loaded.manifest.documents, loaded.file)
    notes = [str(label) for label in labels if label.owner]
    review = ManifestReview(history.name, plan, labels=needed_labels(judged), notes=tuple(notes))
    look = Look(review, REFUSED if plan.refusals else 0, session, journal, saved=saved)
    if not (saved or event.unexplained) and (unexplained := find_unexplained(plan, history, run.git.head, bases)):
        error = unexplained_error(unexplained)
        annotate_error(run.forge, error)
        look.review, look.code = replace(review, error=str(error)), REFUSED
    return look


def _check_options(run: CiRun, saved: Plan) -> None:
    """Raises Refused for a plan of another manifest or with other options than this job would make.

    Whoever can change a workflow on a branch can make a plan, and its options say which guards are off.
    """
    options, variables = saved.options, tuple(sorted(run.settings.variables.items()))
    own = Options(options.manifest, run.settings.env or "", variables, options.session_options)
    known = {name for path in find_manifests(run.git, run.paths) for name in run.history(path).names}
    if options != own or known.isdisjoint(run.history(options.manifest).names):
        raise Refused(f"{options.manifest}: the plan was made with other options than this job has; plan without them")


def _write(run: CiRun, look: Look) -> Look:
    """Applies what was checked."""
    plan = look.review.plan
    assert plan
    assert look.session
    with run.watch() as watcher:
        report = apply_plan(look.session, plan, watcher, journal=look.journal, saved=look.saved)
    look.code = 0 if report.converged else INCOMPLETE
    if look.code or not plan.empty:
        look.report = report
        run.say(f"{escape_control(plan.owner)}:\n{report_text(report, run.view)}")
    return look


def _skip(look: Look) -> Look:
    """What is known of a manifest that an interrupted run did not come to."""
    if look.review.plan and not look.review.plan.empty:
        look.review, look.code = replace(look.review, error=SKIPPED), INCOMPLETE
    return look


def _tell_apply(run: CiRun, looks: list[Look], job: JobReview, since: CommitRange | None) -> None:
    """The reports, or why there is none, in the summary and on the requests that were merged."""
    comment, summary = review_markdown(job)
    reports = [look.report for look in looks if look.report]
    if reports:
        marker = comment.partition("\n")[0]
        kept = (look.review for look in looks if not look.report and (look.code or not look.review.plan))
        others = replace(job, manifests=tuple(kept))
        rest = review_markdown(others, GITHUB_COMMENT // 2) if others.manifests else (f"\n{footer(job)}",) * 2
        cut = f"Cut here: [the job]({job.run_url}) shows everything."
        comment, summary = (
            fit_between(
                marker,
                [report_markdown(report, view).partition("\n")[2] for report in reports],
                end.partition("\n")[2],
                most=most,
                size=size,
                cut=cut,
            )
            for view, end, most, size in (
                (View(), rest[0], GITHUB_COMMENT, size_in_utf16),
                (View(full=True), rest[1], SUMMARY, size_in_bytes),
            )
        )
    run.forge.write_summary(summary)
    run.forge.set_output("changes", flag(reports or [worst(looks)]))
    if not (reports or worst(looks)):
        return
    commits = since.commits[::-1] if since else (run.git.head,)
    try:  # what was done is done, whether the forge lets us tell it or not
        for request in run.forge.merged_pull_requests(commits)[:_MOST_COMMENTS]:
            keep_comment(run.forge, request.number, comment)
    except ForgeError as error:
        run.warn(f"no comment on what was merged: {error}")
