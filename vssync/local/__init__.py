"""The embedded local service: OpenAI's Files and Vector Stores API over one SQLite file.

For trying vssync without an account, for its tests, and for `vssync serve`. It imports nothing from the rest of
vssync, only `transport` knows an HTTP client, and only `server` a server.
"""

from vssync.local.errors import LocalDataError, OptionError
from vssync.local.faults import Rule, World, parse, with_faults
from vssync.local.options import DIALECTS, Dialect, Options, dialect
from vssync.local.service import Service, open_service
from vssync.local.transport import LocalTransport

__all__ = [
    "DIALECTS",
    "Dialect",
    "LocalDataError",
    "LocalTransport",
    "OptionError",
    "Options",
    "Rule",
    "Service",
    "World",
    "dialect",
    "open_service",
    "parse",
    "with_faults",
]
