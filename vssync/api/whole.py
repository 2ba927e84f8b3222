"""Whether a listing of a store's files has all of them: it is compared with the service's own count.

A count larger than the listing has three causes: the listing is late or cut short, others write meanwhile, or the count
is wrong for good (OpenAI counts files that were deleted while they were attached). So it is read again for a while, and
from the other end, until all is there or readings agree. A late listing agrees with itself, too: shortly after somebody
used the store, only the last two readings count.
"""

from __future__ import annotations

from collections.abc import Callable

from vssync.api.pagination import ListingPass, Order
from vssync.model.state import LiveFile, StoreListing, Verdict

_WAITS = (1.0, 5.0, 15.0)  # seconds before each further reading
_LARGE = 10_000  # files; a larger store is read again once
_MAX_LOOKUPS = 1_000  # files that the last reading lacks, asked for one by one
_MAX_GHOSTS = 10  # where fewer than two ids are listed, which cannot be compared with another end
SETTLING_SECONDS = 60  # after which a listing shows what was done
ReadFiles = Callable[[Order, int], ListingPass[LiveFile]]


def read_whole(
    read: ReadFiles,
    read_count: Callable[[], int],
    get_file: Callable[[str], LiveFile | None],
    sleep: Callable[[float], None],
    count_before: int,
    *,
    is_settled: bool,
) -> StoreListing:
    """Reads a store's files. Its count was read before; `read_count` reads it again, and `get_file` a single file.

    `is_settled`: nobody has used the store for so long that its listing cannot be late any more.
    A store whose first reading has as many files as are counted takes no further request.
    """
    first = read(Order.ANY, count_before)
    if len(first.rows) >= count_before:
        return StoreListing(first.rows, count_before, Verdict.WHOLE)
    union = _Union(read, read_count, get_file, first, count_before)
    for seconds in _WAITS[:1] if union.newest_count > _LARGE else _WAITS:
        if union.is_whole() or (union.agrees and is_settled):
            break
        sleep(seconds)
        union.read_again(Order.OLDEST_FIRST)
    if union.is_whole():
        return union.listing(Verdict.WHOLE)
    one_end, agreed = union.reading, union.agrees
    union.read_again(Order.NEWEST_FIRST)
    if union.is_whole():
        return union.listing(Verdict.WHOLE)
    if len(union.files) < 2:
        is_evidence = union.total - len(union.files) <= _MAX_GHOSTS
    else:  # a service that ignores `order` shows the same end again
        is_evidence = [file.id for file in one_end.rows[:1]] != [file.id for file in union.reading.rows[:1]]
    return union.listing(Verdict.GHOSTS if agreed and union.agrees and is_evidence else Verdict.SHORT)


class _Union:
    """What several readings of one store have brought together.

    `total` is the smaller of the counts read before and after the last reading, as others may write meanwhile.
    """

    def __init__(
        self,
        read: ReadFiles,
        read_count: Callable[[], int],
        get_file: Callable[[str], LiveFile | None],
        first: ListingPass[LiveFile],
        count_before: int,
    ) -> None:
        self._read, self._read_count, self._get_file = read, read_count, get_file
        self.reading = first
        self.files = {file.id: file for file in first.rows}
        self.newest_count = read_count()
        self.total = min(count_before, self.newest_count)
        self.agrees = False  # whether the last two readings brought the same ids and count, and no other id is there

    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return len(self.files) >= self.total

    def read_again(self, order: Order) -> None:
        """Adds another reading. A file that it lacks is asked for: it may be gone by now."""
        last, before = self.reading, self.newest_count
        self.reading = self._read(order, before)
        listed = {file.id: file for file in self.reading.rows}
        lacking = [file_id for file_id in self.files if file_id not in listed]
        answered = {file_id: file for file_id in lacking[:_MAX_LOOKUPS] if (file := self._get_file(file_id))}
        self.files = listed | answered
        if len(self.files) < before:
            self.newest_count = self._read_count()
        self.total = min(before, self.newest_count)
        is_same = listed.keys() == {file.id for file in last.rows} and before == self.newest_count
        self.agrees = is_same and not answered

    def listing(self, verdict: Verdict) -> StoreListing:
        """What it comes to."""
        return StoreListing(tuple(self.files.values()), self.total, verdict)
