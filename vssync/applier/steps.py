"""What steps there are, and in which order those of a store are taken; why they are, a plan knows."""

from __future__ import annotations

from dataclasses import dataclass

from vssync.model.marks import Mark, Origin
from vssync.model.plan import StoreChange
from vssync.model.state import Attributes, Chunking, DesiredFile, StoreSettings


@dataclass(frozen=True, slots=True)
class Drop:
    """A copy to detach. `kept_id` must be read as completed first, where there is one.

    The File is deleted at the end of the run only when `uploaded`: the mark says that it is our upload.
    """

    key: str
    file_id: str
    uploaded: bool
    kept_id: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """A file to bring into a store: upload (or take `file_id`), attach, wait until completed, then drop the old copies.

    `attributes` is the whole map to send beside the mark. With `gap` the drops come before the attach. `unfinished`:
    the File was attached and not completed when planned; if it is completed by now, it is left as it is.
    """

    key: str
    file: DesiredFile
    attributes: Attributes
    mark: Mark
    chunking: Chunking
    file_id: str = ""
    drops: tuple[Drop, ...] = ()
    gap: bool = False
    unfinished: bool = False

    @property
    def is_our_upload(self) -> bool:
        """Whether the mark says that the File is an upload of ours, not one that was declared or adopted."""
        return self.mark.origin is Origin.UPLOADED


@dataclass(frozen=True, slots=True)
class Update:
    """Attributes to write in place; `attributes` is the whole map to send beside the mark."""

    key: str
    file_id: str
    attributes: Attributes
    mark: Mark


@dataclass(frozen=True, slots=True)
class Wait:
    """An up-to-date copy that is still being ingested; `drops` are detached when it is completed."""

    key: str
    file_id: str
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchStep:
    """A live batch of ours, to cancel or to wait for."""

    batch_id: str

    @property
    def key(self) -> str:
        """What the change is addressed by."""
        return self.batch_id


@dataclass(frozen=True, slots=True)
class Wave:
    """The files of one batch, in key order."""

    puts: tuple[Put, ...]


@dataclass(frozen=True, slots=True)
class StoreSteps:
    """All steps of one store; from `setup` on in the order in which they are taken.

    `store_id` is empty until the store is created. `ignore` names attributes that others own: `Put` and `Update` carry
    them along, marks leave them out. When `setup` replaces the store, `store_id` is the old one.
    """

    key: str
    store_id: str
    in_flight: int
    ignore: tuple[str, ...] = ()
    settings: StoreSettings | None = None
    setup: StoreChange | None = None  # the store must exist before anything is put into it
    cancels: tuple[BatchStep, ...] = ()  # what a superseded batch still ingests would only have to be removed again
    waves: tuple[Wave, ...] = ()  # new copies; a wave's old copies go when its new ones were read as completed
    updates: tuple[Update, ...] = ()  # attributes in place; independent of the waves
    awaited: tuple[BatchStep, ...] = ()  # batches under way end before their files are looked at or removed
    waits: tuple[Wait, ...] = ()  # right copies still being ingested; their superseded copies go afterwards
    removes: tuple[Drop, ...] = ()  # each after its kept copy, if any, was read as completed
    teardown: StoreChange | None = None  # a store goes when nothing of it is wanted

    @property
    def puts(self) -> tuple[Put, ...]:
        """The files of all waves."""
        return tuple(put for wave in self.waves for put in wave.puts)

    @property
    def changes(self) -> int:
        """How many changes there are beside the store's own."""
        others = (self.cancels, self.updates, self.awaited, self.waits, self.removes)
        return len(self.puts) + sum(map(len, others))
