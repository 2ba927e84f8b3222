"""The service as typed calls: endpoints, paging, retries, rate limits, error shapes. The only layer that sends."""

from vssync.api.client import Client, Entry, Polled
from vssync.api.connect import connect
from vssync.api.limits import Clock, Interrupted, SystemClock

__all__ = ["Client", "Clock", "Entry", "Interrupted", "Polled", "SystemClock", "connect"]
