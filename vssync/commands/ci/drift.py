"""`vssync ci drift`: an issue that is open while a live store is not as its manifest declares."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from vssync.ci.history import ManifestHistory
from vssync.commands.ci.job import CiRun, Look, catch, flag, worst
from vssync.commands.plan import make_plan_now
from vssync.commands.session import load_manifest, open_session
from vssync.model.convergence import find_convergence
from vssync.model.plan import Options
from vssync.render.comment import ManifestReview, review_markdown
from vssync.render.plan_text import plan_text

_TITLE = "vssync: live stores differ from the manifest"


def watch_drift(run: CiRun) -> int:
    """Keeps an issue open while a live store differs."""
    histories = run.manifests().touched
    looks = [catch(run, history, partial(_look_at_drift, run, history)) for history in histories]
    differs = [look for look in looks if look.review.plan and not find_convergence(look.review.plan).reached]
    body, summary = review_markdown(run.review("drift", [look.review for look in looks]))
    run.forge.write_summary(summary)
    run.forge.set_output("changes", flag(differs))
    marker, env = body.partition("\n")[0], run.settings.env
    if differs:
        run.forge.put_issue(marker, f"{_TITLE} ({env})" if env else _TITLE, body)
    elif not worst(looks):
        run.forge.close_issue(marker)
    return worst(looks)


def _look_at_drift(run: CiRun, history: ManifestHistory) -> Look:
    settings = replace(run.settings, manifest=history.path)
    with open_session(settings, load_manifest(settings)) as session:
        plan = make_plan_now(session, Options())
    run.say(plan_text(plan, run.view))
    return Look(ManifestReview(history.name, plan))
