"""Builds a client from an endpoint: one connection pool, sized to the threads that use it."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from vssync import __version__
from vssync.api.client import Client
from vssync.api.limits import PER_MINUTE, Clock, Limits
from vssync.api.send import Plane, Sender
from vssync.endpoints import Endpoint


def connect(
    endpoint: Endpoint,
    *,
    auth: httpx.Auth | None,
    clock: Clock,
    workers: int,
    transport: httpx.BaseTransport | None = None,
    close: Callable[[], None] = lambda: None,
) -> Client:
    """A client for this endpoint. `close` gives back what lies behind `transport`."""
    # Equal limits: with fewer kept-alive than allowed connections httpcore closes ones that are in use.
    pool = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
    http = httpx.Client(
        auth=auth,
        limits=pool,
        transport=transport,
        follow_redirects=False,  # a redirect must not carry a credential to another host
        headers={"user-agent": f"vssync/{__version__}"},
    )

    def shut() -> None:
        http.close()
        close()

    bases = {
        Plane.DATA: (endpoint.data_url, endpoint.data_headers),
        Plane.CONTROL: (endpoint.control_url, endpoint.control_headers),
    }
    limits = Limits(clock, PER_MINUTE.get(endpoint.provider, {}))
    return Client(Sender(http, bases, limits, clock, lenient_absence=endpoint.provider == "compatible"), shut)
