"""Training batches as a pure function of (seed, step): resuming needs no iterator state.

Shape letters: B rows, T encoder length, U decoder length; R runs lead when batches are stacked.
"""

import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning.evaluation.rows import bucket, pack


class Batch(NamedTuple):
    """Int32 arrays of numpy or JAX. Segment 0 is padding; a packed row holds several examples."""

    ids_BT: Any
    segments_BT: Any
    decoder_ids_BU: Any
    targets_BU: Any
    target_segments_BU: Any

    def fill(self) -> dict[str, np.ndarray]:
        """Of a stack `[R, B, ...]`: each run's `tokens` (with prompts and targets), and `padding`,
        the share of the encoder's ids that are none.
        """
        inputs_R = (self.segments_BT > 0).sum((1, 2))
        tokens_R = inputs_R + (self.target_segments_BU > 0).sum((1, 2))
        return {"tokens": tokens_R, "padding": 1 - inputs_R / self.segments_BT[0].size}


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
    *,
    packed_length: int | None = None,
    at_least: tuple[int, int] = (0, 0),
    start_id: int = 0,
    pad_id: int = 0,
) -> Batch:
    """Encoder rows (prompts in place) and targets (EOS included) as one batch of bucketed shape.

    packed_length: pack the examples into rows of this many ids (or the longest example's).
    at_least: B and U, so that batches of one shape can be asked for.
    """
    if packed_length is None:
        layout = [[n] for n in range(len(inputs))]
    else:
        sizes = [(len(i), len(t)) for i, t in zip(inputs, targets, strict=True)]
        limit = max(packed_length, *(i for i, _ in sizes))
        even_share = sum(t for _, t in sizes) / -(-sum(i for i, _ in sizes) // limit)
        layout = pack(sizes, (limit, max(int(2 * even_share), *(t for _, t in sizes))))
    B = len(layout) if packed_length is None else -(-len(layout) // 2) * 2
    longest = max(sum(len(inputs[n]) for n in row) for row in layout)
    T = bucket(longest) if packed_length is None else max(packed_length, longest)
    U = bucket(max(sum(len(targets[n]) for n in row) for row in layout))
    shape = (max(B, at_least[0]), T, max(U, at_least[1]))
    return fill_batch(inputs, targets, layout, shape, start_id=start_id, pad_id=pad_id)


def fill_batch(
    inputs: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    layout: Sequence[Sequence[int]],
    shape: tuple[int, int, int],
    *,
    start_id: int = 0,
    pad_id: int = 0,
) -> Batch:
    """A batch of shape (B, T, U) with the examples of `layout[b]` in row b, each a segment."""
    B, T, U = shape
    ids, segments = np.full((B, T), pad_id, np.int32), np.zeros((B, T), np.int32)
    labels, label_segments = np.full((B, U), pad_id, np.int32), np.zeros((B, U), np.int32)
    decoder_ids = np.full((B, U), start_id, np.int32)
    for b, row in enumerate(layout):
        t = u = 0
        for segment, n in enumerate(row, start=1):
            x, y = inputs[n], targets[n]
            ids[b, t : t + len(x)], segments[b, t : t + len(x)] = x, segment
            labels[b, u : u + len(y)], label_segments[b, u : u + len(y)] = y, segment
            decoder_ids[b, u : u + len(y)] = [start_id, *y[:-1]]
            t, u = t + len(x), u + len(y)
    return Batch(ids, segments, decoder_ids, labels, label_segments)


def stack_batches(batches: Sequence[Batch], pad_id: int = 0, start_id: int = 0) -> Batch:
    """The batches of several runs as one `[R, B, ...]` batch, padded to their largest shape."""
    fill = Batch(pad_id, 0, start_id, pad_id, 0)

    def join(arrays: Sequence[np.ndarray], value: int) -> np.ndarray:
        shape = tuple(max(sizes) for sizes in zip(*(a.shape for a in arrays), strict=True))
        out = np.full((len(arrays), *shape), value, np.int32)
        for r, array in enumerate(arrays):
            out[r, : array.shape[0], : array.shape[1]] = array
        return out

    fields = zip(*batches, strict=True)
    return Batch(*(join(field, value) for field, value in zip(fields, fill, strict=True)))


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
