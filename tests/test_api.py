"""The public names: type checkers and programs see the same, whatever was imported before."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest

import prompt_tuning as pt


def test_type_checkers_see_the_names_that_programs_get():
    tree = ast.parse(pathlib.Path(pt.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: f"{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(seen) == pt.__all__ == sorted(set(dir(pt)) - {"__version__"})
    for name, module in seen.items():
        assert getattr(pt, name) is getattr(sys.modules[module], name)
        if inspect.isfunction(getattr(pt, name)) or inspect.isclass(getattr(pt, name)):
            assert getattr(pt, name).__module__ == module


@pytest.mark.parametrize("first", ["", "import prompt_tuning.training.run", "pt.Run"])
def test_the_order_of_imports_does_not_matter(first):
    program = f"""
import sys
import prompt_tuning as pt
assert "jax" not in sys.modules
{first}
assert callable(pt.train) and callable(pt.evaluate)
from prompt_tuning import tasks
assert tasks.__name__ == "prompt_tuning.tasks"
try:
    pt.trian
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "module 'prompt_tuning' has no attribute 'trian'\n", done.stderr
