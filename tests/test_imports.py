"""Rooms import downward only, and nothing heavy comes in before it is used."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "prompt_tuning"
FILES = sorted(PACKAGE.rglob("*.py"))

# Low to high. A room may import itself and what stands before it; the package's own
# `__init__` and `__main__` are the roof and may import all.
ROOMS = ["errors", "t5", "prompts", "tasks", "evaluation", "training", "sweep", "cli"]
ROOF = ["__init__", "__main__"]

# A laptop without these must still import the package, and none has a place in its start.
HEAVY = ["tensorflow", "tensorflow_datasets", "transformers", "torch", "datasets", "matplotlib"]


def room(file: pathlib.Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.Module, file: pathlib.Path) -> set[str]:
    """The rooms that a file's import statements name, wherever in the file they stand."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import in line {node.lineno}"
            # `from prompt_tuning import training` and `from prompt_tuning.training import loop`
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    parts = [name.split(".") for name in names]
    return {part[1] if len(part) > 1 else "__init__" for part in parts if part[0] == PACKAGE.name}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_downward(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if room(file) in ROOF:
        return
    assert room(file) in ROOMS, f"{file} is in no room of the house"
    allowed = ROOMS[: ROOMS.index(room(file)) + 1]
    assert imported_rooms(tree, file) <= set(allowed)


def test_the_check_sees_every_way_to_import():
    file = PACKAGE / "t5" / "x.py"
    for statement in (
        "import prompt_tuning.training.loop",
        "from prompt_tuning import training",
        "from prompt_tuning.training import loop",
        "def late():\n  from prompt_tuning.training.loop import step",
    ):
        assert imported_rooms(ast.parse(statement), file) == {"training"}
    assert imported_rooms(ast.parse("import jax, prompt_tuning"), file) == {"__init__"}


def test_importing_the_package_is_light():
    program = "import sys, prompt_tuning; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert "prompt_tuning" in done.stdout.split()
    assert sorted(set(HEAVY) & set(done.stdout.split())) == []
