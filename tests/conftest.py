"""Strict JAX flags for every test, and the fixtures that several rooms share."""

import os
import pathlib

import jax
import pytest

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real data beside the project (or $PROMPT_TUNING_DATA)."""
    path = pathlib.Path(os.environ.get("PROMPT_TUNING_DATA") or ROOT.parent / "shared" / "data")
    if not (path / "README.md").is_file():
        pytest.skip(f"the validation data is not at {path}; set PROMPT_TUNING_DATA")
    return path
