"""`vssync ci plan`: what a pull request would change, in one comment on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from vssync.auth.credential import CredentialError
from vssync.ci.changed import base_of, fewer_matches, review_removed
from vssync.ci.explain import Unexplained, find_bases, find_unexplained
from vssync.ci.forge import (
    Severity,
    annotate_error,
    annotate_problems,
    annotate_refusals,
    annotate_settings,
    keep_comment,
)
from vssync.ci.guards import JudgedLabel, compare_guards, guarded, guards_at, needed_labels
from vssync.ci.history import ManifestHistory
from vssync.commands.against import compare_with_revision
from vssync.commands.ci.job import REFUSED, CiRun, Look, catch, flag, judge, worst
from vssync.commands.plan import make_plan_now, with_source_locations
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.errors import AccessDenied, VssyncError
from vssync.model.convergence import leaves_something
from vssync.model.plan import Options, Plan
from vssync.render.against import comparison_text
from vssync.render.comment import ManifestReview, review_markdown
from vssync.render.plan_text import plan_text
from vssync.sources.load import LoadedManifest
from vssync.text import join_first

_UNDONE = "The apply after the merge will leave something undone, and end with exit code 4: see the lines with `!`."
_UNAUTHORIZED = 401


def review_change(run: CiRun) -> int:
    """Plans what a pull request touches, and keeps one comment on it."""
    event = run.forge.event
    base = base_of(run.git, event)
    touched, untouched, removed = run.manifests(base, since=base)
    numbers = (event.number,) if event.number else ()
    owners = run.owners((*touched, *untouched))
    labels = judge(run, lambda: map(run.forge.pull_request, numbers if touched else ()), owners)
    looks = [catch(run, history, partial(_look_at_change, run, history, base, labels)) for history in touched]
    looks += map(Look, review_removed(removed, base, owners))
    unknown = tuple(str(label) for label in labels if not label.owner)
    if unknown and looks:
        looks[0].review = replace(looks[0].review, notes=(*looks[0].review.notes, *unknown))
    comment, summary = review_markdown(run.review("plan", [look.review for look in looks], untouched))
    run.forge.write_summary(summary)
    run.forge.set_output("changes", flag(not (look.review.shown and look.review.shown.empty) for look in looks))
    for number in numbers:
        keep_comment(run.forge, number, comment, wanted=bool(looks))
    return worst(looks)


def _look_at_change(run: CiRun, history: ManifestHistory, base: str, labels: Iterable[JudgedLabel]) -> Look:
    """A manifest's plan, or without a credential or for a fork what git alone says of the change."""
    settings, before = replace(run.settings, manifest=history.path), history.valid_at(base)
    loaded, notes = load_manifest(settings), list[str]()
    governing = compare_guards(before, loaded.manifest)
    annotate_problems(run.forge, Severity.WARNING, loaded.warnings)
    annotate_settings(run.forge, governing)
    try:
        comparison = compare_with_revision(settings, Options(), base, load=lambda _: loaded)
        plan = None if run.forge.event.is_fork else _make_plan(run, settings, loaded, notes)
    except VssyncError as error:  # what a reviewer must not miss stands beside it
        annotate_error(run.forge, error, history.names[0])
        return Look(ManifestReview(history.name, error=str(error), settings=governing), error.exit_code)
    shown = plan or comparison.plan
    shown = with_source_locations(guarded(shown, guards_at(shown, before), labels), loaded)
    unexplained: tuple[Unexplained, ...] = ()
    if plan:
        run.say(plan_text(shown, run.view))
        unexplained = find_unexplained(shown, history, run.git.head, find_bases(shown, run.git, run.git.head, "", base))
        if unexplained:
            named = join_first([f"`{each.address}`" for each in unexplained])
            notes.append(f"Git does not explain {named}. After the merge, that needs a run by hand.")
        elif not shown.refusals and leaves_something(shown):
            notes.append(_UNDONE)
    else:
        comparison = replace(comparison, plan=shown)
        run.say(comparison_text(comparison, run.view))
    notes += [str(label) for label in labels if label.owner == shown.owner]
    review = ManifestReview(
        history.name,
        shown if plan else None,
        comparison=comparison,
        settings=governing,
        labels=needed_labels(shown),
        fewer=fewer_matches(history, loaded.manifest, base, {each.store for each in shown.refusals}),
        notes=tuple(notes),
        needs_person=bool(unexplained),
        root=history.path_in_tree(loaded.manifest, ""),
    )
    annotate_refusals(run.forge, shown, loaded.manifest.documents, loaded.file)
    return Look(review, REFUSED if shown.refusals else 0)


def _make_plan(run: CiRun, settings: Settings, loaded: LoadedManifest, notes: list[str]) -> Plan | None:
    """The plan; None, with a note that says so, where this job has no key for the service."""
    try:
        with open_session(settings, loaded) as session:
            try:
                return make_plan_now(session, Options())
            except AccessDenied as error:
                # A service that needs no key for some is not told apart from one that wants one until it answers.
                if session.credential or error.answer.status != _UNAUTHORIZED:
                    raise
                reason = f"no key is set, and it answered {error.answer.status}"
    except CredentialError as error:
        reason = str(error)
    notes.append(f"No service was asked: {reason}.")
    run.warn(f"{loaded.file}: no service was asked: {reason}")
    return None
