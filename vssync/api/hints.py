"""The way out of what services refuse most: one sentence by provider, status and the service's own words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vssync.errors import Answer
from vssync.ownership import NEEDED

_DOCTOR = "`vssync doctor` shows whose it is"


@dataclass(frozen=True, slots=True)
class _Hint:
    """Fits an answer of these statuses whose code or message matches, to such a request; an empty provider is any."""

    provider: str
    statuses: tuple[int, ...]
    words: str
    way_out: str
    request: str = ""  # method and path


_NEVER = (405, 501)
_UNKNOWN = r"\bunknown (?:parameter|field)\b"


def _lacks(what: str, capability: str) -> str:
    return f"the service {what}: say `{capability}: false` under `service.capabilities`, and the plan knows it"


_OCI_PROJECT = (
    "`service.project` must be the OCID of a generative AI project of this very region; one made minutes ago is not "
    "known everywhere yet"
)
_HINTS = (
    _Hint("oci", (400, 404), r"\bproject\b", _OCI_PROJECT),
    _Hint("oci", (400,), r"compartment", f"OCI says so also of a missing or empty project: {_OCI_PROJECT}"),
    _Hint("oci", (401,), "", f"the credential was not accepted: wrong, expired, or made for another region; {_DOCTOR}"),
    _Hint(
        "oci",
        (404,),
        r"authori[sz]ed|authori[sz]ation",
        "OCI answers the same for what is not there and for what this identity may not see; `vssync doctor` helps to "
        "tell them apart",
    ),
    _Hint("oci", (403,), "", "this identity may not do that; `vssync doctor` prints the policy statements it needs"),
    _Hint("", (401,), "", f"the credential was not accepted; {_DOCTOR}"),
    _Hint("", (403,), "", "the credential is known, and may not do that; ask whoever gave it to you"),
    _Hint("", (407,), "", "the proxy wants a name and password; put them into HTTPS_PROXY"),
    _Hint("", _NEVER, "", _lacks("changes no attributes in place", "attribute_updates"), r"POST .*/files/[^/]+"),
    _Hint("", _NEVER, "", _lacks("changes no stores", "store_updates"), r"POST .*/vector_stores/[^/]+"),
    _Hint(
        "",
        _NEVER,
        "",
        _lacks("creates no stores", "store_creates") + "; make the store there, and declare it `external`",
        r"POST .*/vector_stores",
    ),
    _Hint("", (400, 422), rf"{_UNKNOWN}.*\battributes\b", f"{NEEDED}: vssync cannot be used here"),
    _Hint("", (400, 422), rf"{_UNKNOWN}.*\bchunking_strategy\b", "leave `chunking` out, or say `chunking: auto`"),
    _Hint("", (429,), r"quota|billing", "waiting does not help; look at the plan and billing of the account"),
)


def way_out(provider: str, answer: Answer) -> str:
    """What to do about a refused request; empty where nothing general can be said."""
    said = f"{answer.code} {answer.message}"
    fitting = (
        hint.way_out
        for hint in _HINTS
        if hint.provider in ("", provider)
        and answer.status in hint.statuses
        and re.search(hint.words, said, re.IGNORECASE)
        and re.fullmatch(hint.request or ".*", f"{answer.method} {answer.path}")
    )
    return next(fitting, "")
