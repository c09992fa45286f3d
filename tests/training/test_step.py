"""The step: populations equal single runs, packed and split batches plain ones; its cost."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts.table import virtual_ids
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.model import T5, init_params, param_shapes
from prompt_tuning.training import trees
from prompt_tuning.training.batches import (
    Batch,
    Layout,
    choose_layout,
    example_numbers,
    make_batch,
    padding,
    stack_batches,
)
from prompt_tuning.training.optimizer import PAPER, OptimizerConfig, make_optimizer
from prompt_tuning.training.step import Group, Objective, State, Step, population_loss, train_step

CONFIG = T5Config(
    vocab_size=40,
    d_model=16,
    d_kv=8,
    d_ff=24,
    num_layers=2,
    num_decoder_layers=2,
    num_heads=2,
    num_buckets=8,
    max_distance=16,
)
LENGTHS = (3, 30, 3)  # prompt lengths of three runs: two groups, padded unlike


def population(lengths, params, optimizer=PAPER):
    """(state, frozen, groups, labels, rates) of prompt-tuning runs of these lengths."""
    trees_ = []
    for run, length in lengths.items():
        table = np.random.default_rng(run).normal(size=(length, 16)).astype(np.float32)
        trees_.append({"model": params, "prompt": {"table": table}})
    labels = trees.label_tree(trees_[0], "prompt")
    split = [trees.split(tree, labels) for tree in trees_]
    groups, order = [], list(lengths)
    for length in dict.fromkeys(lengths.values()):
        members = tuple(n for n, run in enumerate(order) if lengths[run] == length)
        rates = tuple(0.1 * (order[n] + 1) for n in members)
        groups.append(Group(members, optimizer, rates, (1e-3,) * len(members)))
    trainable = [trees.stack([split[n][0] for n in g.members]) for g in groups]
    states = [jax.vmap(make_optimizer(g.optimizer, labels).init)(t)
              for g, t in zip(groups, trainable, strict=True)]  # fmt: skip
    rates = [(np.float32(g.learning_rates), np.float32(g.weight_decays)) for g in groups]
    state = State(jnp.int32(0), trainable, states)
    return state, split[0][1], tuple(groups), labels, rates


def examples(run, length, step):
    """Six examples of run `run`, with its prompt in front."""
    rng = np.random.default_rng([run, step])
    inputs = [[*virtual_ids(40, length), *rng.integers(2, 40, rng.integers(2, 9)), 1]
              for _ in range(6)]  # fmt: skip
    targets = [[*rng.integers(2, 40, rng.integers(1, 4)), 1] for _ in range(6)]
    return inputs, targets


def steps(lengths, params, objective, count=3, layout=None):
    """The prompts after some steps, by run."""
    state, frozen, groups, labels, rates = population(lengths, params)
    step = Step(objective, groups, labels)
    history = []
    for t in range(count):
        batches = [make_batch(*examples(run, n, t), layout) for run, n in lengths.items()]
        keys = jnp.stack([jax.random.fold_in(jax.random.key(run), t) for run in lengths])
        state, metrics = step(state, frozen, stack_batches(batches), keys, rates)
        history.append(jax.tree.map(np.asarray, metrics))
    order = list(lengths)
    tables = {
        order[n]: np.asarray(tree["prompt"]["table"][i])
        for g, tree in zip(groups, state.trainable, strict=True)
        for i, n in enumerate(g.members)
    }
    return tables, history


@pytest.fixture(scope="module")
def params():
    return init_params(CONFIG, seed=2)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_population_equals_its_runs_alone(params, dropout):
    objective = Objective(T5(CONFIG, dropout=dropout), 1e-4, "mean", 1)
    lengths = dict(enumerate(LENGTHS))
    together, history = steps(lengths, params, objective)
    for run, length in lengths.items():
        alone, own = steps({run: length}, params, objective)
        difference = np.abs(together[run] - alone[run])
        # Adafactor divides by the gradient's own size: where that is next to nothing, so is its
        # accuracy. All but one element in a hundred agree to 1e-5.
        assert np.quantile(difference, 0.99) < 1e-5
        assert difference.max() < 1e-3
        for name in ("loss", "accuracy", "norm", "update_rms"):
            np.testing.assert_allclose(history[-1][name][run], own[-1][name][0], rtol=1e-4)
    moved = [np.abs(together[r] - np.random.default_rng(r).normal(size=(n, 16))).max()
             for r, n in lengths.items()]  # fmt: skip
    assert min(moved) > 0.05


PACKED = Layout(2, (40,), 8, packed=True)
SORTED = Layout(2, (8, 10), 4)  # some are longer


@pytest.mark.parametrize("layout", [PACKED, SORTED], ids=["packed", "sorted"])
def test_any_layout_gives_the_update_of_the_padded_batch(params, layout):
    objective = Objective(T5(CONFIG), 0.0, "mean", 1)
    padded, a = steps({0: 3, 1: 5}, params, objective)
    other, b = steps({0: 3, 1: 5}, params, objective, layout=layout)
    for run in (0, 1):
        np.testing.assert_allclose(other[run], padded[run], atol=2e-5)
    np.testing.assert_allclose(a[0]["loss"], b[0]["loss"], rtol=1e-5)
    inputs, targets = examples(0, 3, 0)
    batch = make_batch(inputs, targets, layout)
    shapes = [part.ids_BT.shape for part in batch]
    assert [rows for rows, _ in shapes] == [2] * (1 if layout.packed else 3)
    assert (max(part.segments_BT.max() for part in batch) > 1) == layout.packed
    places = sum(rows * length for rows, length in shapes)
    np.testing.assert_allclose(padding(batch), 1 - sum(map(len, inputs)) / places)


@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("layout", [PACKED, SORTED], ids=["packed", "sorted"])
def test_rows_of_all_runs_in_shared_parts_give_each_its_own_update(params, layout, loss):
    objective, lengths = Objective(T5(CONFIG), 1e-4, loss, 1), {0: 3, 1: 5, 2: 3}
    apart, a = steps(lengths, params, objective)
    state, frozen, groups, labels, rates = population(lengths, params)
    step = Step(objective, groups, labels)
    for t in range(3):
        inputs, targets, runs = [], [], []
        for run, length in lengths.items():
            own = examples(run, length, t)
            virtual = virtual_ids(40, length, run, rows=5)
            inputs += [[*virtual, *ids[length:]] for ids in own[0]]
            targets, runs = targets + own[1], runs + [run] * 6
        batch = make_batch(inputs, targets, layout, runs=runs)
        found = [set(part.runs_BU[part.target_segments_BU > 0].tolist()) for part in batch]
        assert max(map(len, found)) > 1
        keys = jnp.stack([jax.random.key(run) for run in lengths])
        state, metrics = step(state, frozen, batch, keys, rates)
        for name, value in metrics.items():
            np.testing.assert_allclose(value, a[t][name], rtol=2e-4)
    for group, tree in zip(groups, state.trainable, strict=True):
        for n, run in enumerate(group.members):
            np.testing.assert_allclose(tree["prompt"]["table"][n], apart[run], atol=2e-5)


def test_a_layout_has_room_for_every_batch_it_was_chosen_for():
    rng = np.random.default_rng(0)
    spread = [[[(int(n), 2) for n in rng.gamma(3, 40, 32) + 110]] for _ in range(20)]
    mixed = [[[(int(n), 2) for n in rng.choice((5, 150), 32)] for _ in range(2)] for _ in range(9)]
    for steps, width, packed in (spread, 512, False), (mixed, 16, True):
        for multiple in (1, 16):
            layout = choose_layout(steps, width, multiple)
            assert layout.packed == packed or multiple > 1
            assert layout.rows % multiple == 0
            for sizes in (sizes for runs in steps for sizes in runs):
                made = make_batch([[5] * i for i, _ in sizes], [[6] * t for _, t in sizes], layout)
                shapes = {part.ids_BT.shape for part in made}
                assert shapes <= {(layout.rows, length) for length in layout.lengths}
                assert {part.targets_BU.shape[1] for part in made} == {layout.targets}
                assert sum((part.ids_BT == 5).sum() for part in made) == sum(i for i, _ in sizes)
    layout = choose_layout(spread, 512)
    assert layout.rows < 32
    assert len(layout.lengths) > 1
    # Small models spend more on starting a part than on its rows.
    assert choose_layout(spread, 8).rows > layout.rows


def test_micro_batches_give_the_update_of_the_whole_batch(params):
    whole, a = steps({0: 3, 1: 5}, params, Objective(T5(CONFIG), 1e-4, "mean", 1))
    parts, b = steps({0: 3, 1: 5}, params, Objective(T5(CONFIG), 1e-4, "mean", 3))
    for run in (0, 1):
        np.testing.assert_allclose(parts[run], whole[run], atol=2e-5)
    np.testing.assert_allclose(a[-1]["loss"], b[-1]["loss"], rtol=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_targets(params):
    inputs, targets = (part[:2] for part in examples(0, 3, 0))
    state, frozen, groups, _, _ = population({0: 3}, params)
    [batch] = stack_batches([make_batch(inputs, targets)])
    objective = Objective(T5(CONFIG), 0.0, "sum", 1)
    args = (state.trainable, frozen, batch, jax.random.split(jax.random.key(0), 1), jnp.ones(1))
    total, sums = population_loss(*args, objective, tuple(g.members for g in groups))
    want = 0.0
    table = state.trainable[0]["prompt"]["table"][0]
    for x, y in zip(inputs, targets, strict=True):  # one by one, with plain log-softmax
        words = params["token_embedder"]["embedding"][np.array(x[3:])]
        embedded = jnp.concatenate([table, words])[None]
        decoder_ids = jnp.asarray([[0, *y[:-1]]], jnp.int32)
        ones = jnp.ones((1, len(x)), jnp.int32), jnp.ones_like(decoder_ids)
        out = T5(CONFIG).apply({"params": params}, embedded, ones[0], decoder_ids, ones[1])
        logp = jax.nn.log_softmax(out[0])
        want -= sum(float(logp[u, token]) for u, token in enumerate(y))
    np.testing.assert_allclose(total, want, rtol=1e-5)
    assert sums["tokens"][0] == sum(map(len, targets))


def test_every_example_comes_once_an_epoch_in_an_order_of_its_seed():
    seen = [n for step in range(9) for n in example_numbers(3, step, 4, 12)]
    assert sorted(seen[:12]) == sorted(seen[12:24]) == sorted(seen[24:]) == list(range(12))
    assert seen[:12] != seen[12:24]
    assert seen == [n for step in range(9) for n in example_numbers(3, step, 4, 12)]
    assert seen != [n for step in range(9) for n in example_numbers(4, step, 4, 12)]
    assert len(example_numbers(0, 5, 30, 7)) == 30  # a batch larger than the data set


def _flops(step, *args):
    return jax.jit(step).lower(*args).compile().cost_analysis()["flops"]


def test_a_prompt_step_never_forms_the_gradients_of_frozen_weights():
    """T5 1.1 small, input 128, length 100: at most 0.72 of the FLOPs with weight gradients."""
    config = SIZES["small"]
    weights = param_shapes(config)
    table = jax.ShapeDtypeStruct((100, 512), jnp.float32)
    ids = jax.ShapeDtypeStruct((1, 8, 228), jnp.int32)
    target = jax.ShapeDtypeStruct((1, 8, 8), jnp.int32)
    batch = Batch(ids, ids, target, target, target)
    objective = Objective(T5(config), 0.0, "mean", 1)
    flops = {}
    for method in ("prompt", "both"):
        params = {"model": weights, "prompt": {"table": table}}
        labels = trees.label_tree(params, "prompt")
        if method == "both":
            labels = jax.tree.map(lambda _: "whole", labels)
        trainable, frozen = jax.eval_shape(lambda p: p, params), None
        trainable, frozen = trees.split(params, labels)
        trainable = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), trainable)
        optimizer = OptimizerConfig(factored=False)
        init = jax.vmap(make_optimizer(optimizer, labels).init)
        state = State(
            jax.ShapeDtypeStruct((), jnp.int32), [trainable], [jax.eval_shape(init, trainable)]
        )
        groups = (Group((0,), optimizer, (0.3,), (0.0,)),)
        rate = jax.ShapeDtypeStruct((1,), jnp.float32)
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
        flops[method] = _flops(
            lambda *args, g=groups, l=labels: train_step(
                *args, objective=objective, groups=g, labels=l
            ),
            state, frozen, batch, keys, [(rate, rate)],
        )  # fmt: skip
    assert flops["prompt"] <= 0.72 * flops["both"]


def test_xxl_is_traced_without_allocating():
    config = dataclasses.replace(SIZES["xxl"])
    weights = param_shapes(config)
    params = {"model": weights, "prompt": {"table": jax.ShapeDtypeStruct((100, 4096), jnp.float32)}}
    labels = trees.label_tree(params, "prompt")
    trainable, frozen = trees.split(params, labels)
    trainable = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), trainable)
    init = jax.vmap(make_optimizer(PAPER, labels).init)
    state = State(jax.ShapeDtypeStruct((), jnp.int32), [trainable],
                  [jax.eval_shape(init, trainable)])  # fmt: skip
    ids = jax.ShapeDtypeStruct((1, 32, 612), jnp.int32)
    target = jax.ShapeDtypeStruct((1, 32, 16), jnp.int32)
    rate = jax.ShapeDtypeStruct((1,), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    out, metrics = jax.eval_shape(
        lambda *args: train_step(
            *args,
            objective=Objective(T5(config, dtype=jnp.bfloat16, remat="full"), 0.0, "mean", 1),
            groups=(Group((0,), PAPER, (0.3,), (0.0,)),),
            labels=labels,
        ),
        state, frozen, Batch(ids, ids, target, target, target), keys, [(rate, rate)],
    )  # fmt: skip
    assert [x.shape for x in jax.tree.leaves(out.trainable)] == [(1, 100, 4096)]
    assert metrics["loss"].shape == (1,)
