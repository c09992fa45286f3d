"""`prompt-tuning prompt show|convert|neighbours` and `prompt-tuning convert`."""

import dataclasses
import pathlib
from typing import Literal

import numpy as np
import tyro

from prompt_tuning.cli.common import load_base, read_prompt
from prompt_tuning.prompts import neighbours as reading
from prompt_tuning.prompts.prompt import base_metadata, check_base
from prompt_tuning.t5.load import load_t5, save_t5
from prompt_tuning.t5.model import count_params

Path = tyro.conf.Positional[pathlib.Path]


def show(prompt: Path) -> None:
    """Show a prompt's size, place, norms and all that is known about it.

    Args:
        prompt: a prompt in any readable format, or the directory of its run.
    """
    found = read_prompt(prompt)
    norms = np.linalg.norm(found.array, axis=1)
    facts = {
        "length": found.length,
        "d_model": found.array.shape[1],
        "position": found.position,
        **({} if found.template is None else {"template": found.template}),
        "row norms": f"{norms.min():.4g} to {norms.max():.4g}, mean {norms.mean():.4g}",
        **found.metadata,
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")


def convert_prompt(
    source: Path,
    target: Path,
    format: Literal["bundle", "npy", "t5x", "peft"] = "bundle",
    model: str | None = None,
    force: bool = False,
) -> None:
    """Write a prompt in another format.

    Only a bundle keeps position and metadata. PEFT adapters, T5X numpy_checkpoints, .npy files and
    PyTorch files of OpenPrompt and OpenDelta are read as well.

    Args:
        source: a prompt in any readable format, or the directory of its run.
        target: the file ("bundle", "npy") or folder ("t5x", "peft") to write.
        format: what to write.
        model: the base it belongs to, checked and written down where the source does not know it.
        force: though it was made for another base.
    """
    prompt = read_prompt(source)
    if model is not None:
        t5 = load_t5(model)
        check_base(prompt, t5, force)
        old = ("base_model", "base_revision", "base_fingerprint", "tokenizer_hash")
        kept = {name: value for name, value in prompt.metadata.items() if name not in old}
        prompt = dataclasses.replace(prompt, metadata={**kept, **base_metadata(t5)})
    prompt.save(target, format)
    print(f"{target}: {prompt.length} rows of {prompt.array.shape[1]}")


def neighbours(
    prompt: Path,
    model: str | None = None,
    k: int = 5,
    metric: reading.Metric = "cosine",
    labels: tuple[str, ...] = (),
    tokenizer: str | None = None,
    force: bool = False,
) -> None:
    """Show the vocabulary items nearest to each row of a prompt (section 7 of the paper).

    Args:
        prompt: a prompt in any readable format, or the directory of its run.
        model: its base: a folder, hub id, pocket:SIZE or random:SIZE. None: the one written in
            the prompt.
        k: neighbours of each row.
        metric: of nearness; the paper's is "cosine".
        labels: texts whose pieces are looked for among the neighbours.
        tokenizer: a folder or file, in place of the model's own.
        force: though it was made for another base.
    """
    found = read_prompt(prompt)
    t5 = load_base(model, {"prompt": found}, tokenizer=tokenizer)
    near = reading.nearest(found, t5, k, metric, force)
    for row, (pieces, scores) in enumerate(zip(near.pieces, near.scores, strict=True)):
        pairs = "  ".join(f"{p} {s:.3f}" for p, s in zip(pieces, scores, strict=True))
        print(f"{row:>4}  {pairs}")
    for cluster in reading.clusters(near):
        rows = ", ".join(map(str, cluster.rows))
        print(f"{len(cluster.rows)} rows are nearest to {cluster.piece}: {rows}")
    for label in reading.label_persistence(near, t5.tokenizer, labels):
        rows = ", ".join(map(str, label.rows)) or "none"
        print(f"{label.piece} of the label {label.label!r} is near rows: {rows}")


def convert(
    source: tyro.conf.Positional[str],
    target: Path,
    dtype: Literal["float32", "bfloat16"] | None = None,
    revision: str | None = None,
    tokenizer: str | None = None,
    max_distance: int | None = None,
) -> None:
    """Write a model as a Hugging Face folder with safetensors.

    Args:
        source: a Hugging Face folder (safetensors or pytorch_model.bin), a T5X checkpoint, a hub
            id, pocket:SIZE or random:SIZE.
        target: the folder to make.
        dtype: of the weights written. None: as stored, but float32 on a CPU.
        revision: of a hub id: a commit, branch or tag.
        tokenizer: a folder or file, in place of the model's own.
        max_distance: of relative positions, which T5X checkpoints do not tell.
    """
    t5 = load_t5(source, revision, dtype, tokenizer=tokenizer, max_distance=max_distance)
    save_t5(t5, target)
    print(f"{target}: {count_params(t5.config):,} parameters, {t5.dtype}")
