"""Prompts as virtual tokens: the trainable table extends the frozen embedding table.

A token id below V is a row of the frozen table `[V, D]`; id V + r * P + k is row k of prompt r of
the prompt table `[R, P, D]`. The data pipeline writes the virtual ids where the prompt belongs; the
model sees embedded inputs only. Shape letters: B rows, T length, D d_model, V vocabulary,
R prompts, P rows a prompt.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.marks import PROMPT_MARK


def virtual_ids(
    vocab_size: int, length: int, prompt: int = 0, rows: int | None = None
) -> list[int]:
    """The ids of the `length` rows of one prompt; a table has `rows` (default: length) a prompt."""
    first = vocab_size + prompt * (length if rows is None else rows)
    return list(range(first, first + length))


def embed(embedding_VD: Array, prompts_RPD: Array | None, ids_BT: Array) -> Array:
    """Two gathers and a where: real ids from the frozen table, virtual ids from the prompts.

    The result `[B, T, D]` has the frozen table's dtype; prompts are float32 and cast on use.
    """
    V, D = embedding_VD.shape
    if prompts_RPD is None:
        return jnp.take(embedding_VD, ids_BT, axis=0)
    table = prompts_RPD.reshape(-1, D).astype(embedding_VD.dtype)
    real = jnp.take(embedding_VD, jnp.minimum(ids_BT, V - 1), axis=0)
    virtual = jnp.take(table, jnp.clip(ids_BT - V, 0, len(table) - 1), axis=0)
    return jnp.where((ids_BT >= V)[:, :, None], virtual, real)


def stack_prompts(arrays_PD: Sequence[np.ndarray], rows: int | None = None) -> np.ndarray:
    """Prompts of any lengths as one float32 table `[R, rows, D]`, 0 beyond a length."""
    table = np.zeros(
        (len(arrays_PD), rows or max(map(len, arrays_PD)), arrays_PD[0].shape[1]), np.float32
    )
    for r, array in enumerate(arrays_PD):
        table[r, : len(array)] = array
    return table


def prompt_index(pieces: Sequence[Sequence[int]], position: str) -> int:
    """Where in the concatenated pieces the prompt goes; the last id of the text is EOS.

    `pieces` is the tokenised text: one piece, or for "template" the two around the mark. "prefix"
    is the paper's position (section 2); "after_first" and "suffix" are those of the released code.
    """
    length = sum(map(len, pieces))
    at = {
        "prefix": 0,
        "after_first": min(1, length),
        "suffix": max(length - 1, 0),
        "template": len(pieces[0]),
    }
    return at[position]


def split_template(text: str, template: str | None) -> tuple[str, str]:
    """The text before and after the prompt.

    `template` holds {prompt} and {input} once each (checked by `Prompt`); without one the text
    holds the mark, or UserError is raised.
    """
    if template is not None:
        before, _, after = template.partition("{prompt}")
        text = text.replace(PROMPT_MARK, "")
        return before.replace("{input}", text), after.replace("{input}", text)
    before, mark, after = text.partition(PROMPT_MARK)
    if not mark:
        raise UserError(
            "prompt position 'template' needs {prompt} in the task's template, or a prompt template"
        )
    return before, after
