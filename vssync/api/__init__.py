"""The service as typed calls: endpoints, paging, retries, rate limits, error shapes. The only layer that sends."""

from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.limits import Clock, Interrupted, SystemClock
from vssync.api.send import Plane
from vssync.api.values import Entry, Glance, Polled

__all__ = ["Client", "Clock", "Entry", "Glance", "Interrupted", "Plane", "Polled", "SystemClock", "connect"]
