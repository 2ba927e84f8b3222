"""What only OCI's own management API knows: the project, expiry of API keys, connectors that fill a managed store.

Through the `oci` package, which is installed because it signs the requests. These probes only read. What they may not
read is a warning, since vssync itself does not need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vssync.auth.signed import SigningCredential
from vssync.commands.doctor.finding import Emit, Finding, failed, ok, policy_statement, warning
from vssync.commands.doctor.read_probes import managed_stores
from vssync.commands.session import Session
from vssync.model.state import LiveStore

_STORES_PATH = "/20231130/openai/v1"
_TIMEOUT = (10, 60)  # seconds: connecting, reading
_EXPIRY_WARNING = 14 * 86400  # seconds before an API key expires


def run_tenancy_probes(session: Session, stores: tuple[LiveStore, ...], emit: Emit, now: float) -> None:
    """Emits what the management API says about the project and the compartment. `now` is seconds since the epoch."""
    host = session.endpoint.control_url.removesuffix(_STORES_PATH)
    if host == session.endpoint.control_url or not isinstance(session.control_credential, SigningCredential):
        emit(warning("tenancy", "skipped: `control_url` is not an address of OCI's own API"))
        return
    client = _client(session.control_credential, host)
    _emit_all(session, emit, "project state", lambda: [_project(session, client)])
    _emit_all(session, emit, "API keys", lambda: _keys(session, client, now))
    _emit_all(session, emit, "connectors", lambda: _connectors(session, client, stores))


def _client(credential: SigningCredential, host: str) -> Any:
    import oci
    from oci.auth.signers import SecurityTokenSigner

    class LentCredential(SecurityTokenSigner):  # type: ignore[misc]  # has no types; takes signers of few classes only
        """Signs with vssync's own credential, which is refreshed under one lock."""

        def __init__(self) -> None:
            """Holds no key of its own."""

        def __call__(self, request: Any, **_: Any) -> Any:
            credential.sign_in_place(request)
            return request

    return oci.generative_ai.GenerativeAiClient(
        {},
        signer=LentCredential(),
        service_endpoint=host,
        timeout=_TIMEOUT,
        retry_strategy=oci.retry.NoneRetryStrategy(),
        circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
    )


def _emit_all(session: Session, emit: Emit, topic: str, ask: Callable[[], Iterable[Finding]]) -> None:
    """Emits what `ask` finds. The package raises errors of many kinds, and their words may quote a request."""
    import oci

    try:
        for finding in ask():
            emit(finding)
    except oci.exceptions.ServiceError as error:
        statement = policy_statement(session.endpoint.auth_kinds[1], session.loaded.desired.service.compartment)
        missing = ("A missing permission answers 404. A policy must say:", statement) if error.status == 404 else ()
        code = f" {error.code}" if error.code else ""
        emit(warning(topic, f"cannot be read: {error.status}{code}; request id {error.request_id}", *missing))
    except Exception as error:
        emit(warning(topic, f"cannot be read: {type(error).__name__}"))


def _project(session: Session, client: Any) -> Finding:
    spec = session.loaded.desired.service
    project = client.get_generative_ai_project(spec.project).data
    text = f"{project.display_name}: {project.lifecycle_state}, in {session.endpoint.region or 'this region'}"
    if project.lifecycle_state != "ACTIVE":
        return failed("project state", text, "Wait until it is active, or name another project.")
    if spec.compartment and project.compartment_id != spec.compartment:
        way_out = f"Set `compartment: {project.compartment_id}`, or name a project of the manifest's compartment."
        return warning("project state", f"{text}; it belongs to another compartment", way_out)
    return ok("project state", text)


def _keys(session: Session, client: Any, now: float) -> list[Finding]:
    """API keys of the compartment that expire soon: what uses them will stop."""
    compartment = session.loaded.desired.service.compartment
    keys = [key for entry in _list_all(client.list_api_keys, compartment) for key in entry.keys or ()]
    active = [key for key in keys if key.state == "ACTIVE" and key.time_expiry]
    expiring = [key for key in active if key.time_expiry.timestamp() < now + _EXPIRY_WARNING]
    if not expiring:
        return [ok("API keys", f"{len(keys):,} in the compartment, none about to expire")]
    return [
        warning("API keys", f"{key.key_name} expires on {key.time_expiry:%Y-%m-%d}", "Renew it in OCI's console.")
        for key in expiring
    ]


def _connectors(session: Session, client: Any, stores: tuple[LiveStore, ...]) -> list[Finding]:
    """Connectors mirror a bucket into a store: their files are unmanaged, beside those of the manifest."""
    compartment = session.loaded.desired.service.compartment
    keys = {store.id: key for key, store in managed_stores(session, stores).items()}
    findings = [
        warning(
            "connectors",
            f"{connector.display_name} mirrors a bucket into {keys[store_id]} ({store_id})",
            "Delete the connector, or leave that store out of the manifest: to vssync its files are unmanaged.",
        )
        for connector in _list_all(client.list_vector_store_connectors, compartment)
        if (store_id := connector.vector_store_id) in keys and connector.lifecycle_state not in ("DELETING", "DELETED")
    ]
    return findings or [ok("connectors", "none feeds a store of this manifest")]


def _list_all(listing: Callable[..., Any], compartment: str) -> list[Any]:
    from oci.pagination import list_call_get_all_results

    return list(list_call_get_all_results(listing, compartment).data)
