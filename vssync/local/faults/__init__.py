"""Faults on demand: a wrapper that makes the service misbehave as real ones do, by rule, and the same each time."""

from vssync.local.faults.kind import Kind, World
from vssync.local.faults.rules import KINDS, Rule, parse
from vssync.local.faults.wrapper import with_faults

__all__ = ["KINDS", "Kind", "Rule", "World", "parse", "with_faults"]
