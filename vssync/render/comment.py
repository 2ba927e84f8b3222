"""Plans and comparisons for reviewers: the comment on all manifests that a job looked at, or the Markdown of one plan.

What a reviewer must not miss comes first and is cut last: settings that decide what an apply may do, refusals, errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from urllib.parse import quote

from vssync.model.convergence import find_convergence
from vssync.model.plan import Action, GuardChange, Plan, Refusal
from vssync.planner.against import LeftOut, ManifestComparison
from vssync.render import plan_text, wording
from vssync.render.against import GOVERNING, basis_text, comparison_sections, shown_plan
from vssync.render.layout import StoreBlock, View, wrap_sentences
from vssync.render.markdown import (
    COMMENT,
    SUMMARY,
    WIDTH,
    MarkdownBlock,
    comment_marker,
    detail_blocks,
    fenced_block,
    inline_code,
    join_markdown,
    prose,
    short_code,
    short_prose,
    title_block,
)
from vssync.render.store_table import StoreRow, store_table
from vssync.render.test import lost_question_blocks
from vssync.render.text_diff import text_diff_blocks
from vssync.text import count_noun, escape_control, join_first, join_words, size_in_utf16

JOB = "vssync ci"  # in place of a manifest's name, for an error of the whole job
GITHUB_COMMENT = 65_536  # characters; GitLab takes 1,000,000
_NAMED, _MANIFESTS = 3, 10
_CUT = "Cut here: the job's summary shows more."
_VERBS = {"plan": ("changes", "change"), "apply": ("changes", "change"), "drift": ("differs", "differ")}
_COMMAND, _COUNTED = " vssync plan", " today."  # in a refusal's ways out: what to type, and what patterns match
_LOCATION = re.compile(r"(?P<file>.+?)(?::(?P<line>[0-9]+))?(?::[0-9]+)?")


@dataclass(frozen=True, slots=True)
class FewerMatches:
    """A pattern of a manifest that matches fewer files than on the base, where it may have been another.

    Of one that is gone, location and pattern are empty.
    """

    location: str
    pattern: str
    files: int
    before: int
    earlier_pattern: str = ""


@dataclass(frozen=True, slots=True)
class ManifestReview:
    """What a job found out about one manifest. Locations are paths in the repository, as `vssync.yaml:9:5`.

    Without a `plan` the comparison with the base stands for it, or `error` says why there is neither. `labels` are
    those that would lift a store's refusals, `fewer` the patterns that lost files, both by store. `notes` are whole
    sentences. One that `needs_person` is not applied by a merge alone.
    """

    name: str
    plan: Plan | None = None
    error: str = ""
    comparison: ManifestComparison | None = None
    settings: tuple[GuardChange, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fewer: Mapping[str, tuple[FewerMatches, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    needs_person: bool = False
    root: str = ""  # the folder in the repository in which its files' paths begin

    @property
    def shown(self) -> Plan | None:
        return self.plan or (shown_plan(self.comparison) if self.comparison else None)

    @property
    def left_out_before(self) -> Mapping[str, LeftOut]:
        """What stores left out on the base, where that changed."""
        return self.comparison.left_out_before if self.comparison else {}


@dataclass(frozen=True, slots=True)
class JobReview:
    """What a job found out, of all its manifests, and where it ran; `kind` is plan, apply or drift.

    `files_url` is where the commit's files can be read, such as `https://github.com/o/r/blob/4f2a91c/`; `base` is the
    branch that the comparisons are with.
    """

    manifests: tuple[ManifestReview, ...]
    kind: str = "plan"
    environment: str = ""
    repository: str = ""
    untouched: tuple[str, ...] = ()
    commit: str = ""
    base: str = ""
    time: datetime | None = None
    run_url: str = ""
    files_url: str = ""
    nothing_written: bool = False

    @property
    def asked_no_service(self) -> bool:
        """Whether there was nothing but comparisons, as for a fork, which gets no key."""
        return any(review.comparison for review in self.manifests) and not any(each.plan for each in self.manifests)


def review_markdown(job: JobReview, most: int = GITHUB_COMMENT) -> tuple[str, str]:
    """A comment of at most so many characters, and a longer text for the job's summary, of at most a mebibyte."""
    marker = comment_marker(job.kind, f"{job.repository}/{job.environment}")
    start, ending = f"{marker}\n### {_heading(job)}", footer(job)
    cut = f"Cut here: the [job's summary]({job.run_url}) shows more." if job.run_url else _CUT

    def blocks(*, full: bool) -> Iterator[MarkdownBlock]:
        return chain([MarkdownBlock(start)], _first_blocks(job), _plan_blocks(job, full=full))

    comment = join_markdown(blocks(full=False), most, size_in_utf16, cut=cut, ending=ending)
    return comment, join_markdown(blocks(full=True), SUMMARY, cut="Cut here: it is too long.", ending=ending)


def plan_markdown(plan: Plan, view: View, preface: Iterable[MarkdownBlock] = (), *ending: MarkdownBlock) -> str:
    """A plan for reviewers, under 65,536 characters, or under a mebibyte with `view.full`.

    After a preface, the last line of the totals comes first, its deletions in bold; the others stand below it.
    """
    *others, last = plan_text.total_lines(plan, bold=True)
    totals = "\n\n".join([last, "<br>".join([*others, *plan_text.legend(plan)])]).strip()
    refusals = plan_text.refusal_lines(plan)[1:]
    first = [
        title_block("plan", plan.owner, wording.heading_line(plan.owner, plan.service)),
        *preface,
        MarkdownBlock(totals),
        *([fenced_block(refusals, before="**Refused: nothing will be written.**\n\n")] if refusals else []),
    ]
    blocks = chain(_plan_blocks(JobReview((ManifestReview("", plan),)), full=view.full), ending)
    return join_markdown(chain(first, lost_question_blocks([("", plan)]), blocks), SUMMARY if view.full else COMMENT)


def comparison_markdown(comparison: ManifestComparison, view: View) -> str:
    """A comparison for reviewers, in place of an earlier comment on a plan."""
    sections = comparison_sections(comparison).items()
    blocks = [fenced_block(lines, before=f"**{title}:**\n\n") for title, lines in sections]
    preface, ending = MarkdownBlock(basis_text(comparison, inline_code)), text_diff_blocks([comparison], full=view.full)
    return plan_markdown(shown_plan(comparison), view, [preface, *blocks], *ending)


def _heading(job: JobReview) -> str:
    """How many manifests change: "vssync, prod: 2 of 3 knowledge bases change, 1 refused"."""
    plans = [plan for review in job.manifests if (plan := review.shown)]
    differing = [
        plan for plan in plans if not plan.empty or (job.kind == "drift" and not find_convergence(plan).reached)
    ]
    changing, refused = len(differing), sum(bool(plan.refusals) for plan in plans)
    failed = sum(bool(review.error) for review in job.manifests)
    total = len(job.manifests) + len(job.untouched)
    one, many = _VERBS.get(job.kind, _VERBS["plan"])
    what = f"{changing:,} of {count_noun(total, 'knowledge base')} {one if changing == 1 else many}"
    ends = [f"{count:,} {word}" for count, word in ((refused, "refused"), (failed, "failed")) if count]
    if total == 1 and job.manifests:
        what = f"{short_code(job.manifests[0].name)} {one if changing else f'does not {many}'}"
        what, ends = (f"{short_code(job.manifests[0].name)} failed", []) if failed and not plans else (what, ends)
    is_word = re.fullmatch(r"[A-Za-z0-9-]{1,40}", job.environment)
    place = f", {job.environment if is_word else short_code(job.environment)}" if job.environment else ""
    return f"vssync{place}: {', '.join([what, *ends])}"


def footer(job: JobReview) -> str:
    """What was not touched, and what this was made from, where and when."""
    untouched = join_first([short_code(name) for name in job.untouched], _NAMED)
    parts = [f"{untouched}: not touched."] if untouched else []
    when = f", {job.time:%H:%M} UTC" if job.time else ""
    commit = f" of {short_code(job.commit[:7])}" if job.commit else ""
    plans = [review.shown for review in job.manifests if review.shown]
    held = [review.error or review.needs_person for review in job.manifests]
    is_held = any(held) or any(plan.refusals for plan in plans)
    is_change = any(change.action is not Action.REFUSE for plan in plans for change in plan.changes())
    merge = "; a merge applies it" if job.kind == "plan" and is_change and not is_held else ""
    base = f"{short_code(job.base)}, without asking the service" if job.asked_no_service else "live"
    what = "Apply" if job.kind == "apply" else "Plan"
    parts += [f"{what}{commit} against {base}{when}{merge}." if plans else f"Job{commit}{when}."]
    parts += ["Nothing was written."] if job.nothing_written else []
    return " ".join([*parts, *([f"[run]({job.run_url})"] if job.run_url else [])])


def _first_blocks(job: JobReview) -> Iterator[MarkdownBlock]:
    """What a reviewer must not miss."""
    if job.asked_no_service:
        yield MarkdownBlock(
            f"What an apply would do if {short_code(job.base or 'the base')} is live: no service was asked."
        )
    if lines := [_setting_line(change, review, job) for review in job.manifests for change in _settings(review)]:
        yield MarkdownBlock(f"**{GOVERNING}:**\n", tuple(lines))
    for review in job.manifests:
        yield from _refusal_blocks(review, job)
    yield from lost_question_blocks((review.name, review.shown) for review in job.manifests)
    for review in job.manifests:
        if review.error:
            verb = "applied" if job.kind == "apply" else "compared" if job.asked_no_service else "planned"
            what = "nothing was written" if review.plan else "failed" if review.name == JOB else f"could not be {verb}"
            yield error_block(review, what)


def error_block(review: ManifestReview, what: str) -> MarkdownBlock:
    """What went wrong with a manifest, below what follows from that."""
    sentences = map(escape_control, review.error.splitlines())
    lines = [part for line in sentences for part in wrap_sentences(line, 0, View(width=WIDTH))]
    return fenced_block(lines, before=f"**{short_code(review.name)}: {what}**\n\n")


def _settings(review: ManifestReview) -> Iterable[GuardChange]:
    if review.settings or not review.comparison:
        return review.settings
    return [GuardChange(change.name, "", change.before, change.after) for change in review.comparison.governing]


def _setting_line(change: GuardChange, review: ManifestReview, job: JobReview) -> str:
    label = " / ".join(filter(None, (review.name, change.store)))
    before, after = (short_code(wording.format_value(value)) for value in (change.base, change.head))
    place = f", {_link(change.location, job)}" if change.location else ""
    return f"- {short_code(label)} {short_code(change.field)}: {before} to {after}{place}"


def _refusal_blocks(review: ManifestReview, job: JobReview) -> Iterator[MarkdownBlock]:
    plan = review.shown
    if plan is None:
        return
    stores = {store.key: store for store in plan.stores}
    for key in dict.fromkeys(refusal.store for refusal in plan.refusals):
        refusals = [refusal for refusal in plan.refusals if refusal.store == key]
        messages = [short_prose(refusal.message.removeprefix(f"{key}: ")) for refusal in refusals]
        label = short_code(" / ".join(filter(None, (review.name, key))))
        lines = [f"**Refused: {label}**: {message}" for message in messages]
        files = stores[key].files if key in stores else ()
        lost = [short_code(change.key) for change in files if change.action is Action.DELETE]
        lines += [f"It would lose {join_first(lost, _NAMED)}."] if lost else []
        lines += [_fewer_line(fewer, job) for fewer in review.fewer.get(key, ())]
        lines += _ways_out(refusals, review.labels.get(key, ()), with_counts=not review.fewer.get(key))
        yield MarkdownBlock(f"> {'<br>'.join(lines)}")


def _fewer_line(fewer: FewerMatches, job: JobReview) -> str:
    base, earlier = short_code(job.base) if job.base else "the base", short_code(fewer.earlier_pattern)
    if not fewer.pattern:
        return f"{earlier} is not in the manifest any more; it matches {count_noun(fewer.before, 'file')} on {base}."
    was = f" as {earlier}" if fewer.earlier_pattern not in ("", fewer.pattern) else ""
    here = f"{_link(fewer.location, job)} {short_code(fewer.pattern)} matches {count_noun(fewer.files, 'file')} here"
    return f"{here}, {fewer.before:,} on {base}{was}."


def _ways_out(refusals: Sequence[Refusal], labels: Sequence[str], *, with_counts: bool) -> list[str]:
    """The label that lifts a refusal; hints; without either, what to type. `with_counts`: how much patterns match."""
    ways = [way for refusal in refusals for way in refusal.way_out]
    hints = [way for way in ways if _COMMAND not in way and (with_counts or not way.endswith(_COUNTED))]
    lines = [_format_way_out(way) for way in dict.fromkeys(hints or ([] if labels else ways))]
    noun = "label" if len(labels) == 1 else "labels"
    return [*lines, *([f"Meant? Add the {noun} {join_words(list(map(short_code, labels)))}."] if labels else [])]


def _format_way_out(text: str) -> str:
    purpose, command, arguments = text.partition(_COMMAND)
    return f"{short_prose(purpose.strip())} {short_code(command.strip() + arguments)}" if command else short_prose(text)


def _plan_blocks(job: JobReview, *, full: bool) -> Iterator[MarkdownBlock]:
    """The table of stores, notes, each store's details, batches in progress, and costs."""
    view = View(width=WIDTH, full=full)
    shown = [(review, plan) for review in job.manifests if (plan := review.shown)]
    yield from store_table([entry for review, plan in shown for entry in _entries(review, plan, full=full)])
    for review, plan in shown:
        for line in plan_text.quiet_lines(plan, full=full):
            yield MarkdownBlock(f"{short_code(review.name)}: {prose(line)}" if review.name else prose(line))
    notes = [f"- {short_code(review.name)}: {short_prose(note)}" for review in job.manifests for note in _notes(review)]
    if notes:
        yield MarkdownBlock("**Notes:**\n", tuple(notes))
    yield from detail_blocks(
        (block for review, plan in shown for block in _blocks(review, plan, job, full=full)), full=full
    )
    for _, plan in shown:
        yield from map(fenced_block, plan_text.batch_blocks(plan, view))
    costs = [_cost_text(review, plan) for review, plan in shown if review.name and not plan.empty]
    if costs and not job.asked_no_service:
        yield MarkdownBlock("<br>".join(costs[:_MANIFESTS]))
    yield from text_diff_blocks((review.comparison for review in job.manifests), full=full)


def _notes(review: ManifestReview) -> tuple[str, ...]:
    return (*review.notes, *(review.comparison.notes if review.comparison and not review.plan else ()))


def _blocks(review: ManifestReview, plan: Plan, job: JobReview, *, full: bool) -> Iterator[StoreBlock]:
    """The blocks of a plan under its manifest's name, with the addresses of its files."""
    urls = _urls(review, plan, job)
    for block in plan_text.plan_blocks(plan, full=full):
        left = " / ".join(filter(None, (escape_control(review.name), block.head.left)))
        yield replace(block, head=replace(block.head, left=left), urls=urls)


def _cost_text(review: ManifestReview, plan: Plan) -> str:
    lines = [*plan_text.total_lines(plan)[:-1], *plan_text.legend(plan)]
    return f"{short_code(review.name)}: {' '.join(lines)}"


def _entries(review: ManifestReview, plan: Plan, *, full: bool) -> list[StoreRow]:
    keys = {store.key for store in plan_text.stores_to_show(plan, full=full)} | review.left_out_before.keys()
    name = f"{review.name} / " if review.name else ""
    stores = (store for store in plan.stores if store.key in keys)
    return [StoreRow(f"{name}{store.key}", store, review.left_out_before.get(store.key)) for store in stores]


def _urls(review: ManifestReview, plan: Plan, job: JobReview) -> dict[str, str]:
    """Where the files of a plan can be read, by their key as rows show it."""
    files = [change for store in plan.stores for change in store.files if change.desired and change.desired.path]
    paths = {escape_control(file.key): file.desired.path for file in files if file.desired} if job.files_url else {}
    root = f"{review.root.strip('/')}/".removeprefix("./").lstrip("/")
    return {key: f"{job.files_url}{quote(root + path, errors='replace')}" for key, path in paths.items()}


def _link(location: str, job: JobReview) -> str:
    match = _LOCATION.fullmatch(location)
    line = f"#L{match['line']}" if match and match["line"] else ""
    file = match["file"] if match else location
    shown = short_code(f"{file}:{match['line']}" if match and match["line"] else file)
    return f"[{shown}]({job.files_url}{quote(file, errors='replace')}{line})" if job.files_url else shown
