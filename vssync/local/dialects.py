"""How the service behaves: its limits, and the quirks of the provider it stands in for.

A `Dialect` is a row of switches, so that a difference between providers is one question at one place and a
new provider is one more row of `DIALECTS`. The defaults follow the OpenAI spec, plus listing of batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from vssync.local.errors import OptionError


class Errors(StrEnum):
    """The shape errors are written in."""

    OPENAI = "openai"  # message, type, param, code
    BARE = "bare"  # a message and nothing else
    OCI = "oci"  # one of five, by address and kind


class Echo(StrEnum):
    """How a store file tells how it was cut."""

    STATIC = "static"  # the sizes, also where `auto` was asked for
    AUTO = "auto"  # `auto` for files that came by batch, whatever was asked for
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Each field is one difference, named for what a client meets."""

    # Addresses and words
    split: bool = False  # stores and everything else at two addresses; project and compartment in headers
    unsettled: int = 0  # so many requests about what a new store holds are answered 404
    creating_seconds: int = 0  # so long a new store is in progress, and what it holds is answered 404
    propagating_seconds: int = 0  # so much longer what it holds is answered 404
    errors: Errors = Errors.OPENAI
    misses_with_400: bool = False  # unknown stores, store files and batches; otherwise 404
    checks_ids: bool = False  # a batch id of the wrong form is a 400 that says so
    store_ids: str = "vs_"
    file_ids: str = "file-"
    batch_ids: str = "vsfb_"
    # Limits and types
    lax: bool = False  # limits of attributes, chunking and batches are not enforced
    refuses: tuple[str, ...] = ()  # types not accepted that others accept
    accepts_any_type: bool = False  # every type is attached, and fails later if it is no text
    unreadable: tuple[str, ...] = ()  # types that fail though they are text
    # Listings
    lists_batches: bool = True  # GET on the batch collection; otherwise 405
    restarts_unknown_cursor: bool = False  # an unknown `after` means page 1; otherwise 400
    skips_same_second: bool = False  # pages of Files go on after the cursor's second, not after the cursor
    # Attaching
    has_batches: bool = True  # otherwise there is nothing at their address
    takes_files: bool = True  # a batch may carry `files`; otherwise 400
    ignores_files: bool = False  # a batch accepts `files` and attaches none of them
    most_files: int = 2000  # in a batch
    takes_attributes: bool = True  # while attaching; otherwise 400
    ignores_chunking: bool = False  # every file is cut as `auto`
    reattaches: bool = False  # attaching twice answers with what is there; otherwise 400
    attaches_at_once: bool = False  # a file attached alone is ingested before the answer
    phantom_files: bool = False  # an unknown File is attached, and has failed
    settings_in_metadata: bool = False  # the store keeps its own there; without them nothing can be attached
    # Batches under way
    cancels_finished: bool = True  # cancelling a finished batch answers with it; otherwise 400
    cancel_keeps_counts: bool = False  # counts of a cancelled batch stay as they were
    count_steps: int = 1  # counts of a batch move in steps of so many
    drops_batches: bool = False  # a restart cancels batches under way, and their files are gone
    # What comes back
    echoes: Echo = Echo.STATIC
    floats: bool = False  # integers among attributes
    null_attributes: bool = False  # where there are none; otherwise an empty object
    garbles_names: bool = False  # UTF-8 file names read as Latin-1
    plain_names: bool = False  # file names lose what is not a plain ASCII letter, digit or `.-_`
    forgets_errors: bool = False  # listings have no `last_error`
    content_pages: bool = True  # a store file's content as a page; otherwise the older object
    searches_in: bool = True  # filters `in` and `nin`; otherwise 400
    stale_filters: bool = False  # a search filters by the attributes a file was attached with
    # Removing
    keeps_attached: bool = False  # a deleted File stays in its stores
    shares_chunks: bool = False  # equal contents in a store share chunks: one detached, none is found


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "local": Dialect(),
        "openai": Dialect(lists_batches=False, checks_ids=True),
        "oci": Dialect(
            split=True,
            unsettled=2,
            errors=Errors.OCI,
            store_ids="vs_ord_",
            file_ids="file-kix-",
            batch_ids="vsfb_ord_",
            refuses=(".doc", ".docx", ".pptx"),
            echoes=Echo.NULL,
            garbles_names=True,
            content_pages=False,
            searches_in=False,
        ),
        "compatible": Dialect(
            errors=Errors.BARE,
            misses_with_400=True,
            batch_ids="batch_",
            lax=True,
            accepts_any_type=True,
            unreadable=(".json",),
            lists_batches=False,
            restarts_unknown_cursor=True,
            skips_same_second=True,
            ignores_files=True,
            reattaches=True,
            attaches_at_once=True,
            phantom_files=True,
            settings_in_metadata=True,
            cancels_finished=False,
            cancel_keeps_counts=True,
            count_steps=10,
            drops_batches=True,
            echoes=Echo.AUTO,
            floats=True,
            plain_names=True,
            forgets_errors=True,
            stale_filters=True,
            keeps_attached=True,
            shares_chunks=True,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What whoever opens the service decides; times in seconds."""

    dialect: Dialect = DIALECTS["local"]
    api_key: str = field(default="", repr=False)  # asked of every request, where there is one
    ingest_delay: float = 0.0  # between attaching a file and its ingestion
    files_per_look: int = 100  # ingestion done whenever somebody looks: at most so many files,
    bytes_per_look: int = 8 << 20  # and no further file after so many bytes
    max_file_bytes: int = 512 << 20


def dialect(text: str) -> Dialect:
    """A dialect by name, with switches turned: `compatible,ignores-files=off,count-steps=1`.

    Raises OptionError for a name, switch or value there is not.
    """
    name, *switches = text.split(",")
    if name not in DIALECTS:
        raise OptionError(f"{name}: is no provider; take one of {', '.join(DIALECTS)}")
    return replace(DIALECTS[name], **dict(map(switch, switches)))


def switch(text: str) -> tuple[str, Any]:
    name, _, said = text.partition("=")
    defaults = {one.name.replace("_", "-"): (one.name, one.default) for one in fields(Dialect)}
    if name not in defaults:
        raise OptionError(f"{name}: is no switch of a provider; take one of {', '.join(defaults)}")
    attribute, default = defaults[name]
    return attribute, value(name, said, default)


def value(name: str, said: str, default: Any) -> Any:
    if isinstance(default, bool):
        return chosen(name, said, {"on": True, "off": False})
    if isinstance(default, int):
        least = min(default, 1)  # what counts from 1 makes no sense at 0
        if not (said.isascii() and said.isdecimal() and len(said) < 9 and int(said) >= least):
            raise OptionError(f"{name}={said}: must be a whole number from {least}")
        return int(said)
    if isinstance(default, StrEnum):
        return chosen(name, said, {one.value: one for one in type(default)})
    return tuple(filter(None, said.split("+"))) if isinstance(default, tuple) else said


def chosen(name: str, said: str, choices: Mapping[str, Any]) -> Any:
    if said not in choices:
        raise OptionError(f"{name}={said}: must be one of {', '.join(choices)}")
    return choices[said]
