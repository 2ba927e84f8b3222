"""The IAM statements that let an identity use vector stores, ready to copy. Pure.

The family covers stores, files, batches and projects. The names of its single members differ between OCI's pages and
its policy engine, so they are not used.
"""

from __future__ import annotations

from vssync.providers import AuthKind

_WHO = {
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
KINDS = tuple(_WHO)
DELAY = "A new policy takes some minutes to apply."


def statement(kind: AuthKind, compartment: str) -> str:
    """What to put into a policy of the compartment or of one above it."""
    who, where = _WHO[kind]
    place = f"compartment id {compartment}" if compartment else "compartment COMPARTMENT"
    condition = f" where ALL {{{where}}}" if where else ""
    return f"Allow {who} to manage generative-ai-family in {place}{condition}"
