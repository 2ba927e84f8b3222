"""Faults on demand: a wrapper that makes the service misbehave as real ones do, by rule, and the same each time."""
