"""The embedded local service: OpenAI's Files and Vector Stores API over one SQLite file.

For trying vssync without an account, for its tests, and for `vssync serve`. It imports nothing from the rest of
vssync, and only `transport` knows an HTTP client.
"""

from vssync.local.errors import LocalDataError
from vssync.local.options import DIALECTS, Dialect, Options
from vssync.local.service import Service, open_service
from vssync.local.transport import LocalTransport

__all__ = ["DIALECTS", "Dialect", "LocalDataError", "LocalTransport", "Options", "Service", "open_service"]
