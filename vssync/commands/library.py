"""The library: what `vssync.open` gives a program. Provisional: until 1.0 its names may change between versions."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vssync.applier.watcher import Result, Watcher, Workload
from vssync.commands import plan as planning
from vssync.commands.apply import apply_plan, locked_journal
from vssync.commands.session import Session, Settings, load_manifest, open_session
from vssync.endpoints import Caller
from vssync.model.convergence import find_convergence
from vssync.model.plan import BatchChange, Counts, FileChange, Options, Plan, Refusal, StoreChange
from vssync.model.report import Report
from vssync.planner.estimate import count_changes
from vssync.render.json import plan_json
from vssync.render.layout import View
from vssync.render.plan_text import plan_text
from vssync.text import count_noun, format_size


class PublicPlan:
    """`vssync.Plan`: what an apply would do. `str()` gives it as `vssync plan` prints it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @property
    def changes(self) -> tuple[StoreChange | FileChange | BatchChange, ...]:
        """Every change, store by store."""
        return tuple(self._plan.changes())

    @property
    def converged(self) -> bool:
        """Whether all that was looked at is as declared, with nothing held back or left over."""
        return find_convergence(self._plan).reached

    @property
    def counts(self) -> Counts:
        """How many files and stores to add, change, replace, delete and so on."""
        return count_changes(*self._plan.stores)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Why this plan must not be applied; mostly empty."""
        return self._plan.refusals

    def to_json(self) -> str:
        """The plan as `vssync plan --format json` prints it."""
        return plan_json(self._plan)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan to a file, for `load_plan`, `vssync show` and `vssync apply`."""
        planning.save_plan(self._plan, Path(path))

    def __str__(self) -> str:
        return plan_text(self._plan, View())


@dataclass(frozen=True, slots=True)
class Event:
    """Progress of an apply. `kind` is `started`, `uploaded`, `batch_sent`, `settled`, `cleanup` or `message`.

    `store` is a key of the manifest. `count` is in bytes for `uploaded`, in old uploads to delete for `cleanup`, and in
    changes for the others. `str()` gives a line for people.
    """

    kind: str
    store: str = ""
    count: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.store}: {self.text}" if self.store else self.text


class PublicSession:
    """`vssync.Session`: a manifest, as its files were when it was opened, and a connection to its service."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def plan(self, options: Options | None = None, *, targets: str | Iterable[str] = ()) -> PublicPlan:
        """What differs between the manifest and the service; nothing is written.

        `targets` limits the plan to stores or files, as `--target` does. All else that shapes a plan is in Options.
        """
        options = options or Options()
        if targets:
            options = replace(options, targets=(targets,) if isinstance(targets, str) else tuple(targets))
        return PublicPlan(planning.make_plan_now(self._session, options))

    def apply(
        self,
        plan: PublicPlan,
        *,
        on_event: Callable[[Event], object] | None = None,
        fail_fast: bool = False,
        lock_timeout: float = 0.0,
    ) -> Report:
        """Applies a plan, after making sure that nothing moved since it was made.

        `on_event` is called by one thread at a time, and should be quick. After Ctrl-C the report has `interrupted`
        set. Raises Refused, before anything is written, when the plan has refusals or is stale, or while another
        process of this machine has applied this manifest for longer than `lock_timeout` seconds.
        """
        saved = plan._plan
        watcher = _EventWatcher(on_event) if on_event else Watcher()
        with locked_journal(self._session, lock_timeout) as journal:
            fresh = planning.replan(self._session, saved)
            return apply_plan(self._session, fresh, watcher, fail_fast=fail_fast, journal=journal, saved=saved)


class _EventWatcher(Watcher):
    """Makes an event of whatever it is told."""

    def __init__(self, on_event: Callable[[Event], object]) -> None:
        self._on_event = on_event
        self._lock = threading.Lock()

    def on_start(self, workload: Workload, _throttled_for: Callable[[], float]) -> None:
        for store_key, changes in workload.changes.items():
            self._emit(Event("started", store_key, changes, f"{count_noun(changes, 'change')} to apply"))

    def on_upload_ready(self, store_key: str, _key: str, _file_id: str, size: int) -> None:
        self._emit(Event("uploaded", store_key, size, f"a file of {format_size(size)} uploaded"))

    def on_batch_sent(self, store_key: str, _batch_id: str, _count: int) -> None:
        self._emit(Event("batch_sent", store_key, text="a batch sent"))

    def on_settled(self, store_key: str, _key: str, _result: Result) -> None:
        self._emit(Event("settled", store_key, 1, "1 change settled"))

    def on_cleanup(self, uploads: int) -> None:
        if uploads:
            self._emit(Event("cleanup", count=uploads, text=f"{count_noun(uploads, 'old upload')} to delete"))

    def on_message(self, text: str) -> None:
        self._emit(Event("message", text=text))

    def _emit(self, event: Event) -> None:
        with self._lock:
            self._on_event(event)


@contextmanager
def open_manifest(
    manifest: str | os.PathLike[str] = ".",
    *,
    env: str | None = None,
    variables: Mapping[str, str] | None = None,
    auth: str = "",
    control_auth: str = "",
    auth_command: str = "",
    profile: str = "",
    region: str = "",
    allow_hosts: Iterable[str] = (),
    allow_http: Iterable[str] = (),
    allow_outside: Iterable[str | os.PathLike[str]] = (),
    allow_large: bool = False,
    engine: str = "",
    workers: int | None = None,
    batches_in_flight: int = 8,
    limits: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[PublicSession]:
    """`vssync.open`: loads a manifest, or that of a folder, and connects to its service while the block runs.

    The arguments are those of the command line. Credentials are read from `environment`, by default the process's;
    VSSYNC_FILE and VSSYNC_ENV are not read. Raises ManifestError with every problem of the manifest and its files.
    """
    caller = Caller(auth, control_auth, auth_command, profile, region, tuple(allow_hosts), tuple(allow_http))
    settings = Settings(
        manifest=os.fspath(manifest),
        env=env,
        variables=dict(variables or {}),
        workers=workers,
        batches_in_flight=batches_in_flight,
        limits=limits,
        caller=caller,
        allow_outside=tuple(Path(folder) for folder in allow_outside),
        allow_large=allow_large,
        engine=engine,
        environment=dict(os.environ if environment is None else environment),
    )
    with open_session(settings, load_manifest(settings)) as session:
        yield PublicSession(session)


def load_plan(path: str | os.PathLike[str]) -> PublicPlan:
    """A plan that `vssync plan --out` or `Plan.save` wrote. Raises VssyncError when it cannot be read."""
    return PublicPlan(planning.load_plan(Path(path)))
