"""Checkpoints of one run: its trainables, optimiser state and counters, never the frozen model.

Orbax writes into a temporary folder and renames it, so a kill inside a save leaves the one before.
"""

import contextlib
import pathlib
import shutil
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from prompt_tuning.errors import UserError

KEEP = 2  # the members of a population may be killed one save apart


class Damaged(UserError):
    """A checkpoint that cannot be used. It is kept, but under another name."""


def save(folder: pathlib.Path, step: int, tree: Any, meta: dict[str, Any]) -> None:
    """Write `tree` (arrays) and `meta` (JSON values) as `folder/step`; older ones beyond 2 go."""
    state: Any = {
        _name(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }
    path = str((folder / str(step)).absolute())
    ocp.save(path, state, overwrite=True, custom_metadata=meta)
    for old in steps(folder)[:-KEEP]:
        shutil.rmtree(folder / str(old), ignore_errors=True)


def steps(folder: pathlib.Path) -> list[int]:
    """The steps of the finished checkpoints, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def starts(folder: pathlib.Path) -> set[int]:
    """The steps that a run may go on from without losing more than one save."""
    saved = steps(folder)
    damaged = len(list(folder.glob("*.damaged")))
    return {*saved, 0} if len(saved) + damaged < KEEP else set(saved) or {0}


def load(folder: pathlib.Path, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
    """The tree of `folder/step` in the structure, shapes and dtypes of `like`, and its meta.

    Raises Damaged, having put it aside, if the checkpoint is damaged or is not of this run;
    UserError if it cannot be read for another reason, such as too many open files.
    """
    path = str((folder / str(step)).absolute())
    try:
        flat: Any = ocp.load(path)
        meta: Any = ocp.metadata(path).custom_metadata
    except Exception as error:
        if isinstance(error, (OSError, MemoryError)) and not isinstance(error, FileNotFoundError):
            raise UserError(f"the checkpoint {path} cannot be read: {error}") from error
        raise _put_aside(path, f"cannot be read ({type(error).__name__})") from error
    found = {name: (x.shape, x.dtype) for name, x in flat.items()}
    leaves = jax.tree_util.tree_leaves_with_path(like)
    wanted = {_name(p): (x.shape, x.dtype) for p, x in leaves}
    if found != wanted:
        raise _put_aside(path, "is not of this run")
    restored = [np.asarray(flat[_name(p)]) for p, _ in leaves]
    return jax.tree.unflatten(jax.tree.structure(like), restored), meta


def _put_aside(path: str, why: str) -> Damaged:
    aside = pathlib.Path(f"{path}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    pathlib.Path(path).rename(aside)
    return Damaged(f"the checkpoint {path} {why}; it is kept as {aside.name}")


def drop_after(folder: pathlib.Path, step: int) -> list[int]:
    """Remove the checkpoints of later steps, which training from `step` on makes untrue."""
    later = [n for n in steps(folder) if n > step]
    for n in later:
        shutil.rmtree(folder / str(n))
    return later


def clear(folder: pathlib.Path) -> None:
    """Remove all checkpoints, also those a kill left half-written."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")
