import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.prompts import neighbours
from prompt_tuning.prompts.init import init_prompt
from prompt_tuning.prompts.neighbours import Cluster, LabelPiece, Neighbours
from prompt_tuning.prompts.prompt import Prompt
from prompt_tuning.t5.tokenizer import load_tokenizer


def oracle(prompt, table, k, metric):
    """All scores one by one in float64, sorted in Python."""
    ids, scores = [], []
    for p in prompt.astype(np.float64):
        if metric == "cosine":
            row = [float(p @ e / np.sqrt((p @ p) * (e @ e))) for e in table]
        elif metric == "dot":
            row = [float(p @ e) for e in table]
        else:
            row = [float(np.sqrt(((p - e) ** 2).sum())) for e in table]
        best = sorted(range(len(row)), key=row.__getitem__, reverse=metric != "euclidean")[:k]
        ids.append(best)
        scores.append([row[id] for id in best])
    return np.array(ids), np.array(scores)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("chunk", [7, 4096])
def test_nearest_equals_brute_force(make_t5, monkeypatch, metric, dtype, chunk):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    t5 = make_t5(d_model=6, size=200, dtype=dtype)
    prompt = Prompt(np.random.default_rng(1).normal(0, 20, (9, 6)).astype(np.float32))
    table = np.asarray(t5.params["token_embedder"]["embedding"], np.float64)[:200]
    found = neighbours.nearest(prompt, t5, k=5, metric=metric)
    ids, scores = oracle(prompt.array, table, 5, metric)
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4)
    assert found.pieces == tuple(tuple(t5.tokenizer.pieces(row)) for row in ids.tolist())


def test_token_embeddings_are_their_own_neighbours(make_t5):
    t5 = make_t5(d_model=16)
    prompt = init_prompt(t5, 50, "vocabulary")
    by_distance = neighbours.nearest(prompt, t5, k=1, metric="euclidean")
    assert np.array_equal(by_distance.scores, np.zeros((50, 1), np.float32))  # exactly
    by_angle = neighbours.nearest(prompt, t5, k=1)
    assert by_angle.metric == "cosine"
    np.testing.assert_array_equal(by_angle.ids, by_distance.ids)


def test_rows_without_a_piece_are_never_neighbours(make_t5):
    t5 = make_t5(size=20)
    unused = np.asarray(t5.params["token_embedder"]["embedding"])[20:]
    assert neighbours.nearest(Prompt(unused), t5, k=20).ids.max() == 19


def test_a_zero_row_has_neighbours_too(make_t5):
    found = neighbours.nearest(Prompt(np.zeros((1, 4), np.float32)), make_t5(), k=2)
    assert found.ids.tolist() == [[0, 1]]  # all equal: by id
    assert found.scores.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"k": 0}, "neighbours, 0"), ({"k": 6001}, "neighbours, 6001"), ({"metric": "l1"}, "'l1'")],
)
def test_bad_requests(make_t5, options, reason):
    with pytest.raises(UserError, match=reason):
        neighbours.nearest(Prompt(np.ones((1, 4), np.float32)), make_t5(), **options)


def test_a_prompt_of_another_width_is_refused(make_t5):
    with pytest.raises(UserError, match="5 wide but base-a has d_model 4"):
        neighbours.nearest(Prompt(np.ones((1, 5), np.float32)), make_t5())


def test_a_prompt_of_another_base_is_refused_unless_forced(make_t5):
    t5, rows = make_t5(), np.ones((1, 4), np.float32)
    other = Prompt(rows, metadata={"base_fingerprint": "0" * 64})
    with pytest.raises(UserError, match="made for another base"):
        neighbours.nearest(other, t5)
    forced = neighbours.nearest(other, t5, force=True)
    assert forced.pieces == neighbours.nearest(Prompt(rows), t5).pieces


def by_hand(tokenizer, ids):
    pieces = tuple(tuple(tokenizer.pieces(row)) for row in ids)
    return Neighbours("cosine", np.array(ids), np.zeros((len(ids), len(ids[0]))), pieces)


def test_clusters_group_rows_by_their_nearest_piece(make_t5):
    found = by_hand(make_t5().tokenizer, [[6, 7], [8, 6], [7, 6], [6, 8], [7, 8], [6, 9]])
    assert neighbours.clusters(found) == (
        Cluster("positive", 6, (0, 3, 5)),
        Cluster("negative", 7, (2, 4)),
    )


def test_label_persistence_counts_pieces_at_any_rank(make_t5):
    tokenizer = make_t5().tokenizer
    found = by_hand(tokenizer, [[8, 6], [8, 4], [6, 9], [9, 9]])
    assert neighbours.label_persistence(found, tokenizer, ["positive", "not_entailment"]) == (
        LabelPiece("positive", "positive", 6, (0, 2), 0),
        LabelPiece("not_entailment", "not", 4, (1,), 1),
        LabelPiece("not_entailment", "_", 3, (), None),
        LabelPiece("not_entailment", "entailment", 5, (), None),
    )


def test_labels_of_a_fresh_prompt_persist_in_the_real_vocabulary(make_t5, shared_data):
    tokenizer = load_tokenizer(shared_data / "t5" / "spiece.model")
    t5 = make_t5(d_model=32, size=tokenizer.size, tokenizer=tokenizer)
    prompt = init_prompt(t5, 10, labels=["positive", "negative"])
    persisted = neighbours.label_persistence(
        neighbours.nearest(prompt, t5), tokenizer, ["positive", "negative"]
    )
    assert [label.rows[0] for label in persisted] == [0, 1]
    assert [label.piece for label in persisted] == ["▁positive", "▁negative"]


def test_tightness_is_the_mean_cosine_of_all_pairs(make_t5):
    t5 = make_t5(d_model=6, size=200)
    prompt = Prompt(np.random.default_rng(2).normal(0, 1, (3, 6)).astype(np.float32))
    found = neighbours.nearest(prompt, t5, k=4)
    table = np.asarray(t5.params["token_embedder"]["embedding"], np.float64)
    for row, value in zip(found.ids, neighbours.tightness(found, t5), strict=True):
        unit = [table[n] / np.linalg.norm(table[n]) for n in row]
        pairs = [unit[i] @ unit[j] for i in range(4) for j in range(i)]
        assert value == pytest.approx(np.mean(pairs), abs=1e-5)
