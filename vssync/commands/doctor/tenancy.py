"""What only OCI's own management API tells: the project, expiry of API keys, connectors that fill a store of ours.

Through the `oci` package, which is there because the requests are signed with it. It reads only, and what it may not
read is a warning: vssync itself does not need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vssync.auth.signed import SigningCredential
from vssync.commands.doctor import policies
from vssync.commands.doctor.finding import Emit, Finding, failed, ok, warning
from vssync.commands.doctor.read_probes import own_stores
from vssync.commands.session import Session
from vssync.model.state import LiveStore

_STORES_PATH = "/20231130/openai/v1"
_TIMEOUT = (10, 60)  # seconds: connecting, reading
_SOON = 14 * 86400  # seconds before an API key expires


def run_tenancy_probes(work: Session, stores: tuple[LiveStore, ...], tell: Emit, now: float) -> None:
    """Tells what the management API says of the project and the compartment. `now` is seconds since the epoch."""
    host = work.endpoint.control_url.removesuffix(_STORES_PATH)
    if host == work.endpoint.control_url or not isinstance(work.credential, SigningCredential):
        tell(warning("tenancy", "not looked at: `control_url` is not an address of OCI's own API"))
        return
    client = _client(work.credential, host)
    _try(work, tell, "project state", lambda: [_project(work, client)])
    _try(work, tell, "API keys", lambda: _keys(work, client, now))
    _try(work, tell, "connectors", lambda: _connectors(work, client, stores))


def _client(credential: SigningCredential, host: str) -> Any:
    import oci
    from oci.auth.signers import SecurityTokenSigner

    class Lent(SecurityTokenSigner):  # type: ignore[misc]  # ships no types; it takes signers of few classes only
        """Signs with our credential: refreshed as we do it, and with one lock."""

        def __init__(self) -> None:
            """Holds no key of its own."""

        def __call__(self, request: Any, **_: Any) -> Any:
            credential.sign_in_place(request)
            return request

    return oci.generative_ai.GenerativeAiClient(
        {},
        signer=Lent(),
        service_endpoint=host,
        timeout=_TIMEOUT,
        retry_strategy=oci.retry.NoneRetryStrategy(),
        circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
    )


def _try(work: Session, tell: Emit, topic: str, ask: Callable[[], Iterable[Finding]]) -> None:
    """Tells what `ask` finds. The package raises whatever its parts raise, and its words may quote a request."""
    import oci

    try:
        for finding in ask():
            tell(finding)
    except oci.exceptions.ServiceError as error:
        statement = policies.statement(work.endpoint.auth, work.loaded.desired.service.compartment)
        missing = ("A missing permission answers 404. A policy must say:", statement) if error.status == 404 else ()
        code = f" {error.code}" if error.code else ""
        tell(warning(topic, f"cannot be read: {error.status}{code}; request id {error.request_id}", *missing))
    except Exception as error:
        tell(warning(topic, f"cannot be read: {type(error).__name__}"))


def _project(work: Session, client: Any) -> Finding:
    spec = work.loaded.desired.service
    found = client.get_generative_ai_project(spec.project).data
    said = f"{found.display_name}: {found.lifecycle_state}, in {work.endpoint.region or 'this region'}"
    if found.lifecycle_state != "ACTIVE":
        return failed("project state", said, "Wait until it is active, or name another.")
    if spec.compartment and found.compartment_id != spec.compartment:
        way_out = f"Set `compartment: {found.compartment_id}`, or name a project of the manifest's compartment."
        return warning("project state", f"{said}; it belongs to another compartment", way_out)
    return ok("project state", said)


def _keys(work: Session, client: Any, now: float) -> list[Finding]:
    """API keys of the compartment that expire soon: what uses them will stop."""
    compartment = work.loaded.desired.service.compartment
    keys = [key for entry in _all(client.list_api_keys, compartment) for key in entry.keys or ()]
    soon = [
        key for key in keys if key.state == "ACTIVE" and key.time_expiry and key.time_expiry.timestamp() < now + _SOON
    ]
    if not soon:
        return [ok("API keys", f"{len(keys):,} in the compartment, none about to expire")]
    return [
        warning("API keys", f"{key.key_name} expires on {key.time_expiry:%Y-%m-%d}", "Renew it in OCI's console.")
        for key in soon
    ]


def _connectors(work: Session, client: Any, stores: tuple[LiveStore, ...]) -> list[Finding]:
    """Connectors mirror a bucket into a store: what they add there is nobody's, and two would fill one store."""
    compartment = work.loaded.desired.service.compartment
    mine = {store.id: key for key, store in own_stores(work, stores).items()}
    fed = [
        warning(
            "connectors",
            f"{found.display_name} mirrors a bucket into {mine[found.vector_store_id]} ({found.vector_store_id})",
            "Delete the connector, or leave that store out of the manifest: its files are unmanaged for vssync.",
        )
        for found in _all(client.list_vector_store_connectors, compartment)
        if found.vector_store_id in mine and found.lifecycle_state not in ("DELETING", "DELETED")
    ]
    return fed or [ok("connectors", "none feeds a store of this manifest")]


def _all(listing: Callable[..., Any], compartment: str) -> list[Any]:
    from oci.pagination import list_call_get_all_results

    return list(list_call_get_all_results(listing, compartment).data)
