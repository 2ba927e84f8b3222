"""The first manifest of a folder, as a text with comments that a newcomer can read and change.

It decides from what was seen in the folder; `start` looks and writes. What it writes validates.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import wrap

from wcmatch import glob

from vssync.manifest.filenames import extension
from vssync.manifest.globs import compiled, flaw
from vssync.manifest.listing import Found, Listing
from vssync.manifest.providers import EXTENSIONS, LARGEST
from vssync.manifest.schema import LABEL
from vssync.render.plain import scalar

STORE = "docs"  # the key of the one store
IGNORED = ".vssync/"
NOISE = frozenset(("node_modules", "bower_components", "site-packages", "venv", "__pycache__"))  # others' documents
_WIDTH = 110  # of comments
MOST_FOLDERS = 6  # beyond that one pattern over everything reads better
_OFFICE = (".pdf", ".doc", ".docx", ".pptx")
DOCUMENTS: Mapping[str, frozenset[str]] = {  # what people mean by documents, of what each provider can read
    "local": frozenset((".md", ".txt", ".html", ".tex")),
    "oci": frozenset((".md", ".txt", ".pdf")),
    "openai": frozenset((".md", ".txt", ".html", ".tex", *_OFFICE)),
    "compatible": frozenset((".md", ".txt", ".html", ".tex", *_OFFICE)),
}
ANY_DOCUMENT = frozenset().union(*DOCUMENTS.values())


@dataclass(frozen=True, slots=True)
class Field:
    """A field of `service` that a provider needs: what to ask, and what stands there until somebody knows better."""

    name: str
    question: str
    example: str


FIELDS: Mapping[str, tuple[Field, ...]] = {
    "local": (),
    "oci": (
        Field("region", "the OCI region", "us-chicago-1"),
        Field("project", "the OCID of the Generative AI project", "ocid1.generativeaiproject.oc1.us-chicago-1.CHANGE"),
        Field("compartment", "the OCID of the project's compartment", "ocid1.compartment.oc1..CHANGE"),
    ),
    "openai": (),
    "compatible": (Field("data_url", "the service's base URL", "https://vectors.example.com/v1"),),
}
ABOUT: Mapping[str, str] = {
    "local": "The service inside vssync: no account, no network. It keeps what it stores in .vssync/local/ beside "
    "this file. `oci`, `openai` and `compatible` are services elsewhere.",
    "oci": "OCI Generative AI. Requests are signed with a profile of ~/.oci/config (pip install 'vssync[oci]'), or "
    "carry the key in VSSYNC_API_KEY. Secrets never stand in a manifest.",
    "openai": "OpenAI. The key is taken from VSSYNC_API_KEY or OPENAI_API_KEY; secrets never stand in a manifest.",
    "compatible": "A service that speaks OpenAI's vector store API. A key is taken from VSSYNC_API_KEY; secrets "
    "never stand in a manifest. Whoever runs vssync allows the host with --allow-host.",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """Documents in a folder: by folder directly below it ("" for its own files) their extensions as written.

    `noise` are the names of dependency folders met in each.
    """

    extensions: Mapping[str, Collection[str]] = field(default_factory=dict)
    noise: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the store's `files`."""

    path: str
    exclude: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What the manifest says. `service` holds the provider's fields; `skip` what its patterns meet and leave out."""

    name: str
    provider: str
    service: Mapping[str, str]
    entries: tuple[Entry, ...]
    skip: tuple[str, ...] = ()


def suggested_name(folder: str, suffix: str) -> str:
    """A folder's name as an owner's name, with a suffix that nobody else has."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[: 63 - len(suffix)]
    return f"{words or STORE}-{suffix}"


NAMED = "letters, digits, `.`, `-` and `_` only, at most 64 of them"


def is_name(text: str) -> bool:
    """Whether a text can be an owner's name."""
    return LABEL.fullmatch(text) is not None


def proposed(seen: Seen, provider: str) -> tuple[Entry, ...]:
    """Entries for the documents of a folder that a provider can read; one for those to come where there are none."""
    readable = {folder: _readable(suffixes, provider) for folder, suffixes in seen.extensions.items()}
    folders = sorted(folder for folder, suffixes in readable.items() if suffixes)
    if not folders:
        return (Entry("docs/**/*.md", optional=True),)
    if len(folders) > MOST_FOLDERS:
        everywhere = sorted({suffix for suffixes in readable.values() for suffix in suffixes})
        noise = sorted({name for names in seen.noise.values() for name in names})
        return (Entry(f"**/{_names(everywhere)}", tuple(f"**/{name}/**" for name in noise)),)
    return tuple(_entry(folder, readable[folder], seen.noise.get(folder, ())) for folder in folders)


def _readable(suffixes: Collection[str], provider: str) -> list[str]:
    return sorted(suffix for suffix in suffixes if suffix.lower() in DOCUMENTS[provider])


def _entry(folder: str, suffixes: list[str], noise: Collection[str]) -> Entry:
    names = _names(suffixes)
    if not folder:
        return Entry(names)
    path = f"{glob.escape(folder, unix=True)}/**/{names}"
    path = f"./{path}" if flaw(path) else path  # a folder's name may look like a drive's: `c:`
    return Entry(path, tuple(f"**/{name}/**" for name in sorted(noise)))


def _names(suffixes: list[str]) -> str:
    words = [suffix.removeprefix(".") for suffix in suffixes]
    return f"*.{{{','.join(words)}}}" if len(words) > 1 else f"*.{words[0]}"


def met(
    entries: tuple[Entry, ...], listing: Listing, provider: str, own: Found
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries, optional where they meet nothing, and what the store must skip for them to be valid.

    `own` is the manifest, which is not there yet and which a pattern may choose, too.
    """
    kinds: set[str] = set()
    found = []
    for entry in entries:
        pattern = compiled(entry.path)
        files = [file for _, file in listing.matching(pattern) if not _excluded(entry, file.name)]
        files += [own] if pattern.matches(own.name) else []
        kinds.update(_kind(file.name, file.size, provider) for file in files)
        found.append(Entry(entry.path, entry.exclude, optional=not files))
    return tuple(found), tuple(sorted(kinds - {""}))


def _excluded(entry: Entry, name: str) -> bool:
    return any(compiled(pattern, everything=True).matches(name) for pattern in entry.exclude)


def _kind(name: str, size: int, provider: str) -> str:
    """Why a file cannot be uploaded, in the words of `skip`; empty when it can."""
    taken = EXTENSIONS[provider]
    if taken is not None and extension(name) not in taken:
        return "unsupported"
    return "empty" if size == 0 else "too_large" if size > LARGEST else ""


def ignoring(text: str) -> str | None:
    """A .gitignore's text with a line for what vssync keeps beside the manifest; None where it has one already."""
    if any(line.strip().strip("/") == IGNORED.strip("/") for line in text.splitlines()):
        return None
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{IGNORED}\n"


def manifest_text(draft: Draft) -> str:
    """The manifest."""
    return _TEXT.format(
        store=STORE,
        name=scalar(draft.name),
        about="\n# ".join(wrap(ABOUT[draft.provider], _WIDTH)),
        provider=draft.provider,
        service="".join(_service(draft)),
        skip=_SKIP.format(", ".join(draft.skip)) if draft.skip else "",
        files="\n".join(line for entry in draft.entries for line in _files(entry)),
    )


def _service(draft: Draft) -> Iterator[str]:
    for known in FIELDS[draft.provider]:
        value = draft.service.get(known.name) or known.example
        change = "; write yours" if value == known.example else ""
        yield f"  {known.name}: {scalar(value)}  # {known.question}{change}\n"


def _files(entry: Entry) -> Iterator[str]:
    yield f"      - path: {scalar(entry.path)}"
    if entry.exclude:
        yield f"        exclude: [{', '.join(scalar(pattern) for pattern in entry.exclude)}]"
    if entry.optional:
        yield "        optional: true  # it may match nothing"


_TEXT = """\
# The vector store of this folder. `vssync plan` shows what would change, `vssync apply` does it.

version: 1

# The owner of everything this manifest creates, written on each live object. Keep it: under another name, what exists
# would belong to somebody else. No two manifests of one service may be called alike.
name: {name}

# {about}
service:
  provider: {provider}
{service}
stores:
  # The store's key, used in addresses: {store}, {store}/guide/intro.md. Keep it, too.
  {store}:
    # The name at the service; it can be changed at any time.
    name: {name}

    # How texts are cut for searching. `auto` leaves it to the service; otherwise both sizes, in tokens:
    # chunking: {{max_chunk_size_tokens: 800, chunk_overlap_tokens: 400}}
    chunking: auto

    # Attributes of every file, which searches can filter by. ${{...}} takes them from the file's path:
    # attributes: {{product: basic, folder: "${{dir}}"}}
{skip}
    # Which files the store holds. One that leaves this list is deleted from the store by the next apply; with
    # `prune: false` it stays.
    files:
{files}
"""
_SKIP = """
    # What the patterns below meet and leave out, since the service does not take it.
    skip: [{}]
"""
