"""Lowers a plan to steps: small values that say which requests to make, in which order, and nothing of why.

Whoever carries them out decides nothing: every id, attribute and order is in them.
"""

from vssync.steps.lowering import lower
from vssync.steps.types import AwaitBatch, CancelBatch, Drop, Put, StoreSteps, Update, Wait, Wave

__all__ = ["AwaitBatch", "CancelBatch", "Drop", "Put", "StoreSteps", "Update", "Wait", "Wave", "lower"]
