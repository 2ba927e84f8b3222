"""`vssync ci preview` and `sweep`: a request's own environment, kept up to date, and deleted when nobody needs it.

Both ask the forge whether a request is open, since an event may be old: its job may run late, or again by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import islice

from vssync.auth.credential import CredentialError
from vssync.ci.changed import base_of, find_manifests
from vssync.ci.forge import Severity, annotate_refusals, keep_comment
from vssync.ci.history import ManifestHistory
from vssync.ci.previews import PREVIEW_OPTIONS, as_preview, preview_key, preview_name, preview_number, why_swept
from vssync.commands.apply import apply_plan, locked_journal
from vssync.commands.ci.job import INCOMPLETE, CiRun, Look, catch, catch_each, flag, is_interrupted, worst
from vssync.commands.destroy import plan_destruction
from vssync.commands.environments import declared_environments, live_environments
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session, load_manifest, open_session
from vssync.errors import ForgeError, Refused
from vssync.journal.writer import Journal
from vssync.manifest.environments import is_pattern
from vssync.model.plan import Options, Plan
from vssync.model.report import Report
from vssync.model.state import LiveStore
from vssync.planner.guards import plan_command
from vssync.render.comment import ManifestReview
from vssync.render.plan_text import plan_text
from vssync.render.preview import Preview, PreviewedStore, preview_markdown, sweep_markdown
from vssync.render.report import apply_line, report_text
from vssync.sources.load import LoadedManifest
from vssync.text import escape_control

_CLOSED = "its request is closed"
_MOST_PROBLEMS = 10  # of one report, in the comment
_Part = tuple[ManifestHistory, tuple[LiveStore, ...]]  # of a preview: one manifest's


def keep_preview(run: CiRun) -> int:
    """Applies a request's preview, or deletes it when the request is closed, and says so in a comment of its own."""
    event = run.forge.event
    assert event.number
    name, number = preview_name(event.number), event.number
    if event.is_fork:
        run.forge.annotate(Severity.NOTICE, f"{name}: a request from a fork gets no preview")
        return 0
    run = replace(run, settings=replace(run.settings, env=name))
    if event.is_stopped:
        return _end(run, name, "its environment was stopped")
    if not _is_open(run, number):
        return _end(run, name)
    if event.is_closed:
        run.forge.annotate(Severity.NOTICE, f"{name}: the request was opened again, and that job keeps its preview")
        return 0
    base = base_of(run.git, event)
    touched = run.manifests(base, since=base).touched
    looks = catch_each(run, touched, _apply)
    if any(look.report for look in looks) and not (is_interrupted(looks) or _is_open(run, number)):
        return _end(run, name)  # it was closed meanwhile, and the job that deletes may have been there first
    applied = [(history.path, look.report) for history, look in zip(touched, looks, strict=True) if look.report]
    stores = tuple(store for _, report in applied for store in _stores_of(report))
    variables = tuple(sorted(run.settings.variables.items()))
    searches = (plan_command(Options(path, name, variables), "search") for path, _ in applied)
    preview = Preview(name, stores, tuple(searches))
    run.forge.set_output("stores", json.dumps({f"{store.manifest}/{store.key}": store.id for store in stores}))
    return _end_job(run, preview, looks, wanted=bool(stores or worst(looks)))


def _is_open(run: CiRun, number: int) -> bool:
    """Whether a request is open; where the forge may not be asked, as the event has it."""
    is_open = not run.forge.event.is_closed
    return run.ask(partial(run.forge.is_open, number), is_open, "whether the request is open is known from its event")


def _end(run: CiRun, name: str, why: str = _CLOSED) -> int:
    """Deletes a preview, whichever manifests it is of."""
    histories = list(map(run.history, find_manifests(run.git, run.paths)))
    looks = catch_each(run, histories, _delete)
    preview = Preview(name, gone=why if any(look.report for look in looks) else "")
    return _end_job(run, preview, looks, wanted=bool(preview.gone or worst(looks)))


def _tell(run: CiRun, preview: Preview, looks: Sequence[Look], *, wanted: bool) -> str:
    """Keeps the comment on a preview, or none where there is no preview; the longer text of it for a summary."""
    comment, summary = preview_markdown(preview, run.review("preview", [look.review for look in looks]))
    number = preview_number(preview.name)
    try:  # what was done is done, whether the forge lets us tell it or not
        keep_comment(run.forge, number, comment, wanted=wanted)
    except ForgeError as error:
        run.warn(f"no comment on request {number}: {error}")
    return summary


def _end_job(run: CiRun, preview: Preview, looks: Sequence[Look], *, wanted: bool) -> int:
    summary = _tell(run, preview, looks, wanted=wanted)
    if wanted:
        run.forge.write_summary(summary)
    run.forge.set_output("changes", flag(look.report and not look.report.plan.empty for look in looks))
    return worst(looks)


def _stores_of(report: Report) -> Iterator[PreviewedStore]:
    ids, name = dict(report.store_ids), report.plan.owner.partition("/")[0]
    for store in report.plan.stores:
        if store.managed and (id_ := ids.get(store.key) or store.id):
            yield PreviewedStore(name, store.key, id_, store.wanted)


def _apply(run: CiRun, history: ManifestHistory) -> Look:
    """Makes one manifest's part of a preview what it declares; nothing where it declares no pattern for it."""
    key = preview_key(declared_environments(history.path), run.settings.env or "")
    if not key:
        return Look(ManifestReview(history.name))
    settings = replace(run.settings, manifest=history.path)
    loaded = load_manifest(settings)
    loaded = replace(loaded, desired=as_preview(loaded.desired, key))
    try:
        with _open(run, loaded) as (session, journal):
            return _carry_out(run, history, session, make_plan_now(session, PREVIEW_OPTIONS), journal)
    except CredentialError as error:  # as in a request by a bot, which gets no secrets
        run.warn(f"{history.path}: no preview: {error}")
        return Look(ManifestReview(history.name, notes=(f"No preview: {error}.",)))


def _delete(run: CiRun, history: ManifestHistory) -> Look:
    """Deletes one manifest's part of a preview; nothing where it declares no pattern for it."""
    if not preview_key(declared_environments(history.path), run.settings.env or ""):
        return Look(ManifestReview(history.name))
    loaded = load_manifest(replace(run.settings, manifest=history.path), hashed=False)
    with _open(run, loaded) as (session, journal):
        plan = plan_destruction(session)
        if plan.empty and not plan.refusals:
            return Look(ManifestReview(history.name))
        return _carry_out(run, history, session, plan, journal)


@contextmanager
def _open(run: CiRun, loaded: LoadedManifest) -> Iterator[tuple[Session, Journal]]:
    """A session that alone may write; only for an environment that a pattern stands for."""
    key = loaded.manifest.documents.environment_key
    if not is_pattern(key):
        raise Refused(f"{loaded.desired.owner}: is not a preview, since `{key}` is not a pattern; nothing was written")
    settings = replace(run.settings, manifest=loaded.file)
    with open_session(settings, loaded) as session, locked_journal(session, run.lock_timeout) as journal:
        yield session, journal


def _carry_out(run: CiRun, history: ManifestHistory, session: Session, plan: Plan, journal: Journal) -> Look:
    """Applies a plan unless it is refused. Raises Refused."""
    run.say(plan_text(plan, run.view))
    if plan.refusals:
        loaded = session.loaded
        annotate_refusals(run.forge, plan, loaded.manifest.documents, loaded.file)
        refusals = [f"{each.store}: {each.message.removeprefix(f'{each.store}: ')}" for each in plan.refusals]
        raise Refused("\n".join(refusals))
    with run.watch() as watcher:
        report = apply_plan(session, plan, watcher, journal=journal)
    if not plan.empty:
        run.say(f"{escape_control(plan.owner)}:\n{report_text(report, run.view)}")
    if report.converged:
        return Look(ManifestReview(history.name, plan), report=report)
    failed = (outcome for outcome in report.outcomes if outcome.needs_attention)
    lines = [f"{outcome.store}/{outcome.key}: {outcome.detail}" for outcome in islice(failed, _MOST_PROBLEMS)]
    error = "\n".join([apply_line(report), *lines])
    return Look(ManifestReview(history.name, plan, error=error), INCOMPLETE, report=report)


def sweep_previews(run: CiRun) -> int:
    """Deletes the previews whose requests are closed, and those that nobody applied for long."""
    found, others = dict[str, list[_Part]](), set[str]()
    looks = [catch(run, history, partial(_find, run, history, found, others)) for history in run.manifests().touched]
    known = {store.owner for parts in found.values() for _, stores in parts for store in stores}
    left = sorted(owner for owner in others - known if preview_number(owner.rpartition("/")[2]))

    @cache
    def is_open(number: int) -> bool | None:
        return run.ask(lambda: run.forge.is_open(number), None, f"the preview of request {number} is judged by its age")

    gone, kept = list[Preview](), list[str]()
    for name, parts in sorted(found.items(), key=lambda item: preview_number(item[0])):
        number, stores = preview_number(name), [store for _, each in parts for store in each]
        why = why_swept(stores, run.now, run.max_age, is_open=is_open(number))
        if not why or is_interrupted(looks):
            kept.append(name)
            continue
        one = replace(run, settings=replace(run.settings, env=name))
        own = catch_each(one, (history for history, _ in parts), _delete)
        preview = Preview(name, gone=why if any(look.report for look in own) else "")
        gone.append(preview)
        _tell(one, preview, own, wanted=True)
        looks += own
    run.forge.write_summary(sweep_markdown(gone, kept, left, run.review("sweep", [look.review for look in looks])))
    run.forge.set_output("changes", flag(gone))
    return worst(looks)


def _find(run: CiRun, history: ManifestHistory, found: dict[str, list[_Part]], others: set[str]) -> Look:
    """Adds a manifest's previews, by name, to those found, and the owners of other stores to the others."""
    settings = replace(run.settings, manifest=history.path)
    for key in filter(is_pattern, declared_environments(history.path)):
        for name, stores in live_environments(settings, key, others).items():
            if preview_number(name):
                found.setdefault(name, []).append((history, stores))
    return Look(ManifestReview(history.name))
