"""Builds a client from an endpoint: one connection pool, sized to the threads that use it."""

from __future__ import annotations

import httpx

from vssync import __version__
from vssync.address import is_loopback
from vssync.api.client import Client
from vssync.api.http import Plane, Sender
from vssync.api.rate_limit import Clock, RateLimiter, rates
from vssync.endpoints import Endpoint
from vssync.errors import UsageProblem

# Seconds an idle connection is kept. Common servers close theirs after five: a write that meets a closed one would
# count as lost.
_IDLE = 3.0


def connect(
    endpoint: Endpoint,
    *,
    auth: httpx.Auth | None,
    clock: Clock,
    workers: int,
    transport: httpx.BaseTransport | None = None,
    limits: str = "",
) -> Client:
    """A client for this endpoint, over the network where it gets no `transport`; it closes the one it gets.

    `limits` changes the provider's rate limits, such as `uploads=500,files=0`. Raises UsageProblem for limits, proxy
    settings or certificates that make no sense.
    """
    limiter = RateLimiter(clock, rates(endpoint.provider, limits))
    bases = {
        Plane.DATA: (endpoint.data_url, endpoint.data_headers),
        Plane.CONTROL: (endpoint.control_url, endpoint.control_headers),
    }
    # Proxies and certificates come from the process environment, as httpx reads it. It would send even what is for this
    # machine to a proxy.
    hosts = (httpx.URL(url).host for url in (endpoint.data_url, endpoint.control_url))
    unproxied = [f"[{host}]" if ":" in host else host for host in hosts if is_loopback(host)]
    # Equal limits: with fewer kept-alive than allowed connections httpcore closes ones that are in use.
    pool = httpx.Limits(max_connections=workers, max_keepalive_connections=workers, keepalive_expiry=_IDLE)
    try:
        http = httpx.Client(
            auth=auth,
            limits=pool,
            transport=transport,
            mounts={f"all://{host}": None for host in unproxied},  # None: no proxy
            follow_redirects=False,  # a redirect must not carry a credential to another host
            headers={"user-agent": f"vssync/{__version__}"},
        )
    except ImportError:
        raise UsageProblem("proxy settings: a SOCKS proxy needs another package; pip install 'httpx[socks]'") from None
    except OSError as error:  # which ssl's own errors are, too
        raise UsageProblem(
            f"SSL_CERT_FILE, SSL_CERT_DIR: cannot be used: {error.strerror or error}; name a file of PEM certificates"
        ) from None
    except (ValueError, httpx.InvalidURL):  # their messages quote the address, in which a password may stand
        raise UsageProblem(
            "proxy settings: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not the address of a proxy; write http://host:port"
        ) from None
    sender = Sender(http, bases, limiter, clock, endpoint.provider, workers=workers)
    return Client(sender, lists_batches=endpoint.capabilities.list_batches)
