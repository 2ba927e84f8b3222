"""How the service behaves: its limits, and the differences of the provider it stands in for.

A new provider is one more row of `DIALECTS`. The defaults follow the OpenAI spec, plus listing of batches. Each switch
says what it does and how it is known; the guide's table is made from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

from vssync.local.errors import OptionError
from vssync.local.rules import MOST_IN_BATCH

T = TypeVar("T")


class ErrorStyle(StrEnum):
    """The shape errors are written in."""

    OPENAI = "openai"  # message, type, param, code
    BARE = "bare"  # a message and nothing else
    OCI = "oci"  # one of five, by address and kind
    DETAIL = "detail"  # one of FastAPI's four, by kind


class ChunkingEcho(StrEnum):
    """How a store file says how it was cut."""

    STATIC = "static"  # the sizes, also where `auto` was asked for
    AUTO = "auto"  # `auto` for files that came by batch, whatever was asked for
    NULL = "null"


class Undeletable(StrEnum):
    """What may not be deleted, where a missing permission looks like an absence."""

    NOTHING = "nothing"
    STORE_FILES = "store-files"
    FILES = "files"
    STORES = "stores"
    ALL = "all"


class Evidence(StrEnum):
    """How it is known that a service behaves so; an assumption is a guess."""

    RUN = "run"  # tried with this server or client
    SPECIFIED = "specified"  # in OpenAI's published description of the API
    DOCUMENTED = "documented"  # on a page of the service; not tried
    REPORTED = "reported"  # others published what they saw of a service
    ASSUMED = "assumed"  # plausible, and safe if wrong


@dataclass(frozen=True, slots=True)
class Known:
    evidence: Evidence
    source: str


RUN_OGX = Known(Evidence.RUN, "ogx 1.5")
RUN_LLAMA_STACK = Known(Evidence.RUN, "llama-stack 0.7")
RUN_BOTH = Known(Evidence.RUN, "ogx 1.5, llama-stack 0.7")
RECORDED = Known(Evidence.REPORTED, "records of ogx 1.5")
LIVE_OCI = Known(Evidence.REPORTED, "live OCI")
SAMPLES = Known(Evidence.REPORTED, "sample programs for OCI")
UNSYNCED = Known(Evidence.ASSUMED, "a replica that lags behind the service's own database")


@dataclass(frozen=True, slots=True)
class Switch:
    """One difference between services, named for what a client meets."""

    default: Any
    summary: str
    known: Known

    @property
    def value_form(self) -> str:
        """How its value is written; empty for `on` and `off`."""
        if isinstance(self.default, StrEnum):
            return "CHOICE"
        return {int: "N", str: "TEXT", tuple: "TEXT+TEXT"}.get(type(self.default), "")


def reported(source: str) -> Known:
    return Known(Evidence.REPORTED, source)


def switch(default: T, summary: str, known: Known) -> T:
    described: T = field(default=default, metadata={"switch": Switch(default, summary, known)})
    return described


@dataclass(frozen=True, slots=True)
class Dialect:
    """Every switch, set as one service has it."""

    # Addresses and words
    split: bool = switch(
        False, "has OCI's two addresses and its required headers", Known(Evidence.DOCUMENTED, "OCI's pages")
    )
    unsettled: int = switch(0, "answers 404 to the first N requests about what a new store holds", LIVE_OCI)
    creating_seconds: int = switch(
        0, "keeps a new store `in_progress` for N seconds, and answers 404 about what it holds", LIVE_OCI
    )
    propagating_seconds: int = switch(0, "answers 404 about what a new store holds for N more seconds", LIVE_OCI)
    errors: ErrorStyle = switch(  # noqa: RUF009 (it makes a field)
        ErrorStyle.OPENAI,
        "writes errors as `openai`, as `oci` (one of five shapes), as `detail` (one of four of FastAPI's), or `bare`:"
        " only a message",
        reported("live OCI; records of ogx 1.5 and llama-stack 0.4"),
    )
    misses_with_400: bool = switch(
        False, "answers 400 instead of 404 for an unknown store, store file or batch", RECORDED
    )
    refuses_deleting: Undeletable = switch(  # noqa: RUF009 (it makes a field)
        Undeletable.NOTHING,
        "answers 404 to deletions of `store-files`, `files`, `stores` or `all`, though a GET shows them",
        Known(Evidence.DOCUMENTED, "OCI's pages: a missing permission answers 404"),
    )
    takes_api_key: bool = switch(
        False, "accepts the key in the header `api-key`, too", Known(Evidence.DOCUMENTED, "Azure's page on the v1 API")
    )
    openai_path: bool = switch(
        False, "answers at `/openai/v1`, too", Known(Evidence.DOCUMENTED, "Azure's page on the v1 API")
    )
    stores_iam_only: int = switch(
        0, "answers N (401, 403 or 404) to requests about stores themselves that are not signed", LIVE_OCI
    )
    refuses_content: tuple[str, ...] = switch(
        (), "answers 400 to downloads of Files of these purposes", reported("OpenAI's community forum, topic 1357013")
    )
    checks_ids: bool = switch(False, "answers 400 to a batch id of the wrong form", reported("openai-node issue 1700"))
    resets_after_errors: bool = switch(
        False, "resets a connection that answered an error when the next request comes by it", RUN_BOTH
    )
    store_ids: str = switch("vs_", "begins the ids of stores with this text", LIVE_OCI)
    file_ids: str = switch("file-", "begins the ids of files with this text", LIVE_OCI)
    batch_ids: str = switch("vsfb_", "begins the ids of batches with this text", RECORDED)
    long_ids: bool = switch(
        False, "ends ids with 48 letters and digits or a UUID, as OCI does; otherwise with 32 digits", SAMPLES
    )
    # Limits and types
    lax: bool = switch(False, "enforces no limits of attributes, chunking and batches", RECORDED)
    accepts: tuple[str, ...] = switch((), "attaches these types of files only; otherwise OpenAI's", LIVE_OCI)
    refuses: tuple[str, ...] = switch((), "refuses these types of files", LIVE_OCI)
    accepts_any_type: bool = switch(False, "attaches every type; files that are not text fail later", RECORDED)
    unreadable: tuple[str, ...] = switch((), "fails these types, though they are text", RECORDED)
    # Listings
    lists_batches: bool = switch(
        True,
        "lists batches; otherwise 405",
        Known(Evidence.SPECIFIED, "OpenAI's description has no such operation; that OCI lists is assumed"),
    )
    restarts_unknown_cursor: bool = switch(False, "answers page 1 to an unknown `after`; otherwise 400", RUN_BOTH)
    skips_same_second: bool = switch(
        False, "skips uploads of the same second as the cursor's on the next page", RUN_BOTH
    )
    ignores_order: bool = switch(
        False, "lists the newest first, whatever `order` says", reported("stdapi.ai issue 162")
    )
    late_files: int = switch(0, "lists a file among those of its store N seconds late", UNSYNCED)
    late_stores: int = switch(0, "lists a new store N seconds late", reported("openai-python issue 2209"))
    late_uploads: int = switch(0, "lists a File N seconds late", UNSYNCED)
    short_files: int = switch(
        0, "leaves out the newest file, and every other before it, of the N listings after a write in a store", UNSYNCED
    )
    short_stores: int = switch(
        0,
        "leaves out the newest store, and every other before it, of the N listings after a store is written",
        UNSYNCED,
    )
    late_counts: int = switch(0, "returns the `file_counts` of N seconds ago", reported("leapfrogai issue 743"))
    ghost_counts: int = switch(
        0, "counts a file for N seconds after it left the store", reported("openai-dotnet issue 540")
    )
    ghost_files: int = switch(
        0,
        "lists a file for N seconds after it left the store; otherwise it is gone",
        reported("agency-swarm's sources"),
    )
    ghost_stores: int = switch(0, "lists a deleted store for N seconds; otherwise it is gone", UNSYNCED)
    cut_after: int = switch(
        0, "lists at most N at a time, and says that there is no more", reported("litellm pull request 37855")
    )
    empty_after: int = switch(
        0, "lists the first N, and then only empty pages that say there is more", reported("litellm pull request 36326")
    )
    sends_has_more: bool = switch(True, "says in a page whether there is more", reported("openai-node issue 1008"))
    connector_files: int = switch(
        0,
        "lists N files of a connector in a new store; a GET of such a File is 404",
        reported("public threads about OCI"),
    )
    breaks_listings: bool = switch(
        False,
        "lists the files of a store no more once one has left it; 400",
        Known(Evidence.RUN, "llama-stack 0.7 on SQLite, after deletions in parallel"),
    )
    # Attaching
    has_batches: bool = switch(
        True, "has batches; otherwise there is nothing at their address", reported("litellm issue 16490")
    )
    unreadable_batches: int = switch(
        0,
        "answers N (404, 500 or another) to requests that read, list or cancel batches",
        Known(Evidence.DOCUMENTED, "OCI's pages: reading batches takes a permission of its own"),
    )
    queued_seconds: int = switch(
        0,
        "calls a new batch `queued` for N seconds, and ingests none of its files before",
        Known(Evidence.ASSUMED, "a status of OpenAI's other batches"),
    )
    takes_files: bool = switch(
        True, "accepts `files` of a batch; otherwise 400", Known(Evidence.RUN, "llama-stack 0.7")
    )
    ignores_files: bool = switch(False, "accepts `files` of a batch, and attaches none of them", RUN_OGX)
    most_files: int = switch(
        MOST_IN_BATCH, "accepts up to N files in a batch", Known(Evidence.SPECIFIED, "OpenAI's older descriptions: 500")
    )
    takes_attributes: bool = switch(
        True, "accepts attributes while attaching; otherwise 400", reported("openai-python issue 1484")
    )
    ignores_chunking: bool = switch(False, "chunks every file as `auto`", reported("ogx issue 4021"))
    reattaches: bool = switch(
        False, "returns the existing object when a file is attached again; otherwise 400", RUN_OGX
    )
    attaches_at_once: bool = switch(False, "ingests a file that is attached alone before it answers", RECORDED)
    phantom_files: bool = switch(False, "attaches a File that does not exist, as failed", RECORDED)
    outage_seconds: int = switch(
        0,
        "fails every ingestion with `server_error` while a store is younger than N seconds",
        reported("openai-python issue 1591"),
    )
    settings_in_metadata: bool = switch(
        False, "keeps settings of its own in a store's metadata, and attaches nothing without them", RUN_OGX
    )
    # Unfinished batches
    cancels_finished: bool = switch(True, "answers with a finished batch that is cancelled; otherwise 400", RECORDED)
    cancel_keeps_counts: bool = switch(False, "leaves the counts of a cancelled batch as they were", RECORDED)
    count_steps: int = switch(1, "changes the counts of a batch in steps of N", RECORDED)
    drops_batches: bool = switch(
        False, "cancels unfinished batches when the service starts, and drops their files", reported("ogx issue 5565")
    )
    # What comes back
    echoes: ChunkingEcho = switch(  # noqa: RUF009 (it makes a field)
        ChunkingEcho.STATIC,
        "returns the chunking of a file as `static`, as `auto` if it came by batch, or as `null`",
        LIVE_OCI,
    )
    floats: bool = switch(False, "returns integers among attributes as floats", RUN_OGX)
    null_attributes: bool = switch(
        False, "returns null where there are no attributes", reported("responses that users of openai-node published")
    )
    lists_attributes: bool = switch(
        True,
        "returns attributes in listings of files; otherwise none, and a GET of one file returns them",
        Known(Evidence.ASSUMED, "plausible where attributes are kept apart"),
    )
    garbles_names: bool = switch(False, "reads UTF-8 names as Latin-1", LIVE_OCI)
    plain_names: bool = switch(False, "keeps only ASCII letters, digits and `.-_` of names", RECORDED)
    forgets_errors: bool = switch(
        False, "tells `last_error` in the answer to the attach, and nowhere else", RUN_LLAMA_STACK
    )
    content_pages: bool = switch(
        True, "returns a store file's content as a page; otherwise as an older object", LIVE_OCI
    )
    # Search
    searches_in: bool = switch(True, "knows the filters `in` and `nin`; otherwise 400", LIVE_OCI)
    stale_filters: bool = switch(
        False, "searches by the attributes a file was attached with, and returns those in hits", RUN_BOTH
    )
    own_hit_ids: bool = switch(
        False, "returns a UUID as the `file_id` of a hit, and the File's id as its attribute `file_id`", RUN_OGX
    )
    shares_chunks: bool = switch(
        False,
        "keeps one copy of equal chunks of equal texts: found as the file attached last, and gone with any of them",
        RUN_BOTH,
    )
    # Removing
    late_deletions: int = switch(
        0, "detaches a file N seconds after it says so, and shows it until then", reported("agency-swarm's sources")
    )
    denies_deletions: bool = switch(
        False,
        "answers `deleted: false`, and deletes and detaches nothing",
        Known(Evidence.ASSUMED, "OpenAI's description has the field, and not when it is false"),
    )
    keeps_attached: bool = switch(False, "keeps a deleted File in its stores", RECORDED)


SWITCHES: Mapping[str, Switch] = {each.name.replace("_", "-"): each.metadata["switch"] for each in fields(Dialect)}

DIALECTS: Mapping[str, Dialect] = {
    "local": Dialect(),
    "openai": Dialect(lists_batches=False, checks_ids=True, refuses_content=("assistants", "user_data")),
    "oci": Dialect(
        split=True,
        creating_seconds=45,
        propagating_seconds=20,
        errors=ErrorStyle.OCI,
        store_ids="vs_ord_",
        file_ids="file-kix-",
        batch_ids="vsfb_ord_",
        long_ids=True,
        accepts=(".md", ".pdf", ".txt"),
        lists_batches=False,
        echoes=ChunkingEcho.NULL,
        garbles_names=True,
        content_pages=False,
        searches_in=False,
    ),
    "azure": Dialect(lists_batches=False, takes_api_key=True, openai_path=True),
    "compatible": Dialect(
        errors=ErrorStyle.BARE,
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
        echoes=ChunkingEcho.AUTO,
        floats=True,
        plain_names=True,
        forgets_errors=True,
        stale_filters=True,
        own_hit_ids=True,
        resets_after_errors=True,
        keeps_attached=True,
        shares_chunks=True,
    ),
}


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What whoever opens the service decides; times in seconds."""

    dialect: Dialect = DIALECTS["local"]
    api_key: str = field(default="", repr=False)  # required in every request, where there is one
    ingest_delay: float = 0.0  # between attaching a file and its ingestion
    files_per_query: int = 100  # each query ingests at most this many files,
    bytes_per_query: int = 8 << 20  # and no further file after this many bytes
    max_file_bytes: int = 512 << 20


def parse_dialect(text: str) -> Dialect:
    """A dialect by name, with switches set: `compatible,ignores-files=off,count-steps=1`.

    Raises OptionError for an unknown name, switch or value.
    """
    provider, *settings = text.split(",")
    if provider not in DIALECTS:
        raise OptionError(f"{provider}: unknown provider; use one of {', '.join(DIALECTS)}")
    values: dict[str, Any] = {}
    for name, _, value in (setting.partition("=") for setting in settings):
        if name not in SWITCHES:
            raise OptionError(f"{name}: unknown switch; use one of {', '.join(SWITCHES)}")
        values[name.replace("-", "_")] = parse_value(name, value, SWITCHES[name].default)
    return replace(DIALECTS[provider], **values)


def parse_value(name: str, value: str, default: Any) -> Any:
    """A value of the same type as the switch's default."""
    if isinstance(default, bool):
        return parse_choice(name, value, {"on": True, "off": False})
    if isinstance(default, int):
        least = min(default, 1)  # what counts from 1 makes no sense at 0
        if not (value.isascii() and value.isdecimal() and len(value) < 9 and int(value) >= least):
            raise OptionError(f"{name}={value}: must be a whole number from {least}")
        return int(value)
    if isinstance(default, StrEnum):
        return parse_choice(name, value, {member.value: member for member in type(default)})
    return tuple(filter(None, value.split("+"))) if isinstance(default, tuple) else value


def parse_choice(name: str, value: str, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise OptionError(f"{name}={value}: must be one of {', '.join(choices)}")
    return choices[value]
