"""One result of an examination, how it is shown, and the policy statements that it may ask for. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from vssync.providers import AuthKind
from vssync.text import escape_control

_ITSELF = re.compile(r"; `vssync doctor`[^;]*")  # how errors point at what is just running
_KIND_WIDTH, _TOPIC_WIDTH = 9, 14
POLICY_DELAY = "A new policy takes some minutes to apply."
# The family covers stores, files, batches and projects. The names of its single members differ between OCI's pages and
# its policy engine, so they are not used.
POLICY_SUBJECTS = {
    AuthKind.SIGNING_KEY: ("group GROUP", ""),
    AuthKind.SECURITY_TOKEN: ("group GROUP", ""),
    AuthKind.INSTANCE_PRINCIPAL: ("dynamic-group DYNAMIC_GROUP", ""),
    AuthKind.RESOURCE_PRINCIPAL: ("dynamic-group DYNAMIC_GROUP", ""),
    AuthKind.OKE_WORKLOAD_IDENTITY: (
        "any-user",
        "request.principal.type='workload', request.principal.namespace='NAMESPACE', "
        "request.principal.service_account='SERVICE_ACCOUNT', request.principal.cluster_id='CLUSTER_OCID'",
    ),
    AuthKind.BEARER: ("any-user", "request.principal.type='generativeaiapikey'"),
}


class FindingKind(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"  # vssync works, with a limitation
    FAILED = "failed"  # vssync does not work like this


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one topic. Each line of `way_out` is one thing to do, or one to copy."""

    kind: FindingKind
    topic: str
    text: str
    way_out: tuple[str, ...] = ()


Emit = Callable[[Finding], None]


def _finding(kind: FindingKind, topic: str, *lines: str) -> Finding:
    """A finding whose lines, where they quote errors, do not advise to run what is running."""
    text, *way_out = (_ITSELF.sub("", line) for line in lines)
    return Finding(kind, topic, text, tuple(way_out))


ok, warning, failed = (partial(_finding, kind) for kind in FindingKind)


def finding_dict(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.topic,
        "status": finding.kind,
        "text": escape_control(finding.text),
        "way_out": [escape_control(line) for line in finding.way_out],
    }


def finding_text(finding: Finding, width: int) -> str:
    """A finding in two columns and its text; policy statements, which are to be copied, are never broken."""
    head = f"  {finding.kind:<{_KIND_WIDTH}}{finding.topic:<{_TOPIC_WIDTH}}"
    room = max(40, width - len(head))
    lines: list[str] = []
    for line in map(escape_control, (finding.text, *finding.way_out)):
        wrapped = textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [line] if line.startswith("Allow ") else wrapped
    return head + f"\n{' ' * len(head)}".join(lines)


def policy_statement(kind: AuthKind, compartment: str, verb: str = "manage") -> str:
    """The statement that a policy of the compartment, or of one above it, needs for such an identity.

    `manage` is for applies; `read` is meant for plans.
    """
    subject, condition = POLICY_SUBJECTS[kind]
    place = f"compartment id {compartment}" if compartment else "compartment COMPARTMENT"
    where = f" where ALL {{{condition}}}" if condition else ""
    return f"Allow {subject} to {verb} generative-ai-family in {place}{where}"
