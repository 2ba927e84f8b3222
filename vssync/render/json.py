"""What commands print for programs: JSON documents that have a schema each, and GitLab's summary of a plan."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from vssync import planfile
from vssync.document import document
from vssync.errors import Problem
from vssync.model.convergence import find_convergence
from vssync.model.marks import Mark
from vssync.model.plan import Action, NoteKind, Plan, StorePlan
from vssync.model.report import Audit, FoundOrphans, Orphan, Outcome, Report, Status
from vssync.model.state import Desired
from vssync.planner.estimate import count_changes
from vssync.planner.score import QuestionReport
from vssync.render.test import question_values


def plan_json(plan: Plan) -> str:
    """What `planfile.dump` writes, without the last newline."""
    return planfile.dump(plan).rstrip("\n")


def plan_gitlab(plan: Plan) -> str:
    """GitLab's report of an infrastructure plan: stores and files to create, update and delete."""
    actions = Counter(change.action for store in plan.stores for change in (store.change, *store.files) if change)
    created, updated = (Action.CREATE, Action.ADOPT), (Action.UPDATE, Action.REPLACE)
    kinds = {"create": created, "update": updated, "delete": (Action.DELETE,)}
    return json.dumps({kind: sum(actions[action] for action in among) for kind, among in kinds.items()})


def report_json(report: Report, kind: str = "report", answers: QuestionReport | None = None) -> str:
    """Every outcome of an apply, or of a `destroy`, which leaves nothing out; with the answers to questions, if any."""
    return document(
        kind,
        owner=report.plan.owner,
        provider=report.plan.service.provider,
        targets=list(report.plan.options.targets),
        excludes=list(report.plan.options.excludes),
        converged=report.converged,
        interrupted=report.interrupted,
        seconds=round(report.seconds, 3),
        requests=report.requests,
        repeated=report.repeated,
        throttled=round(report.throttled, 3),
        uncompared=report.uncompared,
        stores=dict(report.store_ids),
        counts={status.value: sum(outcome.status is status for outcome in report.outcomes) for status in Status},
        already=list(report.already),
        outcomes=[_outcome_values(outcome) for outcome in report.outcomes],
        orphans=[orphan_json(orphan) for orphan in report.orphans],
        audit=_audit_values(report.audit),
        held=[{"file_id": upload.file_id, "detail": upload.detail} for upload in (*report.held, *report.left)],
        **({"test": question_values(answers)} if answers else {}),
    )


def orphan_json(orphan: Orphan) -> dict[str, object]:
    return {"file_id": orphan.file_id, "detail": orphan.detail, "suspected": orphan.suspected}


def orphans_json(found: FoundOrphans, owner: str, *, deleted: int | None) -> str:
    """What `vssync gc` found; after deleting, how many went and which are left."""
    orphans = [orphan_json(orphan) for orphan in found.orphans]
    young = {"young": found.young, "young_until": found.young_until}
    return document("gc", owner=owner, deleted=deleted, orphans=orphans, **young)


def validation_json(desired: Desired | None, warnings: Sequence[Problem] = (), problems: Sequence[Problem] = ()) -> str:
    """A valid manifest's size and what it may not mean, or what is wrong with an invalid one."""
    return document(
        "validate",
        valid=desired is not None,
        owner=desired.owner if desired else None,
        stores=len(desired.stores) if desired else None,
        files=sum(len(store.files) for store in desired.stores) if desired else None,
        left_out={store.key: store.left_out for store in desired.stores if store.left_out} if desired else None,
        problems=[asdict(problem) for problem in problems],
        warnings=[asdict(warning) for warning in warnings],
    )


def status_json(plan: Plan) -> str:
    convergence = find_convergence(plan)
    return document(
        "status",
        owner=plan.owner,
        provider=plan.service.provider,
        agrees=convergence.reached,
        stores=[_store_status(store, agrees=store.key in convergence.as_declared) for store in plan.stores],
    )


def _store_status(store: StorePlan, *, agrees: bool) -> dict[str, object]:
    counted = {kind: sum(note.count for note in store.notes if note.kind is kind) for kind in NoteKind}
    leaving = [copy.mark for change in store.files for copy in change.drop]
    return {
        "key": store.key,
        "name": store.name,
        "id": store.id or None,
        "in_manifest": store.desired is not None,
        "agrees": agrees,
        "action": store.change.action.value if store.change else None,
        "live": store.live,
        "wanted": store.wanted,
        "unmanaged": store.unmanaged,
        "uncompared": counted[NoteKind.UNCOMPARED] + sum(isinstance(m, Mark) and m.is_uncompared for m in leaving),
        "counts": asdict(count_changes(store)),
        "live_digest": store.live_digest,
        "desired_digest": store.digest,
        "applied": store.applied or None,
        "left_out": store.left_out,
    }


def _audit_values(audit: Audit) -> dict[str, str]:
    """What is known, but for the version, which every document has."""
    values = asdict(audit.stamp) | {"run_url": audit.run_url, "plan_digest": audit.plan_digest}
    return {name: value for name, value in values.items() if value}


def _outcome_values(outcome: Outcome) -> dict[str, object]:
    """An outcome without what is empty, but the key, which is empty for the store itself."""
    optional = {
        "detail": outcome.detail,
        "request_id": outcome.request_id,
        "attempts": outcome.attempts,
        "seconds": round(outcome.seconds, 3),
        "already": outcome.already,
    }
    named = {"store": outcome.store, "key": outcome.key, "action": outcome.action.value, "status": outcome.status.value}
    return named | {name: value for name, value in optional.items() if value}
