"""Plans and reports: parts of them by hand, those of the golden files, and arbitrary ones."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Any

from hypothesis import strategies as st

from vssync.model.marks import NONE, AnyMark, ApplyStamp, Mark, Origin, parse_mark
from vssync.model.plan import (
    Action,
    BatchChange,
    FieldChange,
    FileChange,
    Note,
    NoteKind,
    Plan,
    Reason,
    RecordedCopy,
    Refusal,
    StoreChange,
    StorePlan,
)
from vssync.model.report import Audit, Orphan, Outcome, Report, Status
from vssync.model.service import ServiceSpec
from vssync.model.state import AUTO, Attributes, DesiredFile, FileCounts, FileStatus, StoreSettings

# Parts of a plan: every argument optional, so that a test names only what it is about.

SHA = "9f2c41d07be3a655" * 4
MARK = f"v1;support-kb/prod;9f2c41d07be3a655;{SHA};44ff0a1b9c3d2e77;c0ffee0123456789;u;1;5eed5eed5eed5eed;-"
OCI = ServiceSpec(provider="oci", region="us-chicago-1")


def desired(key: str = "docs/a.md", *, attributes: Attributes | None = None, **given: Any) -> DesiredFile:
    declared = bool(given.get("file_id"))
    usual = {"filename": key.replace("/", "__"), "chunking": AUTO, "path": "" if declared else key, "size": 1024}
    return DesiredFile(key=key, attributes=attributes or {}, **{"sha256": "" if declared else SHA, **usual, **given})


def copy(
    id: str = "file-1", *, status: FileStatus = FileStatus.COMPLETED, error: str = "", mark: str = MARK
) -> RecordedCopy:
    return RecordedCopy(id, status, 1_760_000_000, parse_mark(mark) if mark else None, error)


def change(key: str, action: Action, *reasons: Reason, size: int = 1024, **given: Any) -> FileChange:
    wanted = None if action is Action.DELETE else desired(key, size=size)
    return FileChange("guide", key, action, reasons, **{"desired": wanted, **given})


def create(key: str = "docs/a.md", **given: Any) -> FileChange:
    return change(key, Action.CREATE, Reason.MISSING, **given)


def update(key: str = "docs/a.md", *fields: FieldChange, **given: Any) -> FileChange:
    changed = fields or (FieldChange("lang", "en", "de"),)
    made = change(key, Action.UPDATE, Reason.ATTRIBUTES_CHANGED, keep=copy(), fields=changed)
    return replace(made, **given)


def replaced(key: str = "docs/a.md", *reasons: Reason, **given: Any) -> FileChange:
    why = reasons or (Reason.CONTENT_CHANGED,)
    return change(key, Action.REPLACE, *why, **{"keep": copy(), "drop": (copy(),), **given})


def deleted(key: str = "docs/a.md", **given: Any) -> FileChange:
    return change(key, Action.DELETE, Reason.NOT_IN_MANIFEST, **{"drop": (copy(),), **given})


def store(*files: FileChange, key: str = "guide", **given: Any) -> StorePlan:
    usual = {"name": key, "id": "vs_1", "desired": StoreSettings(key, key), "live": 10, "owned": 10, "wanted": 10}
    return StorePlan(key, files=tuple(replace(file, store=key) for file in files), **{**usual, **given})


def plan(*stores: StorePlan, owner: str = "support-kb/prod", service: ServiceSpec = OCI, **given: Any) -> Plan:
    return Plan(owner, service, stores, **given)


# The plans and reports whose outputs are kept as golden files.

LONG_ID = "vs_ord_7hq2m5xkc3p9w8z1b6r4t0n2x4da"


def small() -> Plan:
    return plan(
        store(
            create("docs/guide/sso.md", size=12_698),
            replaced("docs/guide/intro.md", size=9_216),
            update("docs/pricing.md", FieldChange("plan", "basic", "standard"), FieldChange("reviewed", None, True)),
            key="support-docs",
            id=LONG_ID,
            live=1204,
            wanted=1205,
            unchanged=1202,
            digest="9f2c41d07be3a655",
        )
    )


STAMP = f"2026-11-27T14:02:31Z;{'4f2a91c' * 5};eva;981"


def nothing() -> Plan:
    return plan(store(unchanged=1205, applied=STAMP), owner="quickstart", service=ServiceSpec())


def new_stores() -> Plan:
    """Two stores to be created, one of them under another name."""
    new = StoreChange(Action.CREATE, (Reason.MISSING,))
    first = store(*(create(f"docs/{name}.md") for name in "abc"), key="guide", id="", change=new, live=0, wanted=3)
    other = store(create("faq.md"), key="faq", name="faq-prod", id="", change=new, live=0, wanted=1)
    return plan(first, other, owner="quickstart", service=ServiceSpec())


def everything(unwanted: int = 331) -> Plan:
    """Every sign, note and section once."""
    long = "docs/a/folder/with/a/very/long/path/that/no/narrow/terminal/could/ever/show/whole/because-of-its-name.md"
    files: tuple[FileChange, ...] = (
        create(long, size=5_242_880),
        create("docs/same-bytes.md", reuse="file-7"),
        update("docs/drift.md", FieldChange("lang", "de", "en", drifted=True), FieldChange("year", 2024, 2025)),
        update("docs/moved.md", reasons=(Reason.MOVED,), was="docs/old-name.md", fields=()),
        replaced("docs/both.md", Reason.CONTENT_CHANGED, Reason.CHUNKING_CHANGED, size=2_097_152),
        replaced("docs/gap.md", Reason.CHUNKING_CHANGED, gap=True),
        replaced(
            "docs/retry.md",
            Reason.INGEST_FAILED,
            keep=copy(error="server_error: An internal error occurred."),
            tries=2,
            reuse="file-1",
        ),
        deleted("docs/gone.md"),
        change("docs/twice.md", Action.DELETE, Reason.SUPERSEDED, keep=copy(), drop=(copy("file-2"),)),
        change("docs/taken.md", Action.ADOPT, Reason.UNMARKED, keep=copy(mark="")),
        change("docs/busy.md", Action.AWAIT, Reason.INGESTING, keep=copy()),
        change(
            "docs/bad.docx",
            Action.REFUSE,
            Reason.REFUSED,
            detail="unsupported_file: docx files cannot be read by this service; change the file, "
            "or try again with --retry-failed",
        ),
        change("日本語/ガイド.md", Action.CREATE, Reason.MISSING),
    )
    notes = (
        Note(NoteKind.KEPT, count=3),
        Note(NoteKind.SKIPPED, "docs/empty.md", detail="empty"),
        Note(NoteKind.UNMANAGED, count=12),
        Note(NoteKind.FOREIGN, count=2, detail="other/prod"),
        Note(NoteKind.FOREIGN_BATCH, "vsfb_ord_c410m5xkc3p9w8z1b6r4t0n29d2f", 12),
        Note(NoteKind.ADOPTABLE, "docs/there.md", detail="file-9"),
        Note(NoteKind.UNCOMPARED, count=5, detail="taken for what name and size said"),
        Note(NoteKind.CHUNKING_REPORT, count=4),
        Note(NoteKind.ATTRIBUTES_REPORT, count=2, detail="searches filter by what the service made of them"),
        Note(NoteKind.DESCRIPTION, detail='live "Help", wanted "Public help pages"'),
    )
    settings = (FieldChange("name", "guide", "guide-prod"), FieldChange("metadata.team", None, "docs"))
    guide = store(
        *files,
        id=LONG_ID,
        change=StoreChange(Action.UPDATE, (Reason.SETTINGS_CHANGED,), settings),
        batches=batches(unwanted),
        notes=notes,
        live=1204,
        unchanged=1190,
        left_out={
            ".png": tuple(f"docs/images/{number}.png" for number in range(31)),
            "draft": ("docs/next.md", "docs/soon.md"),
            "empty": ("docs/empty.md",),
        },
    )
    left = store(key="old-guide", desired=None, id="vs_2", live=40, notes=(Note(NoteKind.LEFT_STORE, count=40),))
    refused = store(
        key="shared",
        id="vs_3",
        change=StoreChange(Action.REFUSE, (Reason.OTHER_OWNER,), detail="team-b owns it: --adopt-from team-b"),
    )
    return plan(guide, left, refused, store(key="quiet", unchanged=10))


def batches(unwanted: int = 331) -> tuple[BatchChange, ...]:
    """One to cancel, one to wait for."""
    keys = ("docs/gone.md", *(f"docs/gadget/1.4/api/{number}.md" for number in range(unwanted - 1)))
    cancel = BatchChange(
        "vsfb_ord_9f2cm5xkc3p9w8z1b6r4t0n271aa",
        Action.CANCEL,
        (Reason.UNWANTED,),
        FileCounts(in_progress=380, completed=120, total=500),
        keys,
    )
    wait = BatchChange(
        "vsfb_ord_77e0m5xkc3p9w8z1b6r4t0n203bd",
        Action.AWAIT,
        (Reason.INGESTING,),
        FileCounts(in_progress=100, total=100),
    )
    return cancel, wait


def refused() -> Plan:
    """A guard's refusal in one of two stores."""
    acme = store(
        *(deleted(f"tenants/acme/{number % 7}/{number}.md") for number in range(412)),
        key="acme",
        live=430,
        owned=430,
        wanted=18,
        unchanged=18,
    )
    refusal = Refusal(
        "acme: 412 of 430 live files would be deleted (96%, limit 30%).",
        "acme",
        (
            "`vssync.yaml:12:11` `tenants/acme/**/*.md` matches 18 files today.",
            "A build or checkout that did not finish looks like this.",
            "If this is intended:  vssync plan --max-delete 412",
            "Without acme:         vssync plan --exclude acme",
        ),
    )
    return plan(acme, store(create(), key="zeta"), refusals=(refusal,))


def large() -> Plan:
    """Ten thousand changes of four kinds in one store."""
    lang, reviewed = FieldChange("lang", "en", "de"), FieldChange("reviewed", None, True)
    places = [(top, folder) for top in ("api", "guide", "ref") for folder in range(20)]
    files = [create(f"docs/{top}/{folder}/{n}.md", size=1_000) for top, folder in places for n in range(50)]
    files += [update(f"docs/web/{n % 3}/{n}.md", *((lang, reviewed) if n % 3 else (reviewed,))) for n in range(3_000)]
    files += [update(f"site/{n}.md", FieldChange("url", None, f"https://docs.example.com/{n}")) for n in range(3_000)]
    files += [deleted(f"old/{n % 50}/{n}.md") for n in range(1_000)]
    return plan(store(*files, live=20_000, notes=(Note(NoteKind.UNMANAGED, count=12),)))


def many_stores() -> Plan:
    """More stores than a screen has lines."""
    stores = [
        store(*(create(f"{tenant}/{n}.md") for n in range(10 + tenant)), key=f"tenant-{tenant:03}")
        for tenant in range(100)
    ]
    return plan(*stores)


SAMPLE_PLANS: dict[str, Callable[[], Plan]] = {
    "small": small,
    "nothing": nothing,
    "new-stores": new_stores,
    "everything": everything,
    "refused": refused,
    "large": large,
    "many-stores": many_stores,
}


def outcomes(made: Plan, status: Status = Status.DONE, detail: str = "") -> tuple[Outcome, ...]:
    """The same outcome for every change of a plan."""
    found = []
    for each in made.stores:
        own = [("", each.change.action)] if each.change else []
        own += [(batch.id, batch.action) for batch in each.batches] + [(file.key, file.action) for file in each.files]
        found += [Outcome(each.key, key, action, status, detail) for key, action in own]
    return tuple(found)


def all_done() -> Report:
    made, stamp = small(), ApplyStamp("4f2a91c" * 5, "eva", "981", "2026-11-27T14:02:31Z")
    audit = Audit(stamp, "https://github.com/o/r/actions/runs/981", SHA, "1.2.3")
    ids = (("support-docs", LONG_ID),)
    return Report(made, outcomes(made), store_ids=ids, seconds=26.2, requests=10, audit=audit)


def mixed() -> Report:
    """A run that was interrupted after all kinds of ends."""
    made = new_stores()
    done = outcomes(made)
    ends = (
        done[0],
        Outcome("guide", "docs/a.md", Action.CREATE, Status.DONE),
        Outcome("guide", "docs/b.md", Action.CREATE, Status.FAILED, "unsupported_file: not a text", "req_123"),
        Outcome("guide", "docs/c.md", Action.CREATE, Status.UNKNOWN, "the reply to an upload was lost"),
        *(Outcome(end.store, end.key, end.action, Status.SKIPPED, "not tried") for end in done if end.store == "faq"),
    )
    orphans = (Orphan("file-abc", "uploaded as docs__c.md", suspected=True), Orphan("file-abd", "a listing failed"))
    return Report(
        made, ends, orphans, (("guide", "vs_9"),), 200.4, 31, interrupted=True, throttled=61.5, already=("faq/old.md",)
    )


def large_report() -> Report:
    made = large()
    return Report(made, outcomes(made), store_ids=(("guide", "vs_1"),), seconds=4_000)


SAMPLE_REPORTS: dict[str, Callable[[], Report]] = {"all-done": all_done, "mixed": mixed, "large": large_report}


# Arbitrary values of the plan's types, made from their annotations, so that a new field is covered at once.

_HEX16 = st.text("0123456789abcdef", min_size=16, max_size=16)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12) | st.sampled_from(["docs/a.md", "docs/b.md", "keep", "v1;a;b"]),
    int: st.integers(-5, 10_000_000),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    types.NoneType: st.none(),
    AnyMark: st.builds(
        Mark,
        st.sampled_from(["kb", "kb/prod"]),
        _HEX16,
        st.sampled_from(["id", "?", "?" + "a" * 64]) | st.text("0123456789abcdef", min_size=64, max_size=64),
        _HEX16,
        _HEX16,
        st.sampled_from(Origin),
        st.integers(0, 9_999),
        st.just(NONE) | _HEX16,
        st.just(NONE) | _HEX16.map(lambda digits: f"{4 * digits}.docx-1"),
        st.just("") | _HEX16,
    )
    | st.text(max_size=12).map(parse_mark),
}
_NARROWER: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    Outcome: {"attempts": st.integers(0, 9)},  # a count
}


@cache
def arbitrary(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotated type that can come about."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if origin in (typing.Union, types.UnionType):
        return st.one_of([arbitrary(arg) for arg in args])
    if origin is tuple and args[-1] is ...:
        return st.lists(arbitrary(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(arbitrary, args))
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(_SCALARS[str], arbitrary(args[1]), max_size=2)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        parts = {field.name: arbitrary(hints[field.name]) for field in fields(kind)}
        return st.builds(kind, **parts | _NARROWER.get(kind, {}))
    assert issubclass(kind, Enum), f"no strategy for {kind}"
    return st.sampled_from(list(kind))


ARBITRARY_PLANS: st.SearchStrategy[Plan] = arbitrary(Plan)
ARBITRARY_REPORTS: st.SearchStrategy[Report] = arbitrary(Report)
