"""Several devices give the results of one; run in a process of its own with 4 CPU devices."""

import json
import os
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import load_prompt
from prompt_tuning.t5.config import SIZES
from prompt_tuning.t5.model import param_shapes
from prompt_tuning.t5.sharding import make_mesh, param_specs
from prompt_tuning.training.loop import train
from prompt_tuning.training.run import model_tuning

PROGRAM = """
    import json, sys
    import jax
    from prompt_tuning.training.loop import train
    from prompt_tuning.training.run import Run

    assert jax.device_count() == 4
    for parallel in (1, 2):
        for values in json.load(open(sys.argv[1])):
            runs = [Run.from_dict(v) for v in values]
            train(runs, f"{sys.argv[2]}/{parallel}", quiet=True, model_parallel=parallel)
"""


def test_four_devices_give_the_results_of_one(toy_run, tmp_path):
    prompts = [toy_run(length=3, seed=1), toy_run(length=2, seed=2)]
    whole = [toy_run(make_run=model_tuning, steps=3, dropout=0.0)]
    alone = [train(runs, tmp_path / "alone", quiet=True) for runs in (prompts, whole)]
    listed = [[run.to_dict() for run in runs] for runs in (prompts, whole)]
    (tmp_path / "runs.json").write_text(json.dumps(listed))
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    arguments = [tmp_path / "program.py", tmp_path / "runs.json", tmp_path]
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **flags}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    for parallel in ("1", "2"):
        for result in alone[0]:
            other = load_prompt(tmp_path / parallel / result.run.id / "last_prompt.safetensors")
            want = load_prompt(result.directory / "last_prompt.safetensors")
            np.testing.assert_allclose(other.array, want.array, atol=1e-5)
        for result in alone[1]:
            rows = [
                [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
                for folder in (result.directory, tmp_path / parallel / result.run.id)
            ]
            np.testing.assert_allclose(rows[0][0]["loss"], rows[1][0]["loss"], rtol=1e-4)


def test_every_large_weight_of_xxl_is_split():
    shapes = param_shapes(SIZES["xxl"])
    specs = jax.tree.leaves(param_specs(shapes, 8), is_leaf=lambda x: isinstance(x, PartitionSpec))
    for leaf, spec in zip(jax.tree.leaves(shapes), specs, strict=True):
        assert leaf.size < 1_000_000 or "model" in spec
        assert len(leaf.shape) > 1 or "model" not in spec  # the final norms


def test_a_mesh_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="does not divide"):
        make_mesh(3)
