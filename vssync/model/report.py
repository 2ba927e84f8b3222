"""What became of a plan: one outcome for every change, and the uploads left over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from vssync.model.convergence import count_uncompared, find_convergence
from vssync.model.marks import ApplyStamp, is_our_upload
from vssync.model.plan import Action, FileChange, Plan, Reason


class Status(StrEnum):
    """What became of a change."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a reply was lost, and reading the service did not show what became of it
    DOUBLED = "doubled"  # done, and another run did it as well: one of the two has to go
    SKIPPED = "skipped"  # not tried; `detail` says why


_NO_STAMP = ApplyStamp()
NOT_TRIED = "not tried"  # the whole detail of what a run that ended early did not come to


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change."""

    store: str  # the store's key
    key: str  # the file's key, or a batch's id; empty for the store itself
    action: Action
    status: Status
    detail: str = ""
    request_id: str = ""
    attempts: int = 0  # how often it was tried
    seconds: float = 0.0  # from its first request to its end
    already: bool = False  # done before this run came to it, as by another run at the same time

    @property
    def needs_attention(self) -> bool:
        """Whether its end is not as it should be, so that `detail` says what to do."""
        return self.status in (Status.FAILED, Status.UNKNOWN, Status.DOUBLED)

    @property
    def as_planned(self) -> bool:
        """Whether it was done by this run, and at once."""
        return self.status is Status.DONE and not self.already and self.attempts <= 1

    @property
    def creates_store(self) -> bool:
        return not self.key and self.action is Action.CREATE and self.status is Status.DONE


@dataclass(frozen=True, slots=True)
class Orphan:
    """An upload of ours that no store lists, or that could not be deleted; `detail` says which, and why."""

    file_id: str
    detail: str
    suspected: bool = False  # only its name and size say that it is ours
    name: str = ""  # set, with `size`, where the upload was recognised by these
    size: int = 0


@dataclass(frozen=True, slots=True)
class FoundOrphans:
    """Orphans; and how many uploads are under a day old, so that another machine may yet attach them."""

    orphans: tuple[Orphan, ...]
    young: int = 0
    young_until: int | None = None  # when the last of them is a day old, in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Audit:
    """When an apply ended, who ran it, where, and what exactly it applied; what nobody tells is empty."""

    stamp: ApplyStamp = _NO_STAMP
    run_url: str = ""  # of the CI job
    plan_digest: str = ""  # SHA-256: the checksum at the end of the plan's file
    version: str = ""  # of vssync


_NO_AUDIT = Audit()


@dataclass(frozen=True, slots=True)
class Report:
    """The result of an apply."""

    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    store_ids: tuple[tuple[str, str], ...] = ()  # (key, id) of each store that exists now
    seconds: float = 0.0  # of wall time
    requests: int = 0  # all that were sent
    repeated: int = 0  # of those, the ones sent again after an error or no answer
    interrupted: bool = False
    throttled: float = 0.0  # of `seconds`, those in which the service had asked to pause
    already: tuple[str, ...] = ()  # addresses of changes in a saved plan that an earlier apply had made
    held: tuple[Orphan, ...] = ()  # uploads that were to be deleted, and stay because stores of others hold them
    audit: Audit = _NO_AUDIT

    @property
    def uncompared(self) -> int:
        """How many files were adopted and never compared; `converged` takes them for what the manifest wants."""
        return count_uncompared(self.plan) + sum(Reason.UNCOMPARED in change.reasons for change in self._done_files())

    @property
    def left(self) -> tuple[Orphan, ...]:
        """Uploads of others whose files were replaced or removed: they stay, and nothing else names them."""
        changes = [change for store in self.plan.stores for change in store.files]
        used = {id_ for change in changes for id_ in (change.reuse, change.desired and change.desired.file_id)}
        used |= {change.keep.id for change in changes if change.keep and change.keep not in change.drop}
        left = {
            copy.id: Orphan(copy.id, f"replaced or removed copy of {change.key}")
            for change in self._done_files()
            for copy in change.drop
            if copy.id not in used and not is_our_upload(copy.mark, self.plan.owner)
        }
        return tuple(left.values())

    def _done_files(self) -> Iterator[FileChange]:
        done = {(outcome.store, outcome.key) for outcome in self.outcomes if outcome.status is Status.DONE}
        changes = (change for store in self.plan.stores for change in store.files)
        return (change for change in changes if (change.store, change.key) in done)

    @property
    def converged(self) -> bool:
        """Whether everything in the scope of the run is as declared now."""
        undone = {outcome.store for outcome in self.outcomes if outcome.status is not Status.DONE}
        return not self.interrupted and find_convergence(self.plan, undone).reached
