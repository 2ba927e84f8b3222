"""Makes a plan, saves and loads it, and makes it again before it is applied."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vssync.commands.compare import compare_equal_texts, compare_for_adoption
from vssync.commands.session import Session, Settings
from vssync.commands.snapshot import find_gone_uploads, read_snapshot
from vssync.errors import AccessDenied, ManifestError, NotFound, Refused, UsageProblem, VssyncError
from vssync.files import cannot_write, open_input, write_file
from vssync.journal.folder import lock_holder
from vssync.journal.interrupted import describe_interrupted
from vssync.journal.writer import read_past
from vssync.manifest.diagnostics import find_source_locations
from vssync.manifest.resolve import trace_provenance
from vssync.manifest.yaml_loader import TreePath
from vssync.model.plan import FileChange, Options, Plan, Reason
from vssync.model.state import DesiredStore, Snapshot, extension_of
from vssync.planner.assemble import make_plan
from vssync.planner.content_digest import note_line_ends, paths_of_changed_content
from vssync.providers import TEXT_EXTENSIONS
from vssync.sources.load import LoadedManifest, find_manifest, without_collector
from vssync.sources.paths import find_work_tree, has_git, on_disk
from vssync.text import count_noun, format_size

_MAX_ENTRIES = 5  # of one store, in a refusal
_MAX_TEXT_BYTES = 16 << 20  # that are read whole to compare line ends
MAX_PLAN_BYTES = 1 << 30  # some two million changes; a compressed file may unpack to anything


def read_live(session: Session, options: Options, *, verify: bool = False) -> Snapshot:
    """One complete reading of everything the manifest concerns; with `verify`, each File is asked for, too."""
    snapshot = read_snapshot(session, options, verify=verify)
    snapshot = replace(snapshot, store_locations=_locate_stores(session, snapshot))
    adopts = options.adopt or any(store.adopt for store in session.loaded.desired.stores)
    return compare_for_adoption(session, snapshot, options) if adopts else snapshot


def _locate_stores(session: Session, snapshot: Snapshot) -> dict[str, str]:
    """Where the manifest declares each store, by key, if some of them are denied or pin an id that is not there."""
    stores = (*session.loaded.desired.stores, *session.loaded.desired.removed)
    pinned, live_ids = {store.id for store in stores if store.id}, {live.id for live in snapshot.stores}
    if not snapshot.stores_denied and pinned <= live_ids:
        return {}
    paths = {store.key: ("stores", store.key, *(("id",) if store.id else ())) for store in stores}
    locations = find_source_locations(session.loaded.manifest.documents, paths.values())
    return {key: str(locations[path]) for key, path in paths.items()}


def make_plan_now(session: Session, options: Options, *, verify: bool = False) -> Plan:
    """What differs between the manifest and the service, refusals included."""
    options = options_of(session.settings, options)
    plan = _plan_from(session, options, read_live(session, options, verify=verify))
    return replace(plan, options=replace(options, manifest=_portable_path(Path(session.settings.manifest))))


def options_of(settings: Settings, options: Options) -> Options:
    """The options of a plan with those that commands to type next repeat."""
    return replace(
        options,
        manifest=Path(settings.manifest).as_posix(),
        env=settings.env or "",
        variables=tuple(sorted(settings.variables.items())),
        session_options=settings.words,
    )


def _plan_from(
    session: Session, options: Options, snapshot: Snapshot, already_replaced: frozenset[tuple[str, str]] = frozenset()
) -> Plan:
    """A plan that attaches no File that does not exist, and hides none of a text that it removes."""
    while True:
        with without_collector():
            plan = make_plan(session.loaded.desired, snapshot, options, session.capabilities, already_replaced)
        if (seen := _look_again(session, snapshot, plan)) is snapshot:
            return with_sources(plan, session.loaded)
        snapshot = seen


def _look_again(session: Session, snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The snapshot with what this plan depends on besides; the same one if all of that is known."""
    attached = ((change.reuse, change.desired) for store in plan.stores for change in store.files if change.attaches)
    ids = {reuse or file.file_id for reuse, file in attached if file} - {""}
    ids -= snapshot.uploads.keys() | snapshot.gone_uploads
    with suppress(AccessDenied, NotFound):  # a credential that may not read Files may attach them
        if gone := find_gone_uploads(session.client, session.pool, ids):
            return replace(snapshot, gone_uploads=snapshot.gone_uploads | gone)
    return compare_equal_texts(session, snapshot, plan)


def with_sources(plan: Plan, loaded: LoadedManifest) -> Plan:
    """The plan with what its manifest's files say of it: which changed in line ends only, and where they are chosen."""
    plan = note_line_ends(plan, _other_digests(loaded.root, paths_of_changed_content(plan)))
    return _locate_missing_files(with_source_locations(plan, loaded), loaded)


def _other_digests(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """For each text among these files, the digest of its bytes with the other line ends."""
    digests: dict[str, str] = {}
    for path in paths:
        file = root / on_disk(path)
        with suppress(OSError):  # it went since it was hashed, and the next plan says so
            if extension_of(path) in TEXT_EXTENSIONS and file.stat().st_size <= _MAX_TEXT_BYTES:
                digests[path] = hashlib.sha256(with_other_line_ends(file.read_bytes())).hexdigest()
    return digests


def with_other_line_ends(content: bytes) -> bytes:
    """A text with the other line ends, as git would check it out with the opposite `core.autocrlf`.

    Git takes a text in UTF-16 for binary, and changes nothing in it.
    """
    if b"\0" in content:
        return content
    return content.replace(b"\r\n", b"\n") if b"\r\n" in content else content.replace(b"\n", b"\r\n")


def load_plan(path: Path) -> Plan:
    """A saved plan. Raises VssyncError when it cannot be read."""
    from vssync.planfile import load  # most plans are neither loaded nor saved

    is_compressed = path.suffix == ".gz"
    try:
        with open_input(path) as opened, gzip.open(opened) if is_compressed else opened as file:
            data = file.read(MAX_PLAN_BYTES + 1)
        if len(data) > MAX_PLAN_BYTES:
            raise VssyncError(f"larger than {format_size(MAX_PLAN_BYTES)}, which no plan is")
        with without_collector():
            return load(data.decode("utf-8-sig"))
    except (zlib.error, EOFError) as error:
        raise VssyncError(f"{path}: is damaged or incomplete. Make a new plan.") from error
    except gzip.BadGzipFile as error:
        raise VssyncError(f"{path}: is not gzip, as its name says, or damaged. Make a new plan.") from error
    except FileNotFoundError as error:
        hint = f"`vssync plan --out {path}` saves one; -t chooses a store or file"
        raise VssyncError(f"{path}: there is no such plan; {hint}") from error
    except OSError as error:
        raise VssyncError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VssyncError(f"{path}: is not a plan: not UTF-8 text") from error
    except VssyncError as error:
        raise VssyncError(f"{path}: {str(error).removeprefix('The plan file ')}") from error


def save_plan(plan: Plan, path: Path) -> None:
    """Writes a plan whole or not at all, compressed when the name ends in `.gz`."""
    from vssync.planfile import dump_lines

    try:
        write_file(path, dump_lines(plan))
    except OSError as error:
        raise cannot_write(path, error) from error


def settings_of_plan(saved: Plan, settings: Settings) -> Settings:
    """The settings under which a saved plan was made, in the region that it was made for.

    Raises UsageProblem for another `--region`, and VssyncError where the plan's manifest is neither in the work tree
    around this folder nor where its path leads here.
    """
    options, service, caller = saved.options, saved.service, settings.caller
    if service.region and not service.data_url:
        if caller.region not in ("", service.region):
            raise UsageProblem(f"--region {caller.region}: the plan was made for {service.region}; leave it out")
        caller = replace(caller, region=service.region)
    typed = Path(options.manifest or ".")
    for path in (find_work_tree(Path.cwd()) / typed, typed):
        with suppress(ManifestError):
            find_manifest(path)
            env, variables = options.env or None, dict(options.variables)
            return replace(settings, manifest=str(path), env=env, variables=variables, caller=caller)
    raise VssyncError(f"{typed}: the plan's manifest is not here; apply the plan in a checkout that has it")


def _portable_path(manifest: Path) -> str:
    """The path in its git work tree, so that it is good in every checkout; without one, as typed."""
    tree = find_work_tree(manifest if manifest.is_dir() else manifest.parent)
    real = manifest.resolve()
    return (real.relative_to(tree) if has_git(tree) and real.is_relative_to(tree) else manifest).as_posix()


def replan(session: Session, saved: Plan) -> Plan:
    """A saved plan as of now, without the changes that are applied already.

    Raises Refused, naming what moved, where it would do anything that the saved plan does not.
    """
    from vssync.staleness import check_stale, replaced_since

    options = saved.options
    snapshot = read_live(session, options)
    fresh = _plan_from(session, options, snapshot)
    if already_replaced := replaced_since(saved, fresh):
        fresh = _plan_from(session, options, snapshot, already_replaced)
    if differences := check_stale(saved, fresh):
        lines = "\n".join(f"  {line}" for line in differences)
        raise Refused(f"The plan is stale: something moved since it was made.\n{lines}\nPlan again.")
    return fresh


def _locate_missing_files(plan: Plan, loaded: LoadedManifest) -> Plan:
    """The plan whose refusals of declared Files that do not exist say where the manifest has them."""

    def locate(change: FileChange) -> FileChange:
        if Reason.FILE_GONE not in change.reasons or not change.desired:
            return change
        entry = trace_provenance(loaded.manifest, change.store, change.desired, {})["file"].path
        path: TreePath = (*entry, "file_id")
        location = find_source_locations(loaded.manifest.documents, [path])[path]
        return replace(change, detail=f"{location}: {change.detail}")

    stores = (replace(store, files=tuple(map(locate, store.files))) for store in plan.stores)
    return replace(plan, stores=tuple(stores))


def with_source_locations(plan: Plan, loaded: LoadedManifest) -> Plan:
    """The plan whose refusals say where the store's files are declared, and how many are found today."""
    stores = {store.key: store for store in loaded.desired.stores}
    refusals = [
        replace(refusal, way_out=(*_entry_counts(stores[refusal.store], loaded), *refusal.way_out))
        if refusal.store in stores
        else refusal
        for refusal in plan.refusals
    ]
    return replace(plan, refusals=tuple(refusals))


def _entry_counts(store: DesiredStore, loaded: LoadedManifest) -> list[str]:
    """A line for each pattern of a store, those that match the fewest files first to be listed."""
    spec = next(spec for spec in loaded.manifest.stores if spec.store.key == store.key)
    counts = Counter(trace_provenance(loaded.manifest, store.key, file, {})["file"].path for file in store.files)
    patterns = {entry.layer.path: entry.pattern.text for entry in spec.entries if entry.pattern is not None}
    listed: list[TreePath] = sorted(patterns, key=lambda path: counts[path])[:_MAX_ENTRIES]
    locations = find_source_locations(loaded.manifest.documents, listed)
    lines = [
        f"`{locations[path]}` `{patterns[path]}` matches {count_noun(counts[path], 'file')} today."
        for path in sorted(listed)
    ]
    if (more := len(patterns) - len(listed)) > 0:
        others = sum(counts.values()) - sum(counts[path] for path in listed)
        lines.append(f"{more:,} more entries match {count_noun(others, 'file')}.")
    return lines


def describe_interrupted_runs(session: Session) -> str:
    """What interrupted runs of this machine left for this manifest and service, for people; mostly nothing."""
    folder = session.state_folder
    past = read_past(folder)
    return describe_interrupted(past, lock_holder(folder) if past.interrupted else 0)
