"""Questions that a store should answer, and the filters of their searches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

FilterValue = str | int | float | bool  # as attributes have them
COMPARISONS, COMPOUNDS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"), ("and", "or")  # OpenAI spec
DEFAULT_TOP = 5


@dataclass(frozen=True, slots=True)
class AttributeFilter:
    """One condition on an attribute (OpenAI spec, `ComparisonFilter`); `in` and `nin` have several values."""

    type: str
    key: str
    values: tuple[FilterValue, ...]

    def may_match(self, attributes: Mapping[str, FilterValue], unknown: Collection[str] = ()) -> bool:
        """Whether a search may find a file with these attributes; False only where it certainly does not.

        Services disagree on whether "1" is 1 and on what a missing attribute is for `ne` and `nin`, and others write
        the `unknown` attributes: nothing is certain there.
        """
        if self.key in unknown:
            return True
        if self.key not in attributes:
            return self.type in ("ne", "nin")
        value = attributes[self.key]
        match self.type:
            case "eq" | "in":
                return any(_may_equal(value, each) for each in self.values)
            case "ne" | "nin":
                return not any(value == each and type(value) is type(each) for each in self.values)
        wanted = self.values[0]
        if isinstance(value, int | float) and isinstance(wanted, int | float):
            compared = {"gt": value > wanted, "gte": value >= wanted, "lt": value < wanted, "lte": value <= wanted}
            return compared[self.type]
        return True


@dataclass(frozen=True, slots=True)
class CompoundFilter:
    """Conditions of which all (`and`) or any (`or`) must hold (OpenAI spec)."""

    type: str
    filters: tuple[SearchFilter, ...]

    def may_match(self, attributes: Mapping[str, FilterValue], unknown: Collection[str] = ()) -> bool:
        """As for one condition."""
        among = all if self.type == "and" else any
        return among(each.may_match(attributes, unknown) for each in self.filters)


SearchFilter = AttributeFilter | CompoundFilter


def all_of(filters: tuple[SearchFilter, ...]) -> SearchFilter:
    """One filter that holds where all of these do."""
    return filters[0] if len(filters) == 1 else CompoundFilter("and", filters)


def _may_equal(left: FilterValue, right: FilterValue) -> bool:
    return left == right or str(left).casefold() == str(right).casefold()


@dataclass(frozen=True, slots=True)
class Question:
    """What to search for, and which documents must be, or must never be, among the first `top` results.

    `expect` and `never` hold keys or patterns over keys; for each of `expect` there must be a result.
    """

    ask: str
    top: int = DEFAULT_TOP
    expect: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    filter: SearchFilter | None = None


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The questions of a store, and how many percent of them must pass."""

    questions: tuple[Question, ...] = ()
    needed: float = 100.0
    file: str = field(default="", compare=False)  # where they are written, as shown to people

    def is_enough(self, passed: int) -> bool:
        return passed * 100 >= self.needed * len(self.questions) - 1e-9
