"""Plans and reports as one HTML file that needs nothing else: no script, no picture from elsewhere, nothing to fetch.

It has the words of the text for a terminal. What is counted there is folded here, and can be unfolded. The templates
escape every text, whatever it holds, and the page's policy lets a browser load nothing and apply no style but its own.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vssync.model.convergence import find_convergence
from vssync.model.marks import ApplyStamp
from vssync.model.plan import FieldChange, Plan, StorePlan
from vssync.model.report import Audit, Orphan, Report
from vssync.model.service import ServiceSpec
from vssync.planner.against import ManifestComparison
from vssync.planner.estimate import count_changes
from vssync.planner.guards import plan_command
from vssync.planner.score import QuestionReport
from vssync.render import plan_text, wording
from vssync.render.against import basis_text, comparison_sections, shown_plan
from vssync.render.layout import UNLIMITED, StoreBlock, View, count_files, size_text
from vssync.render.page import (
    COUNTED_SIGNS,
    TONES,
    StoreView,
    answer_views,
    count_signs,
    picture_stores,
    store_views,
    urgent_views,
)
from vssync.render.plan_lines import STORE, PlanRow, batch_rows, sign_of
from vssync.render.report import already_head, apply_parts, end_lines, report_blocks, upload_lists
from vssync.render.test import report_total
from vssync.text import count_noun, escape_control, format_size

_NAMED = 500  # files in one list, unless all are asked for
_SIGN_WORDS = {
    "+": "add",
    "~": "change",
    "+/-": "replace",
    wording.GAP_SIGN: "replace with a gap",
    "-": "delete",
    "=": "adopt",
    "x": "cancel",
    ".": "wait",
    "!": "needs attention",
}
# By the words that a part of the totals ends in.
_TONES_OF_TOTALS = {
    words: TONES[wording.SIGNS[action]]
    for column in (wording.TO_DO, wording.DONE)
    for action, words in column.items()
    if words
} | dict.fromkeys(("need attention", "failed", "unknown", "doubled"), "attention")
_TONES_OF_TOTALS |= dict.fromkeys(("to add", "created"), "add")
_PARTS = re.compile(r"\w+|\W")
# Where a line of the page would be a command to a CI runner that logs it: its first character becomes an entity.
_CI_COMMAND = re.compile(r"((?:^\s*(?=::))|(?=##\[))([:#])", re.MULTILINE)
_ADDRESS = re.compile(r"https?://\S+")


# Parts of a page of changes that not every such page has.
_OPTIONAL = ("preface", "refusals", "quiet", "batches", "lists", "questions")


def plan_html(plan: Plan, view: View, audit: Audit, preface: Mapping[str, Sequence[str]] | None = None) -> str:
    """A plan as a page, below sections of lines by their title; `audit` says when it was written, and by whom.

    Of a long list the first files are named, or all of them with `view.full`.
    """
    blocks, shown = plan_text.plan_blocks(plan, full=view.full), plan_text.stores_to_show(plan, full=view.full)
    *lines, total = plan_text.total_lines(plan)
    urgent = urgent_views(blocks)
    verdict, tone = _plan_verdict(plan, blocks, urgent)
    counted = [(store, Counter(map(sign_of, store.files)), _store_note(store)) for store in shown]
    left_out = [sum(map(len, store.left_out.values())) for store in shown]
    stores = store_views(blocks, {store.key: _place(store, store.id, created="to be created") for store in shown})
    return _render(
        "changes.html",
        full=view.full,
        kind="plan",
        heading=wording.owner_text(plan.owner),
        verdict=verdict,
        tone=tone,
        facts=_plan_facts(plan, audit, "Written") | {"Command": plan_command(plan.options)},
        totals=_totals(wording.plan_parts(count_changes(*plan.stores), plan_text.store_parts(plan.stores, bold=False))),
        lines=[*lines, *([total] if tone == "calm" else []), *plan_text.legend(plan)],
        urgent_title="Needs attention",
        urgent=urgent,
        stores=stores,
        anchors=_anchors(stores),
        overview=picture_stores(counted, {"left out": left_out, "unchanged": [store.unchanged for store in shown]}),
        preface=[*(preface or {}).items()],
        refusals=[*plan_text.refusal_groups(plan)],
        quiet=plan_text.quiet_lines(plan, full=view.full),
        batches=[(store.key, rows) for store in plan.stores if (rows := list(batch_rows(store)))],
    )


def comparison_html(comparison: ManifestComparison, view: View, audit: Audit) -> str:
    preface = {"Comparison": [basis_text(comparison)], **comparison_sections(comparison)}
    return plan_html(shown_plan(comparison), view, audit, preface)


def report_html(report: Report, view: View, answers: QuestionReport | None = None) -> str:
    """A report as a page, with the answers to questions that were asked afterwards.

    What was not done comes first, with the words of the service.
    """
    blocks, plan, ids = report_blocks(report, full=True), report.plan, dict(report.store_ids)
    stores = {key: StorePlan(key, key) for key in (block.key for block in blocks)}
    stores |= {store.key: store for store in plan.stores}
    *lines, total = end_lines(report)
    fails = answers is not None and (answers.failed or answers.unasked > 0)
    is_good = report.converged and not fails
    verdict = "Everything is as declared" if report.converged else "Not everything is as declared"
    verdict += ", but not enough questions are answered." if fails else "."
    lists = [(head, [*map(_upload_entry, uploads)]) for head, uploads in upload_lists(report)]
    already = [(already_head(report.already), [(address, "") for address in report.already])] if report.already else []
    views = store_views(blocks, {key: _place(store, ids.get(key, store.id)) for key, store in stores.items()})
    return _render(
        "changes.html",
        full=view.full,
        kind="report",
        heading=wording.owner_text(plan.owner),
        verdict=verdict,
        tone="calm" if is_good else "alarm",
        facts=_plan_facts(plan, report.audit, "Applied"),
        totals=_totals(apply_parts(report)),
        lines=[*lines, total],
        urgent_title="Not done",
        urgent=urgent_views(blocks),
        stores=views,
        anchors=_anchors(views),
        overview=picture_stores([(stores[block.key], count_signs(block.rows), "") for block in blocks], {}),
        lists=[*lists, *already],
        questions=answer_views(answers) if answers else [],
    )


def questions_html(report: QuestionReport, view: View, audit: Audit) -> str:
    unasked = any(store.unasked for store in report.stores)
    verdict = "Not all questions could be asked." if unasked else "All questions that must pass do."
    return _render(
        "answers.html",
        full=view.full,
        kind="test",
        heading=wording.owner_text(report.owner),
        verdict="Too few questions pass, or a `never` is broken." if report.failed else verdict,
        tone="alarm" if report.failed or unasked else "calm",
        facts=_facts(report.owner, report.service, audit, "Asked"),
        totals=_question_totals(report),
        lines=[report_total(report)] if report.stores[1:] else [],
        questions=answer_views(report),
    )


def _anchors(stores: Iterable[StoreView]) -> dict[str, str]:
    """Where each store stands in the page, by its key."""
    return {store.key: store.anchor for store in stores if store.key}


def _question_totals(report: QuestionReport) -> list[tuple[str, str, str]]:
    passed = sum(store.passed for store in report.stores)
    failed = sum(len(store.results) - store.passed - store.unasked for store in report.stores)
    numbers = {"pass": passed, "fail": failed, "could not be asked": report.unasked}
    return [(f"{number:,}", words, "add" if words == "pass" else "attention") for words, number in numbers.items()]


def _plan_facts(plan: Plan, audit: Audit, when: str) -> dict[str, str]:
    manifest = "" if plan.options.manifest == "." else plan.options.manifest
    scope = {"Manifest": manifest, "Scope": wording.scope_text(plan)}
    return _facts(plan.owner, plan.service, audit, when) | scope


def _facts(owner: str, service: ServiceSpec, audit: Audit, when: str) -> dict[str, str]:
    """Whose page it is, for which service, and when and from what it was written, which `when` calls by its name."""
    owner, _, environment = owner.partition("/")
    return {
        "Owner": owner,
        "Environment": environment,
        "Service": wording.service_text(service),
        when: wording.stamp_text(str(ApplyStamp(time=audit.stamp.time))),
        "By": audit.stamp.actor,
        "Version": f"vssync {audit.version}" if audit.version else "",
        "Run": audit.run_url or audit.stamp.run,
        "Commit": audit.stamp.commit,
        "Plan": audit.plan_digest,
    }


def _plan_verdict(plan: Plan, blocks: Sequence[StoreBlock], urgent: Sequence[StoreView]) -> tuple[str, str]:
    """In a few words what a plan comes to, and the tone of that."""
    if plan.refusals:
        return "Refused: nothing will be written.", "alarm"
    if find_convergence(plan).reached:
        return "No changes.", "calm"
    count = sum(store.urgent for store in urgent)
    attention = f"{count:,} {'needs' if count == 1 else 'need'} attention"
    has_more = any(row.sign not in ("", "!") for block in blocks for row in block.rows)
    if has_more or not urgent:
        return (f"Changes to apply; {attention}.", "alarm") if urgent else ("Changes to apply.", "change")
    return f"No changes to apply, but {attention}.", "alarm"


def _totals(parts: Iterable[str]) -> list[tuple[str, str, str]]:
    """The number, the words and the tone of each part of a total: "3 to add"."""
    totals = []
    for number, _, words in (part.partition(" ") for part in parts):
        endings = (tone for ending, tone in _TONES_OF_TOTALS.items() if f" {words}".endswith(f" {ending}"))
        totals.append((number, words, next(endings, "note")))
    return totals


def _place(store: StorePlan, id: str, *, created: str = "") -> str:
    """Where a store is, with its whole id, or the name that a new one gets; and what becomes of the store itself."""
    if created and wording.is_created(store):
        return created + (f' as "{store.name}"' if store.name != store.key else "")
    place = wording.place_of(store, id, created=created)
    return ", ".join(filter(None, (place, plan_text.store_verb(store) if created else "")))


def _store_note(store: StorePlan) -> str:
    """What there is to say of a store besides the changes of its files."""
    return ", ".join(filter(None, (plan_text.store_verb(store), *wording.open_parts(count_changes(store)))))


def _upload_entry(upload: Orphan) -> tuple[str, str]:
    return upload.file_id, ", ".join(filter(None, ("suspected" if upload.suspected else "", upload.detail)))


def mark_difference(change: FieldChange) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """The values before and after: each as what both begin with, what differs, and what both end with.

    Words stay whole: of 2024 and 2025 all differs, of "docs/a" and "docs/b" the last letter.
    """
    before, after = (_PARTS.findall(wording.format_value(value)) for value in (change.before, change.after))
    if type(change.before) is not type(change.after):
        sides = ((before, change.before), (after, change.after))
        old, new = (_cut(parts, 0, 0 if value is not None else len(parts)) for parts, value in sides)
        return old, new
    start = _count_equal(before, after)
    end = _count_equal(before[start:][::-1], after[start:][::-1])
    return _cut(before, start, end), _cut(after, start, end)


def _count_equal(left: Sequence[str], right: Sequence[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))


def _cut(parts: Sequence[str], start: int, end: int) -> tuple[str, str, str]:
    stop = len(parts) - end
    return "".join(parts[:start]), "".join(parts[start:stop]), "".join(parts[stop:])


def _is_name(row: PlanRow) -> bool:
    """Whether a row's key is a name, not a count such as "3 files"."""
    return row.key not in (STORE, count_noun(row.count, row.noun))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vssync.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_control,
    )
    environment.globals |= {
        "tones": TONES,
        "sign_words": _SIGN_WORDS,
        "counted_signs": COUNTED_SIGNS,
        "format_size": format_size,
        "size_text": size_text,
        "count_noun": count_noun,
        "count_files": count_files,
        "is_name": _is_name,
        "mark_difference": mark_difference,
        "is_address": _ADDRESS.fullmatch,
    }
    return environment


def _without_control(value: object) -> object:
    """What a template puts out: of all texts but finished markup, invisible characters are made visible."""
    return escape_control(value) if type(value) is str else value


def _render(template: str, *, full: bool, **page: object) -> str:
    """The page of a template, which names what it needs; what is missing raises an error, but for `_OPTIONAL`."""
    environment = _environment()
    style = environment.get_template("style.css").render()
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shown = environment.get_template(template).render(
        page=dict.fromkeys(_OPTIONAL, ()) | page,
        style=Markup(style),
        style_hash=digest,
        most=UNLIMITED if full else _NAMED,
    )
    return _CI_COMMAND.sub(lambda match: f"{match[1]}&#{ord(match[2])};", shown)
