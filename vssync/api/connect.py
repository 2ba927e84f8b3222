"""Builds a client from an endpoint, with one connection pool, sized to its threads; finds every store with it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import getproxies

import httpx

from vssync import __version__
from vssync.address import PORTS, is_loopback, read_no_proxy
from vssync.api.client import Client
from vssync.api.http import Access, Plane, Sender
from vssync.api.rate_limit import Clock, RateLimiter, rates
from vssync.endpoints import Endpoint
from vssync.errors import NotFound, UsageProblem
from vssync.files import describe_path
from vssync.model.state import LiveStore
from vssync.text import conceal_user, join_words

# Seconds an idle connection is kept. Common servers close theirs after five: a write that meets a closed one would
# count as lost.
_IDLE = 3.0


def connect(
    endpoint: Endpoint,
    *,
    auth: tuple[httpx.Auth | None, httpx.Auth | None] | None,
    clock: Clock,
    workers: int,
    first_workers: int = 0,
    transport: httpx.BaseTransport | None = None,
    limits: str = "",
) -> Client:
    """A client for this endpoint, over the network where it gets no `transport`; it closes the one it gets.

    `auth` are the credentials for files and for stores. `limits` changes the provider's rate limits, such as
    `uploads=500,files=0`. At most `workers` requests go side by side; with `first_workers`, so many at first, then more
    or fewer, as the service bears. Raises UsageProblem for limits, proxy settings or certificates that make no sense.
    """
    limiter = RateLimiter(clock, rates(endpoint.provider, limits))
    urls = endpoint.data_url, endpoint.control_url
    http, proxies, warnings = open_http(urls, workers=workers, transport=transport)
    places = zip(
        (Plane.DATA, Plane.CONTROL),
        urls,
        (endpoint.data_headers, endpoint.control_headers),
        auth or (None, None),
        endpoint.auth_kinds,
        strict=True,
    )
    planes = {
        plane: Access(url, headers, credential, endpoint.hints_for(kind), proxies.get(url, ""))
        for plane, url, headers, credential, kind in places
    }
    sender = Sender(
        http, planes, limiter, endpoint.provider, workers=workers, warnings=warnings, first_workers=first_workers
    )
    return Client(sender, lists_batches=endpoint.capabilities.list_batches)


def open_http(
    urls: Iterable[str], *, workers: int = 1, transport: httpx.BaseTransport | None = None
) -> tuple[httpx.Client, Mapping[str, str], tuple[str, ...]]:
    """A pool of connections for these addresses that follows no redirect.

    With it come the addresses' proxies, in words, and what to say of NO_PROXY. Raises UsageProblem for proxy settings
    or certificates that make no sense.
    """
    # Equal limits: with fewer kept-alive than allowed connections httpcore closes ones that are in use.
    pool = httpx.Limits(max_connections=workers, max_keepalive_connections=workers, keepalive_expiry=_IDLE)
    try:
        # Of the process environment. Reading them takes time, which a given transport does not need.
        kind = describe_path(Path(os.environ.get("SSL_CERT_FILE", "")))
        if not transport and kind in ("a FIFO", "a device"):  # which OpenSSL would wait for, or read for ever
            raise OSError(errno.EINVAL, f"it is {kind}")
        certificates = True if transport else httpx.create_ssl_context()
        proxies, warnings = ({}, ()) if transport else _find_proxies(urls)
        transports = {
            proxy.url: httpx.HTTPTransport(verify=certificates, limits=pool, proxy=proxy.url)
            for proxy in proxies.values()
        }
        http = httpx.Client(
            limits=pool,
            transport=transport,
            verify=certificates,
            mounts={address: transports[proxy.url] for address, proxy in proxies.items()},
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
    return http, {address: str(proxy) for address, proxy in proxies.items()}, warnings


@dataclass(frozen=True, slots=True)
class _Proxy:
    """A proxy, and the variable that names it, or that the system's settings do."""

    url: httpx.URL
    source: str

    def __str__(self) -> str:
        """Without the name and password that may stand in its URL."""
        return f"the proxy {self.url.scheme}://{self.url.netloc.decode()} (from {self.source})"


def _find_proxies(addresses: Iterable[str]) -> tuple[dict[str, _Proxy], tuple[str, ...]]:
    """The proxy of each address that has one, and what to say of NO_PROXY.

    As the process environment has them, or the system where it has none, but never for what is for this machine.
    """
    settings = getproxies()
    proxies = {}
    unreadable: tuple[str, ...] = ()
    for address in addresses:
        url = httpx.URL(address)
        name = url.scheme if settings.get(url.scheme) else "all"
        proxy = settings.get(name, "")
        port = url.port or PORTS[url.scheme]
        is_direct, unreadable = read_no_proxy(settings.get("no", ""), url.host, port)
        if proxy and not is_direct and not is_loopback(url.host):
            names = (f"{name}_proxy", f"{name}_proxy".upper())  # in this order, as `getproxies` has it
            source = next((name for name in names if os.environ.get(name)), "the system's settings")
            proxies[address] = _Proxy(httpx.URL(proxy if "://" in proxy else f"http://{proxy}"), source)
    if not unreadable:
        return proxies, ()
    entries = join_words([f"`{conceal_user(entry)}`" for entry in unreadable])
    return proxies, (
        f"NO_PROXY: {entries} cannot be read and is left out; write hosts, "
        "domains, addresses or networks, such as `.corp`, `10.0.0.0/8` and `[::1]:8080`",
    )


def with_unlisted(client: Client, listed: Iterable[LiveStore], known_ids: Iterable[str]) -> tuple[LiveStore, ...]:
    """Every store: a list of them has no count, so those which this machine knows and it lacks are asked for."""
    stores = {store.id: store for store in listed}
    for store_id in () if client.stores_denied else sorted({*known_ids} - stores.keys()):
        with suppress(NotFound):
            stores[store_id] = replace(client.get_store(store_id), id=store_id)
    return tuple(stores.values())
