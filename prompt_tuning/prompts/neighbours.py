"""Reading a prompt (paper section 7): the vocabulary items nearest to each of its vectors.

Letters: P prompt rows, D model width, V vocabulary, C one chunk of it, K neighbours kept.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import Prompt, check_base
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.tokenizer import Tokenizer

# "cosine": the paper; "euclidean": the code of Khashabi et al. 2022; "dot": their slides.
Metric = Literal["cosine", "dot", "euclidean"]

CHUNK = 4096  # table rows held in float32 at a time: 64 MiB at d_model 4096


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The K nearest pieces of each prompt row, nearest first; equals go by id."""

    metric: str
    ids: np.ndarray  # int [P, K]
    scores: np.ndarray  # float32 [P, K]; similarity (cosine, dot) or distance (euclidean)
    pieces: tuple[tuple[str, ...], ...]  # [P][K]


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Rows that share their nearest piece (the paper reads these as excess capacity)."""

    piece: str
    id: int
    rows: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LabelPiece:
    """Where one piece of a class label appears among the neighbours."""

    label: str
    piece: str
    id: int
    rows: tuple[int, ...]  # rows with this piece among their K nearest; () if it did not persist
    best_rank: int | None  # 0 = some row's nearest


def nearest(
    prompt: Prompt, t5: FrozenT5, k: int = 5, metric: str = "cosine", force: bool = False
) -> Neighbours:
    """The `k` nearest vocabulary items of every prompt row (paper section 7: cosine, k = 5).

    Only rows of the table that stand for a piece count: T5 pads its table beyond the vocabulary.
    Raises UserError (unknown metric, k out of range, a prompt of another width, or of another base
    unless `force`).
    """
    check_base(prompt, t5, force)
    table = t5.params["token_embedder"]["embedding"]
    size = min(t5.tokenizer.size, t5.config.vocab_size)
    if metric not in get_args(Metric):
        raise UserError(f"unknown metric {metric!r}: choose from {get_args(Metric)}")
    if not 1 <= k <= size:
        raise UserError(f"the number of neighbours, {k}, is outside 1 to {size}")
    ids_PK = np.zeros((prompt.length, 0), np.int64)
    scores_PK = np.zeros((prompt.length, 0), np.float32)
    for start in range(0, size, CHUNK):
        chunk_CD = np.asarray(table[start : min(start + CHUNK, size)], np.float32)
        ids_PC = np.broadcast_to(
            np.arange(start, start + len(chunk_CD))[None, :], (prompt.length, len(chunk_CD))
        )
        ids = np.concatenate([ids_PK, ids_PC], axis=1)
        scores = np.concatenate([scores_PK, _closeness(prompt.array, chunk_CD, metric)], axis=1)
        order_PK = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # stable: equals by id
        ids_PK = np.take_along_axis(ids, order_PK, axis=1)
        scores_PK = np.take_along_axis(scores, order_PK, axis=1)
    if metric == "euclidean":  # the ranking left out |p|^2, and its differences would cancel
        rows_PKD = np.asarray(table[ids_PK.astype(np.int32)], np.float32)
        scores_PK = np.linalg.norm(rows_PKD - prompt.array[:, None, :], axis=-1)
    pieces = tuple(tuple(t5.tokenizer.pieces(ids)) for ids in ids_PK.tolist())
    return Neighbours(metric, ids_PK, scores_PK, pieces)


def clusters(neighbours: Neighbours) -> tuple[Cluster, ...]:
    """Groups of two or more rows with the same nearest piece, largest first."""
    rows_of: dict[tuple[int, str], list[int]] = {}
    for row, (ids, pieces) in enumerate(zip(neighbours.ids, neighbours.pieces, strict=True)):
        rows_of.setdefault((int(ids[0]), pieces[0]), []).append(row)
    groups = [
        Cluster(piece, id, tuple(rows)) for (id, piece), rows in rows_of.items() if len(rows) > 1
    ]
    return tuple(sorted(groups, key=lambda cluster: (-len(cluster.rows), cluster.rows)))


def label_persistence(
    neighbours: Neighbours, tokenizer: Tokenizer, labels: Sequence[str]
) -> tuple[LabelPiece, ...]:
    """Which pieces of the class labels are near which rows (paper section 7: "persist").

    One entry per label and piece, in order; the share that persisted is that with `rows`.
    """
    found = []
    for label in labels:
        ids = tokenizer.encode(label)
        for id, piece in zip(ids, tokenizer.pieces(ids), strict=True):
            rows, ranks = np.nonzero(neighbours.ids == id)
            best = int(ranks.min()) if len(ranks) else None
            found.append(LabelPiece(label, piece, id, tuple(rows.tolist()), best))
    return tuple(found)


def tightness(neighbours: Neighbours, t5: FrozenT5) -> np.ndarray:
    """How alike the neighbours of each row are: mean cosine between all pairs, float32 [P].

    The paper says that trained prompts' neighbours "form tight clusters" and random vectors' do
    not, without a number; this is one. Needs at least two neighbours.
    """
    table = t5.params["token_embedder"]["embedding"]
    rows_PKD = np.asarray(table[neighbours.ids.astype(np.int32)], np.float32)
    P, K, D = rows_PKD.shape
    unit_PKD = _unit(rows_PKD.reshape(P * K, D)).reshape(P, K, D)
    sums_P = np.square(unit_PKD.sum(axis=1)).sum(axis=-1)  # over all pairs, each with itself too
    return (sums_P - K) / (K * (K - 1))


def _closeness(prompt_PD: np.ndarray, chunk_CD: np.ndarray, metric: str) -> np.ndarray:
    """Scores [P, C], larger = nearer; "euclidean" gives |p|^2 - |p - e|^2, which ranks alike."""
    if metric == "cosine":
        prompt_PD, chunk_CD = _unit(prompt_PD), _unit(chunk_CD)
    scores_PC = prompt_PD @ chunk_CD.T
    if metric == "euclidean":
        scores_PC = 2 * scores_PC - np.square(chunk_CD).sum(axis=1)[None, :]
    return scores_PC


def _unit(rows_ND: np.ndarray) -> np.ndarray:
    norms_N1 = np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return rows_ND / np.maximum(norms_N1, np.finfo(np.float32).tiny)
