"""The public names: type checkers and programs see the same, whatever was imported before."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest

import prompt_tuning as pt
from prompt_tuning.evaluate.evaluate import evaluate
from prompt_tuning.train.loop import train


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
        if name in ("evaluate", "train"):
            continue
        assert getattr(pt, name) is getattr(sys.modules[module], name)
        if inspect.isfunction(getattr(pt, name)) or inspect.isclass(getattr(pt, name)):
            assert getattr(pt, name).__module__ == module


def test_rooms_named_like_a_function_are_called_like_it(monkeypatch):
    for name, function in (("train", train), ("evaluate", evaluate)):
        home = function.__module__
        monkeypatch.setattr(f"{home}.{name}", lambda *args, **options: (args, options))
        assert getattr(pt, name)(1, 2, a=3) == ((1, 2), {"a": 3})


@pytest.mark.parametrize("first", ["", "import prompt_tuning.train.run", "pt.Run"])
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
