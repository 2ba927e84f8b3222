"""What of a service's answers may be shown to strangers: only what is on a list, so that nothing has to be taken out.

A text is shown if every word of it is a technical term of the list below; an id by its beginning; anything else by its
type. Who writes a name, a key or a document into an answer finds nothing of it here. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from vssync.api.parse import UUID

UNLISTED = "(unlisted)"
_MAX_DEPTH, _MAX_WORDS, _MAX_LENGTH = 8, 40, 60
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_SEPARATORS = re.compile(r"[A-Za-z0-9 _./;=,-]*")
_PREFIXES = re.compile(r"((?:vs|vsfb|file|batch|assistant|call|req)[-_](?:[a-z]{3}[-_])?)[0-9A-Za-z-]+")
# Fields whose text is a word of the protocol, an id, or a sentence.
_WORD_FIELDS = frozenset({"anchor", "code", "object", "param", "purpose", "status", "type"})
_ID_FIELDS = frozenset({"batch_id", "file_id", "first_id", "id", "last_id", "vector_store_id"})
_SHOWN_BOOLEANS = frozenset({"deleted", "has_more"})
_SENTENCE_FIELDS = frozenset({"detail", "error", "message", "msg", "title"})
_SHOWN_HEADERS = frozenset({"cache-control", "connection", "content-encoding", "content-type", "transfer-encoding"})
_NUMBER_HEADERS = frozenset({"retry-after", "retry-after-ms", "openai-poll-after-ms"})

_LIST = """
a accent accept accepted accepts access account active activity after again alive all allow allowed already also an
anchor and another any api apim application are argument array assistants async at attach attached attribute attributes
auth authentication authorization authorized auto back bad bare base batch batches be bearer because been before begin
begins being below between body bool boolean both bucket by bytes cache calculation can cancel cancelled cancelling
cannot change changed character characters charset check checksum chunk chunked chunking chunks class cleared client
clone close closed cloudflare code collection column compartment complete completed component compression conflict
connect connection connector constraint contact contain contains content control copied copy correct cors could count
counts create created creating credential credentials credits csv cursor custom darwin data database date day days
deadline default delete deleted deleting denied deny desc description detach detached detail details did different
dimension dimensions directory disabled disconnect document documents does domain done down duplicate duration during
edit either embedding embeddings empty enabled encoding end ended ends entity entries entry envoy error errors etag
evals event exactly exceed exceeded exceeds exist existing exists expect expected expire expired expires expiry expose
extension extensions extra fail failed failure false fetch few field fields file filename files filter filters fine
first float for forbidden form format found fraction frame from full gateway generative get give given global go gone
group has have header headers hidden host hour html http id identifier identity ids if ignored illegal image in
incomplete incorrect index indexed indexing infinite ingest ingested ingesting ingestion inner input inside instance
insufficient int integer internal invalid is istio it item items its json keep key keys kind kinds known large last
later latest length less level limit limited limits line link linux list listed listing loc local location lock locked
long longer lost made make malformed managed many mark max maximum may md media message messages meta metadata method
methods min minimum minute miss missing mode model models modified modify more most moved ms msg multipart must n name
named names need needed needs new next no nobody none nor nosniff not nothing null num number numbers object objects oci
octet of off offset ok old older on one only opc open openai operation option options or order organisation organization
origin other others otherwise out outside over overlap own page pages param parameter parameters parse parsed part parts
patch path pdf pending permission permissions permitted phrase pipeline plain plan please policy poll pool position
possible post powered previous private processed processing progress project prompt property protected provide provided
provider public purpose put py python query queue queued quota range rank ranker ranking rate ratelimit raw read
readable reading ready reason received referrer refused region reject rejected remaining remove removed repeat repeated
replace replaced request requested requests require required requires reset resource resources response restricted
result results retrieve retriever retry rewrite role root rows run running same sameorigin scheduled schema scope score
search searched security see send sent served server service services session set settings short should sign signature
signing since size sizes skipped small so some source space start started state static statistics status step still stop
storage store stored stores strategy stream strict string strings structure submitted succeeded success such supported
system tag tags temporarily tenancy text than that the their them then there these they this threshold throttled through
time timed timeout timestamp title to token tokens too total transfer transport tried true try txt type typed types
unable unauthorized unavailable undefined unexpected unique unknown unprocessable unreadable unsupported until up update
updated upload uploaded uploading upstream uri url usage use used user using utf v valid validation value values vary
vector version via vision vs vsfb vssync wait waiting was were when where which while will windows with within without
word words work works wrong x xml yes yet you your zip 0 1 100 2 400 401 403 404 405 409 422 429 500 501 502 503 504 8
"""
WORDS = frozenset(_LIST.split())


def plain(text: str) -> str:
    """A text all of whose words are on the list; otherwise that it is not."""
    pieces = _PIECES.findall(text)
    is_text = pieces and len(text) <= _MAX_LENGTH and _SEPARATORS.fullmatch(text)
    has_words = all(len(piece) > 1 for piece in pieces[1:-1])  # single letters and digits could spell anything
    return text if is_text and has_words and all(piece.lower() in WORDS for piece in pieces) else UNLISTED


def sentence(text: str) -> str:
    """The words of a sentence that are on the list, and a star for all between them."""
    words: list[str] = []
    for token in re.findall(r"[^\s\"'`(){}\[\],:;]+", text)[:_MAX_WORDS]:
        word = token.strip(".!?").lower()
        word = word if word in WORDS else "*"
        if word != "*" or words[-1:] != ["*"]:
            words.append(word)
    return " ".join(words)


def id_prefix(text: str) -> str:
    """What an id begins with, if that is one of the usual beginnings; a region's key may follow. Otherwise nothing."""
    match = _PREFIXES.fullmatch(text)
    return match[1] if match else ""


def id_form(text: str) -> str:
    if UUID.fullmatch(text):
        return "UUID"
    return f"{id_prefix(text)}..." if id_prefix(text) else UNLISTED


def header_value(name: str, value: str) -> str:
    """A header's value, where the header is one that says how to read an answer or when to ask again."""
    if name in _NUMBER_HEADERS and re.fullmatch(r"[0-9]{1,6}", value):
        return value
    return plain(value.lower()) if name in _SHOWN_HEADERS else "(hidden)"


def shape(value: object, path: str = "", name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Each field of a JSON value by its path, and what may be shown of it: its type, or a word of the protocol."""
    if depth > _MAX_DEPTH:
        yield path, "(deep)"
    elif isinstance(value, Mapping):
        if not value:
            yield path, "empty object"
        for key, entry in value.items():
            field = plain(str(key))
            yield from shape(entry, f"{path}.{field}" if path else field, str(key), depth + 1)
    elif isinstance(value, list):
        if not value:
            yield path, "empty list"
        for entry in value:
            yield from shape(entry, f"{path}[]", name, depth + 1)
    else:
        yield path, _scalar(value, name)
        if isinstance(value, str) and name in _SENTENCE_FIELDS and (inner := _embedded(value)) is not None:
            yield from shape(inner, f"{path}(JSON)", "", depth + 1)


def sentences(value: object, name: str = "", depth: int = 0) -> Iterator[str]:
    """What the sentences of a JSON value say, as far as it may be shown."""
    if isinstance(value, Mapping) and depth <= _MAX_DEPTH:
        for key, entry in value.items():
            yield from sentences(entry, str(key), depth + 1)
    elif isinstance(value, list) and depth <= _MAX_DEPTH:
        for entry in value:
            yield from sentences(entry, name, depth + 1)
    elif isinstance(value, str) and name in _SENTENCE_FIELDS:
        yield sentence(value)


def _embedded(text: str) -> object:
    """The JSON object within a sentence; None where there is none."""
    try:
        return json.loads("{" + text.partition("{")[2].rpartition("}")[0] + "}") or None
    except (ValueError, RecursionError):
        return None


def _scalar(value: object, name: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower() if name in _SHOWN_BOOLEANS else "boolean"
    if not isinstance(value, str):
        return "integer" if isinstance(value, int) else "number"
    if name in _ID_FIELDS and value:
        return id_form(value)
    return plain(value) if name in _WORD_FIELDS and value else "string" if value else "empty string"


_ERROR_STYLES = {
    frozenset({"message", "type", "param", "code"}): "openai",
    frozenset({"message"}): "bare",
    frozenset({"message", "type", "code"}): "oci",
}


def error_style(body: object) -> str:
    """Which of the known shapes an error has, by the names of `vssync serve`; empty where it has none of them."""
    if not isinstance(body, Mapping):
        return ""
    inner = body.get("error")
    if "detail" in body or (isinstance(inner, Mapping) and "detail" in inner):
        return "detail"
    if isinstance(inner, Mapping):
        return _ERROR_STYLES.get(frozenset(inner), "")
    return "oci" if {"code", "message"} <= body.keys() else ""
