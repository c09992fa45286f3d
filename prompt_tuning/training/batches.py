"""Training batches as a pure function of (seed, step): resuming needs no iterator state.

Shape letters: B rows, T encoder length, U decoder length; R runs lead when batches are stacked.
"""

import bisect
import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning.evaluation.rows import (
    batch_cost,
    bucket,
    pack,
    packed_length,
    row_cost,
    row_lengths,
)

Sizes = Sequence[tuple[int, int]]  # input and target ids of the examples of a batch
SHAPES = 6  # row lengths of the parts of batches, at most: each is compiled


class Batch(NamedTuple):
    """Int32 arrays of numpy or JAX. Segment 0 is padding; a packed row holds several examples."""

    ids_BT: Any
    segments_BT: Any
    decoder_ids_BU: Any
    targets_BU: Any
    target_segments_BU: Any
    runs_BU: Any = None  # the run of each target, where rows are of several; then no R leads


Parts = tuple[Batch, ...]  # of one batch, each with its own shape


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the examples of every batch lie in rows, so that few shapes are compiled.

    Packed: one part, whose rows hold several examples. Otherwise each example has its row, the
    batch is sorted by length and cut into parts, and a part is padded to the next of `lengths`.
    """

    rows: int  # of a part
    lengths: tuple[int, ...]  # of rows, ascending
    targets: int  # decoder ids of a row, if no batch needs more
    packed: bool = False


def padding(parts: Parts) -> float:
    """The share of the encoder's ids that are none."""
    used = sum(int((part.segments_BT > 0).sum()) for part in parts)
    return 1 - used / sum(part.segments_BT.size for part in parts)


def example_numbers(seed: int, step: int, batch_size: int, count: int) -> list[int]:
    """The examples of one batch: consecutive places of seeded permutations, epoch after epoch."""
    places = range(step * batch_size, (step + 1) * batch_size)
    orders = {epoch: permutation(seed, epoch, count) for epoch in {p // count for p in places}}
    return [int(orders[p // count][p % count]) for p in places]


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of `count` examples in an epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)


def make_batch(
    inputs: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    layout: Layout | None = None,
    *,
    runs: Sequence[int] | None = None,
    start_id: int = 0,
    pad_id: int = 0,
) -> Parts:
    """Encoder rows (prompts in place) and targets (EOS included) as the parts of a batch.

    Without a layout: one part of bucketed shape, in order. With one: its shapes, but for a batch
    that needs longer or more rows. runs: of each example, where they are of several.
    """
    ids = {"start_id": start_id, "pad_id": pad_id}
    sizes = [(len(i), len(t)) for i, t in zip(inputs, targets, strict=True)]
    order: Sequence[int] = range(len(sizes))
    if layout is None:
        layout = Layout(len(sizes), (), 0)
    elif not layout.packed:
        order = sorted(order, key=lambda n: -sizes[n][0])
    if layout.packed:
        chosen = [_packed(sizes, layout.lengths[0])]
    else:
        starts = range(0, len(order), layout.rows)
        chosen = [[[n] for n in order[at : at + layout.rows]] for at in starts]
    parts = []
    for rows in chosen:
        longest = max(sum(sizes[n][0] for n in row) for row in rows)
        most = max(sum(sizes[n][1] for n in row) for row in rows)
        T = next((length for length in layout.lengths if length >= longest), bucket(longest))
        U = layout.targets if layout.targets >= most else bucket(most)
        shape = (max(layout.rows, len(rows)), T, U)
        parts.append(fill_batch(inputs, targets, rows, shape, runs=runs, **ids))
    return tuple(parts)


def choose_layout(
    steps: Sequence[Sequence[Sizes]], width: int, multiple: int = 1, packed: bool = True
) -> Layout:
    """The layout of least cost for batches like these: for each step, those of all runs.

    width: d_model. multiple: the rows of a part are one of it, as devices that share them need.
    packed: whether examples may share a row.
    """
    R, B = len(steps[0]), len(steps[0][0])
    targets = max(t for runs in steps for sizes in runs for _, t in sizes)
    # Of each step: its lengths from the longest, over all runs, for these are padded alike.
    bounds = [
        np.max([sorted((i for i, _ in sizes), reverse=True) for sizes in runs], axis=0).tolist()
        for runs in steps
    ]
    found = []
    for rows in range(1, B + 1):
        if B % rows or (rows % multiple and rows < B):
            continue
        longest = [bound[n] for bound in bounds for n in range(0, B, rows)]
        lengths = row_lengths(longest, SHAPES)
        padded = [lengths[bisect.bisect_left(lengths, n)] for n in longest]
        cost = R * rows * sum(map(row_cost, padded)) + batch_cost(width) * len(longest)
        found.append((cost / len(steps), Layout(rows, tuple(lengths), targets)))

    if not packed:
        return min(found, key=lambda pair: pair[0])[1]
    fullest = sorted(
        (sizes for runs in steps for sizes in runs), key=lambda s: -sum(i for i, _ in s)
    )
    inputs = [max(map(max, bounds)), *(i for sizes in fullest[:8] for i, _ in sizes)]
    T = packed_length(inputs, B)
    packings = [(sizes, _packed(sizes, T)) for sizes in fullest]
    step = max(2, multiple)
    rows = -(-max(len(packing) for _, packing in packings) // step) * step
    U = max(sum(sizes[n][1] for n in row) for sizes, rows in packings for row in rows)
    cost = R * rows * row_cost(T) + batch_cost(width)
    found.append((cost, Layout(rows, (T,), U, packed=True)))
    return min(found, key=lambda pair: pair[0])[1]


def _packed(sizes: Sizes, length: int) -> list[list[int]]:
    """Examples that share rows of `length` ids, their targets spread evenly."""
    limit = max(length, *(i for i, _ in sizes))
    even_share = sum(t for _, t in sizes) / -(-sum(i for i, _ in sizes) // limit)
    return pack(sizes, (limit, max(int(2 * even_share), *(t for _, t in sizes))))


def fill_batch(
    inputs: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    layout: Sequence[Sequence[int]],
    shape: tuple[int, int, int],
    *,
    runs: Sequence[int] | None = None,
    start_id: int = 0,
    pad_id: int = 0,
) -> Batch:
    """A batch of shape (B, T, U) with the examples of `layout[b]` in row b, each a segment."""
    B, T, U = shape
    ids, segments = np.full((B, T), pad_id, np.int32), np.zeros((B, T), np.int32)
    labels, label_segments = np.full((B, U), pad_id, np.int32), np.zeros((B, U), np.int32)
    decoder_ids = np.full((B, U), start_id, np.int32)
    runs_BU = np.zeros((B, U), np.int32)
    for b, row in enumerate(layout):
        t = u = 0
        for segment, n in enumerate(row, start=1):
            x, y = inputs[n], targets[n]
            ids[b, t : t + len(x)], segments[b, t : t + len(x)] = x, segment
            labels[b, u : u + len(y)], label_segments[b, u : u + len(y)] = y, segment
            decoder_ids[b, u : u + len(y)] = [start_id, *y[:-1]]
            runs_BU[b, u : u + len(y)] = runs[n] if runs else 0
            t, u = t + len(x), u + len(y)
    return Batch(ids, segments, decoder_ids, labels, label_segments, runs_BU if runs else None)


def stack_batches(batches: Sequence[Parts], pad_id: int = 0, start_id: int = 0) -> Parts:
    """The batches of several runs, part by part, as `[R, B, ...]`, padded to the largest shape."""
    values = (pad_id, 0, start_id, pad_id, 0)  # runs_BU is for batches of no stack

    def join(arrays: Sequence[np.ndarray], value: int) -> np.ndarray:
        shape = tuple(max(sizes) for sizes in zip(*(a.shape for a in arrays), strict=True))
        out = np.full((len(arrays), *shape), value, np.int32)
        for r, array in enumerate(arrays):
            out[r, : array.shape[0], : array.shape[1]] = array
        return out

    return tuple(
        Batch(*(join([batch[n] for batch in part], value) for n, value in enumerate(values)))
        for part in zip(*batches, strict=True)
    )


def ahead(make: Callable[[int], Any], steps: range) -> Iterator[tuple[int, Any]]:
    """(step, make(step)) in order, each made by a thread while the one before is used."""
    if not steps:
        return
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        coming = thread.submit(make, steps.start)
        for step in steps:
            made = coming.result()
            coming = thread.submit(make, step + 1)
            yield step, made
