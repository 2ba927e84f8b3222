"""Evidence: a document of what a service did, fit to be pasted in public, built only from what `redact` lets through.

It holds types, words of the protocol, and numbers of seconds: no key, OCID, name, host, address or content. Two runs
against the same service give the same document, but for the date, the seconds, and what the service itself varies.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from vssync.address import is_loopback
from vssync.api.http import Call
from vssync.commands.doctor.facts import Fact, capabilities_of, dialect_of
from vssync.commands.doctor.finding import Finding
from vssync.commands.doctor.redact import (
    UNLISTED,
    error_style,
    header_value,
    id_prefix,
    plain,
    sentence,
    sentences,
    shape,
)
from vssync.document import document
from vssync.endpoints import Endpoint
from vssync.files import cannot_write, write_file
from vssync.providers import PROVIDERS

_STEPS = frozenset({"vector_stores", "files", "file_batches", "search", "content", "cancel"})
_PATHS = ("/v1", "/openai/v1", "/20231130/openai/v1", "/v1/openai/v1")  # base URLs that say whose API it is
_MAX_FIELDS = 300  # of one answer


@dataclass(slots=True)
class _Exchange:
    """All answers to one kind of request with one status."""

    fields: dict[str, set[str]] = field(default_factory=dict)
    sentences: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Recorder:
    """Sees each answer of a run, and remembers what may be shown of it."""

    _error_styles: set[str] = field(default_factory=set)
    _exchanges: dict[tuple[str, str, int], _Exchange] = field(default_factory=dict)
    _headers: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def __call__(self, call: Call, response: httpx.Response) -> None:
        request = f"{call.method} {_route(call)}"
        exchange = self._exchanges.setdefault((request, call.plane.value, response.status_code), _Exchange())
        for name, value in response.headers.items():
            self._headers.setdefault((call.plane.value, plain(name)), set()).add(header_value(name, value))
        body: object = None
        if call.raw and response.is_success:
            exchange.fields["(bytes)"] = set()
            return
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            exchange.fields["(not JSON)"] = set()
            exchange.sentences.add(sentence(response.text[:300]))
            return
        for path, kind in shape(body):
            if path in exchange.fields or len(exchange.fields) < _MAX_FIELDS:
                exchange.fields.setdefault(path, set()).add(kind)
        if response.is_error:
            self._error_styles |= {error_style(body)}
        exchange.sentences |= {*sentences(body)}

    def error_style(self) -> dict[str, Fact]:
        """The shape of errors as a fact, where all have one of the known shapes."""
        styles = self._error_styles
        return {"errors": min(styles)} if len(styles) == 1 and "" not in styles else {}

    def refused_stores(self) -> int:
        """The status of a refusal of the stores themselves, where Files can be listed; 0 where there is none."""
        refused = [status for request, plane, status in self._exchanges if request == "GET /vector_stores?limit"]
        may_list_files = any(key[0] == "GET /files?limit" and key[2] == 200 for key in self._exchanges)
        return next((status for status in refused if status in (401, 403, 404) and may_list_files), 0)

    def headers(self) -> dict[str, dict[str, str]]:
        """The names of the headers at each address, with the values that may be shown."""
        found: dict[str, dict[str, str]] = {}
        for (plane, name), values in sorted(self._headers.items()):
            found.setdefault(plane, {})[name] = ", ".join(sorted(values))
        return found

    def answers(self) -> list[dict[str, object]]:
        """Each kind of request by its status, with the fields of its answers and what their sentences say."""
        return [
            {
                "request": request,
                "address": plane,
                "status": status,
                "fields": {path: " | ".join(sorted(kinds)) for path, kinds in sorted(exchange.fields.items())},
                "sentences": sorted(exchange.sentences),
            }
            for (request, plane, status), exchange in sorted(self._exchanges.items())
        ]


def _route(call: Call) -> str:
    """A request's path, the ids in it replaced, and the names of its parameters."""
    steps = (step if step in _STEPS else "{id}" for step in call.path.split("/")[1:])
    parameters = "&".join(map(plain, sorted(call.params)))
    return "".join(f"/{step}" for step in steps) + (f"?{parameters}" if parameters else "")


def evidence_text(
    endpoint: Endpoint,
    recorder: Recorder,
    findings: Sequence[Finding],
    facts: Mapping[str, Fact],
    seconds: Mapping[str, float],
    *,
    complete: bool,
) -> str:
    """The document. `facts` and `seconds` are those of the write probes; complete: the run came to its end."""
    provider = endpoint.provider
    regions = PROVIDERS[provider.name].regions  # without those that only the caller's machine knows
    return document(
        "evidence",
        date=datetime.now(UTC).date().isoformat(),
        complete=complete,
        client={
            "python": platform.python_version(),
            "system": plain(platform.system().lower()),
            "packages": {name: _version(name) for name in ("httpx", "oci")},
        },
        service={
            "provider": provider.name,
            "region": endpoint.region if regions and re.fullmatch(regions.name, endpoint.region) else "",
            "auth": dict(zip(("data", "control"), endpoint.auth_kinds, strict=True)),
            "addresses": {
                "data": _address(endpoint, endpoint.data_url),
                "control": _address(endpoint, endpoint.control_url),
            },
        },
        checks=_checks(findings),
        capabilities=capabilities_of(facts),
        dialect=dialect_of(facts, provider.name) or None,
        facts={name: _leaf(value) for name, value in sorted(facts.items())},
        seconds=dict(sorted(seconds.items())),
        headers=recorder.headers(),
        answers=recorder.answers(),
    )


def _checks(findings: Sequence[Finding]) -> dict[str, str]:
    """How each check ended, in the order of their names; what they say can hold anything."""
    ends: dict[str, set[str]] = {}
    for finding in findings:
        ends.setdefault(finding.topic, set()).add(finding.kind.value)
    return {topic: ", ".join(sorted(kinds)) for topic, kinds in sorted(ends.items())}


def save_evidence(path: Path, text: str) -> None:
    """Writes the document. Raises VssyncError where it cannot."""
    try:
        write_file(path, text + "\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def _version(package: str) -> str | None:
    with suppress(ImportError):
        return version(package)
    return None


def _address(endpoint: Endpoint, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    host = "another"
    if endpoint.embedded or is_loopback(parts.hostname or ""):
        host = "this process" if endpoint.embedded else "this machine"
    elif any(re.fullmatch(pattern, parts.hostname or "") for pattern in endpoint.provider.hosts):
        host = "the provider's"
    return {"host": host, "path": parts.path if parts.path in _PATHS else UNLISTED, "scheme": parts.scheme}


def _leaf(value: Fact) -> object:
    if isinstance(value, Mapping):
        return {name: _leaf(entry) for name, entry in value.items()}
    if isinstance(value, str) and value and not id_prefix(f"{value}0"):
        return plain(value)
    return value
