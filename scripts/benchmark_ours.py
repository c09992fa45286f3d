"""Our side of `benchmark.py`: training steps, label scores and generated ids."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.evaluation.inference import generate_ids, score_label_ids
from prompt_tuning.prompts.table import stack_prompts, virtual_ids
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.model import T5
from prompt_tuning.training import trees
from prompt_tuning.training.batches import Layout, make_batch, stack_batches
from prompt_tuning.training.optimizer import PAPER, make_optimizer
from prompt_tuning.training.step import Group, Objective, State, Step

Ids = Sequence[Sequence[int]]


class Ours:
    """One population of prompts over a frozen model; a single run is a population of one."""

    def __init__(
        self,
        t5: FrozenT5,
        prompts: Sequence[np.ndarray],
        remat: str = "none",
        layout: Layout | None = None,
    ):
        self.t5, self.length, self.layout = t5, len(prompts[0]), layout
        params = {"model": t5.params, "prompt": {"table": prompts[0]}}
        labels = trees.label_tree(params, "prompt")
        trainable, self.frozen = trees.split(params, labels)
        R = len(prompts)
        tree = trees.stack([{**trainable, "prompt": {"table": table}} for table in prompts])
        optimizer = jax.vmap(make_optimizer(PAPER, labels).init)(tree)
        self.state = State(jnp.int32(0), [tree], [optimizer])
        groups = (Group(tuple(range(R)), PAPER, (), ()),)
        objective = Objective(T5(t5.config, dtype=t5.dtype, remat=remat), 0.0, "mean", 1)
        self.rates = [(np.full(R, 0.3, np.float32), np.full(R, 1e-5, np.float32))]
        self.keys = jax.random.split(jax.random.key(0), R)
        self.step = Step(objective, groups, labels)

    def train(self, inputs: Ids, targets: Ids) -> float:
        """One step of every run on the same examples; the mean loss before it."""
        batch = make_batch(self._rows(inputs), targets, self.layout)
        batch = stack_batches([batch] * len(self.keys))
        self.state, metrics = self.step(self.state, self.frozen, batch, self.keys, self.rates)
        return float(metrics["loss"].mean())

    def score(self, inputs: Ids, labels: Ids) -> np.ndarray:
        """Log-likelihoods `[examples, labels]` under the first run's prompt."""
        return score_label_ids(self.t5, self._rows(inputs), labels, prompts_RPD=self._table())

    def generate(self, inputs: Ids, length: int) -> np.ndarray:
        """Greedy ids `[examples, length]` under the first run's prompt."""
        rows = self._rows(inputs)
        return np.stack(generate_ids(self.t5, rows, length, prompts_RPD=self._table()))

    def _rows(self, inputs: Ids) -> list[list[int]]:
        virtual = virtual_ids(self.t5.config.vocab_size, self.length)
        return [[*virtual, *ids] for ids in inputs]

    def _table(self) -> np.ndarray:
        return stack_prompts([np.asarray(self.state.trainable[0]["prompt"]["table"][0])])
