"""What a process sets for JAX's compiler, seen from outside: settings count once, at the start."""

import json
import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, jax, jax.numpy as jnp
from prompt_tuning.t5 import runtime
runtime.plain_cpu_products()
runtime.keep_compiled()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
x = jax.jit(lambda x: x @ x)(jnp.ones((4, 4)))  # a flag unknown to XLA would end the process here
folder = jax.config.values["jax_compilation_cache_dir"]
print(json.dumps([folder, os.environ.get("XLA_FLAGS"), float(x[0, 0])]))
"""


def run(tmp_path, **variables):
    unset = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE", "XLA_FLAGS")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    environment = {**kept, "XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu", **variables}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_compiled_programs_are_kept_in_the_user_s_cache(tmp_path):
    folder, flags, value = run(tmp_path)
    assert folder == str(tmp_path / "prompt_tuning" / "compiled")
    assert any((tmp_path / "prompt_tuning" / "compiled").iterdir())
    assert "ynn_fusion_type=" in flags
    assert value == 4.0


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({"JAX_ENABLE_COMPILATION_CACHE": "false"}, None),
        ({"JAX_COMPILATION_CACHE_DIR": "{}/mine"}, "{}/mine"),
    ],
)
def test_what_the_user_has_set_stays(tmp_path, variables, kept):
    variables = {name: value.format(tmp_path) for name, value in variables.items()}
    flags = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"
    found = run(tmp_path, **variables, XLA_FLAGS=flags)
    assert found[:2] == [kept and kept.format(tmp_path), flags]
    assert not (tmp_path / "prompt_tuning").exists()


MEMORY = """
import pathlib, numpy as np
from prompt_tuning.t5 import runtime
{call}

def resident():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

before = resident()
np.ones(16 * 2**20)  # 128 MiB, freed at once
print(round(resident() - before))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone is set")
def test_freed_memory_is_kept_for_the_next_step():
    left = [
        int(subprocess.check_output([sys.executable, "-c", MEMORY.format(call=call)]))
        for call in ("", "runtime.reuse_memory()")
    ]
    assert left[0] < 16
    assert left[1] > 112
