"""What was seen of a live store and of local files, and what a manifest will say of each: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from vssync.model.state import AUTO, Attributes, Chunking, LiveStore, ServiceSpec

PATH = "${path}"  # a manifest's usual upload name
TEMPLATES = (PATH, "${name}")  # upload names that suit any file


class Confidence(IntEnum):
    """How sure it is that a local file is a live one; the larger, the surer."""

    UNMATCHED = 0
    SIZE = 1  # name and size agree; nobody could read the content
    TEXT = 2  # the text that the service read is this file's text
    BYTES = 3  # the same bytes


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A completed file of the store. `sha256` is known where its mark tells it or its bytes were read."""

    id: str
    filename: str = ""
    size: int = 0
    attributes: Attributes = field(default_factory=dict)  # without ours
    chunking: Chunking | None = None
    key: str = ""  # the key that a mark gives it
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class DumpedFile:
    """One file as the manifest will have it: a local one by `path`, or `file_id`, and what a person should know."""

    key: str
    path: str = ""
    file_id: str = ""
    filename: str = PATH  # a template
    attributes: Attributes = field(default_factory=dict)
    chunking: Chunking = AUTO
    sure: Confidence = Confidence.UNMATCHED
    remark: str = ""


@dataclass(frozen=True, slots=True)
class OmittedFile:
    """A live file that the manifest leaves alone, and why."""

    id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class DumpedStore:
    """A whole store, ready to be written down.

    `pinned` where its name alone would not find it; `untold` counts the files whose chunking nobody was told.
    """

    owner: str
    key: str
    store: LiveStore
    service: ServiceSpec
    rows: tuple[DumpedFile, ...] = ()
    omitted: tuple[OmittedFile, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    pinned: bool = False
    untold: int = 0
