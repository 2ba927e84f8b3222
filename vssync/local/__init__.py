"""The embedded local service: OpenAI's Files and Vector Stores API over one SQLite file.

It imports nothing from the rest of vssync. What is named here is what the guide promises to applications.
"""

from vssync.local.app import open_service
from vssync.local.faults.rules import with_faults
from vssync.local.server import serving
from vssync.local.transport import LocalTransport

__all__ = ["LocalTransport", "open_service", "serving", "with_faults"]
