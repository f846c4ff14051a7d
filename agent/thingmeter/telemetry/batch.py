"""How the samples of one interval are spelled in the outbox: a line of JSON for each, as it is published. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BATCH_BYTES = 65_536  # what a crash may publish again, and what one page fault of a damaged disk may cost, is that much
LINE_END = b"\n"  # JSON has none inside


def packed(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield batches of ``lines``, in their order, each as many as ``BATCH_BYTES`` hold, and at least one."""
    together: list[bytes] = []
    size = 0
    for line in lines:
        if together and size + len(line) > BATCH_BYTES:
            yield LINE_END.join(together)
            together, size = [], 0
        together.append(line)
        size += len(line) + len(LINE_END)
    if together:
        yield LINE_END.join(together)


def lines_of(batch: bytes) -> list[bytes]:
    """Return the lines of a batch."""
    return batch.split(LINE_END)
