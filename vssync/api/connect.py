"""Builds a client from an endpoint: one connection pool, sized to the threads that use it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.request import getproxies

import httpx

from vssync import __version__
from vssync.address import PORTS, is_loopback, read_no_proxy
from vssync.api.client import Client
from vssync.api.http import Access, Plane, Sender
from vssync.api.rate_limit import Clock, RateLimiter, rates
from vssync.endpoints import Endpoint
from vssync.errors import UsageProblem
from vssync.text import join_words

# Seconds an idle connection is kept. Common servers close theirs after five: a write that meets a closed one would
# count as lost.
_IDLE = 3.0


def connect(
    endpoint: Endpoint,
    *,
    auth: httpx.Auth | None,
    control_auth: httpx.Auth | None = None,
    clock: Clock,
    workers: int,
    transport: httpx.BaseTransport | None = None,
    limits: str = "",
) -> Client:
    """A client for this endpoint, over the network where it gets no `transport`; it closes the one it gets.

    `control_auth` is the credential for stores, where the endpoint has another kind for them. `limits` changes the
    provider's rate limits, such as `uploads=500,files=0`. Raises UsageProblem for limits, proxy settings or
    certificates that make no sense.
    """
    limiter = RateLimiter(clock, rates(endpoint.provider, limits))
    data_kind, control_kind = endpoint.auth_kinds
    control_auth = control_auth if endpoint.control_auth else auth
    planes = {
        Plane.DATA: Access(endpoint.data_url, endpoint.data_headers, auth, endpoint.hints_for(data_kind)),
        Plane.CONTROL: Access(
            endpoint.control_url, endpoint.control_headers, control_auth, endpoint.hints_for(control_kind)
        ),
    }
    http, warnings = open_http((endpoint.data_url, endpoint.control_url), workers=workers, transport=transport)
    sender = Sender(http, planes, limiter, clock, endpoint.provider, workers=workers, warnings=warnings)
    return Client(sender, lists_batches=endpoint.capabilities.list_batches)


def open_http(
    urls: Iterable[str], *, workers: int = 1, transport: httpx.BaseTransport | None = None
) -> tuple[httpx.Client, tuple[str, ...]]:
    """A pool of connections for these addresses that follows no redirect, and what to say of NO_PROXY.

    Raises UsageProblem for proxy settings or certificates that make no sense.
    """
    # Equal limits: with fewer kept-alive than allowed connections httpcore closes ones that are in use.
    pool = httpx.Limits(max_connections=workers, max_keepalive_connections=workers, keepalive_expiry=_IDLE)
    try:
        # Of the process environment. Reading them takes time, which a given transport does not need.
        certificates = True if transport else httpx.create_ssl_context()
        proxies, warnings = ({}, ()) if transport else _find_proxies(urls)
        transports = {
            proxy: httpx.HTTPTransport(verify=certificates, limits=pool, proxy=proxy) for proxy in {*proxies.values()}
        }
        http = httpx.Client(
            limits=pool,
            transport=transport,
            verify=certificates,
            mounts={address: transports[proxy] for address, proxy in proxies.items()},
            trust_env=False,  # for `_find_proxies` reads it: httpx fails at networks in NO_PROXY, or ignores them
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
    return http, warnings


def _find_proxies(addresses: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The proxy of each address that has one, and what to say of NO_PROXY.

    As the process environment has them, or the system where it has none, but never for what is for this machine.
    """
    settings = getproxies()
    proxies = {}
    unreadable: tuple[str, ...] = ()
    for url in map(httpx.URL, addresses):
        proxy = settings.get(url.scheme) or settings.get("all", "")
        port = url.port or PORTS[url.scheme]
        is_direct, unreadable = read_no_proxy(settings.get("no", ""), url.host, port)
        if proxy and not is_direct and not is_loopback(url.host):
            proxies[f"{url.scheme}://{url.netloc.decode()}"] = proxy if "://" in proxy else f"http://{proxy}"
    if not unreadable:
        return proxies, ()
    return proxies, (
        f"NO_PROXY: {join_words([f'`{entry}`' for entry in unreadable])} cannot be read and is left out; write hosts, "
        "domains, addresses or networks, such as `.corp`, `10.0.0.0/8` and `[::1]:8080`",
    )
