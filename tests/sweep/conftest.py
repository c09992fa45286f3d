"""Tables of results that no run has written, for the figures and the report."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable

import jax
import pyarrow as pa
import pytest

from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.sweep import local, paper_values
from prompt_tuning.sweep.grid import Sizes, populations
from prompt_tuning.sweep.work import work
from prompt_tuning.t5.load import FrozenT5, load_t5, save_t5
from prompt_tuning.t5.model import init_params
from prompt_tuning.training.run import Run, UserTask, paper

POCKET = {"xs": 40_000, "s": 140_000, "b": 480_000, "l": 1_600_000, "xl": 5_200_000}
T5 = {
    "small": 76_961_152,
    "base": 247_577_856,
    "large": 783_150_080,
    "xl": 2_849_757_184,
    "xxl": 11_135_332_352,
}


def result_row(
    model: str,
    task: str,
    value: float,
    *,
    method: str = "prompt",
    trained_on: str | None = None,
    length: int = 20,
    init: str = "class_labels",
    seed: int = 0,
    rate: float = 0.3,
    split: str = "validation",
    metric: str = "accuracy",
    main: bool = True,
    **config: object,
) -> dict[str, object]:
    """A row of the results table as `sweep` writes it."""
    sizes = POCKET if model.startswith("pocket:") else T5
    parameters = next(n for size, n in sizes.items() if size in re.split("[:@-]", model))
    steps = 0 if method == "design" else 1000
    run = {
        "task": trained_on or task,
        "model": model,
        "seed": seed,
        "method": method,
        "steps": steps,
        "dev_split": "validation",
        "prompt": {"length": length, "init": init},
        "optimizer": {"learning_rate": rate, "factored": True},
    } | config
    where = f"{model}-{run['task']}-{method}-{length}-{init}-{seed}-{rate}-{sorted(config.items())}"
    return {
        "run": where,
        "experiment": "",
        "model": model,
        "parameters": parameters,
        "trainable": length * 16,
        "method": method,
        "task": task,
        "prompt_length": 0 if method in ("model", "multitask") else length,
        "prompt_init": "" if method in ("model", "multitask") else init,
        "position": "" if method in ("model", "multitask") else "prefix",
        "seed": seed,
        "learning_rate": rate,
        "steps": steps,
        "best_step": steps,
        "split": split,
        "metric": metric,
        "value": value,
        "main": main,
        "seconds": 12.5,
        "config": json.dumps(run),
    }


def votes(members: list[dict], scores: dict[str, float]) -> list[dict[str, object]]:
    """The rows of an ensemble of these rows' runs, as `sweep` writes them."""
    names = list(dict.fromkeys(row["run"] for row in members))
    config = json.dumps({**json.loads(members[0]["config"]), "runs": names})
    about = {"run": f"vote of {names[0]}", "method": "ensemble", "main": False, "config": config}
    return [members[0] | about | {"metric": m, "value": value} for m, value in scores.items()]


def reading(pieces: list[list[str]], labels: dict[str, list[int]]) -> dict[str, object]:
    """A `neighbours.json`: the neighbours of each row, and the rows near each label."""
    nearest = [row[0] for row in pieces]
    shared = {piece for piece in nearest if nearest.count(piece) > 1}
    one = {
        "pieces": pieces,
        "clusters": [
            {"piece": piece, "rows": [n for n, near in enumerate(nearest) if near == piece]}
            for piece in shared
        ],
        "tightness": 0.75,
        "tightness_of_random": 0.25,
        "labels": [
            {"label": label, "piece": label, "rows": rows} for label, rows in labels.items()
        ],
        "persisted": 100 * sum(map(bool, labels.values())) / len(labels),
    }
    return {metric: one for metric in ("cosine", "dot", "euclidean")}


def study(model_of: Callable[[str], str], sizes: dict[str, int], tasks: list[str]) -> pa.Table:
    """All of the paper's experiments on some models, with made-up scores that look like its own."""
    rows = []
    for n, size in enumerate(sizes):
        for t, task in enumerate(tasks):
            for seed in range(3):
                noise = (seed - 1) * (1.5 - 0.2 * n) + 0.3 * t
                top = 62 + 7 * n
                name = model_of(size)
                for length in (1, 5, 20, 100):
                    lost = (25 - 5 * n) / length**0.5
                    rows.append(
                        result_row(
                            name, task, top - 12 + 3 * n - lost + noise, length=length, seed=seed
                        )
                    )
                for init, lost in (("uniform", 9 - 2 * n), ("vocabulary", 1)):
                    value = top - 14 + 3 * n - lost + noise
                    rows.append(result_row(name, task, value, length=100, init=init, seed=seed))
                for rate in (0.001, 0.003):
                    value = top + noise - 4000 * (rate - 0.001)
                    rows.append(result_row(name, task, value, method="model", seed=seed, rate=rate))
                rows.append(
                    result_row(
                        name, task, top + 2 + noise, method="multitask", seed=seed, rate=0.001,
                        trained_on="mixture/super_glue",
                    )
                )  # fmt: skip
            for text in ("is it so?", "answer"):
                rows.append(
                    result_row(
                        name, task, 35.0 + 2 * n + len(text), method="design", length=len(text),
                        init="text", text=text,
                    )
                )  # fmt: skip
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="session")
def pocket_study() -> pa.Table:
    """Figure 1, 3a, 3b on five pocket sizes, and 3c, 3d."""
    tasks = ["pocket/boolq", "pocket/rte"]
    table = study(lambda size: f"pocket:{size}", POCKET, tasks)
    rows = [
        result_row(
            f"pocket:{size}@{steps}", task, 40 + 4 * n + steps / 50 + seed, length=100, seed=seed
        )
        for n, size in enumerate(POCKET)
        for task in tasks
        for steps in (0, 200, 500)
        for seed in range(3)
    ]
    return pa.concat_tables([table, pa.Table.from_pylist(rows)])


@pytest.fixture(scope="session")
def real_study() -> pa.Table:
    """Figure 1, 3a, 3b on all sizes of T5 1.1 and the eight tasks."""
    tasks = list(paper_values.SUITE)
    return study(lambda size: f"google/t5-{size}-lm-adapt", T5, tasks)


# Short sweeps of the toy task, for the tests of executors.


@pytest.fixture(scope="module")
def compiled():
    """Worker processes share the compiled programs of this session."""
    values = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": jax.config.values["jax_compilation_cache_dir"],
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        patch.setattr(local, "PATIENCE", 0.05)
        patch.setattr("prompt_tuning.sweep.work.WAIT", 0.05)
        yield


@pytest.fixture(scope="session")
def one_layer(tiny_t5, tmp_path_factory) -> str:
    """The smallest model there is: most of the time goes into compiling."""
    tiny = load_t5(tiny_t5)
    config = dataclasses.replace(tiny.config, num_layers=1, num_decoder_layers=1)
    folder = tmp_path_factory.mktemp("models") / "one"
    save_t5(FrozenT5(config, init_params(config, seed=7), tiny.tokenizer, "one"), folder)
    return str(folder)


@pytest.fixture(scope="session")
def make(one_layer, toy_files):
    """A function that makes a short run of the toy task."""
    task = UserTask(toy_files, "review: {text}", label_field="mood",
                    labels={"yes": "yes", "no": "no"})  # fmt: skip

    def run(length=2, **changes) -> Run:
        fields = {
            "model": one_layer, "user_task": task, "steps": 6, "eval_every": 2,
            "batch_size": 4, "max_input_length": 32, "max_target_length": 4, "dropout": 0.1,
            "prompt": PromptConfig(length=length, init="vocabulary"),
        }  # fmt: skip
        return paper("toy", **{**fields, **changes})

    return run


@pytest.fixture(scope="session")
def grid(make) -> list[Run]:
    """Two populations of two, which share their compiled program, and a run of no steps."""
    text = PromptConfig(length=None, init="text", text="the film")
    return [*(make(seed=seed) for seed in range(4)), make(steps=0, prompt=text)]


@pytest.fixture(scope="session")
def whole(grid, tmp_path_factory) -> pathlib.Path:
    """An undisturbed sweep, in this process."""
    out = tmp_path_factory.mktemp("whole")
    work(populations(grid, Sizes(prompt=2)), out)
    return out
