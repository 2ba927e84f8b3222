"""A plan and a report for programs: JSON in a form that has a version and a schema, and GitLab's summary."""

from __future__ import annotations

import json

from vssync import planfile
from vssync.model.plan import Action, Outcome, Plan, Report, Status
from vssync.render.escape import escape_ci_commands_json
from vssync.render.layout import View

REPORT_FORMAT = 1


def plan_json(plan: Plan) -> str:
    """What `planfile.dump` writes, without the last newline."""
    return planfile.dump(plan).rstrip("\n")


def plan_gitlab(plan: Plan) -> str:
    """GitLab's report of an infrastructure plan: stores and files to create, update and delete."""
    actions = [change.action for store in plan.stores for change in (store.change, *store.files) if change]
    numbers = {
        "create": sum(action in (Action.CREATE, Action.ADOPT) for action in actions),
        "update": sum(action in (Action.UPDATE, Action.REPLACE) for action in actions),
        "delete": sum(action is Action.DELETE for action in actions),
    }
    return json.dumps(numbers)


def report_json(report: Report, _view: View | None = None) -> str:
    """Every outcome; a program sees the same whatever the view."""
    found = {
        "format": REPORT_FORMAT,
        "owner": report.plan.owner,
        "provider": report.plan.service.provider,
        "converged": report.converged,
        "interrupted": report.interrupted,
        "seconds": round(report.seconds, 3),
        "requests": report.requests,
        "repeated": report.repeated,
        "throttled": round(report.throttled, 3),
        "stores": dict(report.store_ids),
        "counts": {status.value: sum(outcome.status is status for outcome in report.outcomes) for status in Status},
        "already": list(report.already),
        "outcomes": [_outcome(outcome) for outcome in report.outcomes],
        "orphans": [
            {"file_id": orphan.file_id, "detail": orphan.detail, "suspected": orphan.suspected}
            for orphan in report.orphans
        ],
    }
    return escape_ci_commands_json(json.dumps(found, indent=2))


def _outcome(outcome: Outcome) -> dict[str, object]:
    """An outcome without what is empty, but the key, which is empty for the store itself."""
    named = {"store": outcome.store, "key": outcome.key, "action": outcome.action.value, "status": outcome.status.value}
    optional: dict[str, object] = {
        "detail": outcome.detail,
        "request_id": outcome.request_id,
        "attempts": outcome.attempts,
        "seconds": round(outcome.seconds, 3),
    }
    return named | {name: found for name, found in optional.items() if found}
