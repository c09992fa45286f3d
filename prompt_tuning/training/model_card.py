"""What a pre-trained model was made of, beside its weights: model_card.json and README.md."""

import dataclasses
import hashlib
import pathlib
from typing import Any

import jax
import numpy as np

from prompt_tuning.prompts.files import write_file, write_json
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.t5.model import count_params
from prompt_tuning.training.pretraining import Pretraining

OBJECTIVES = {
    "span_corruption": "span corruption (15 % of the tokens in spans of 3 on average, as T5)",
    "prefix_lm": "the prefix language model (a text's beginning to its continuation, as T5)",
}


def tree_sha256(params: Any) -> str:
    """sha256 of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def file_hashes(folder: pathlib.Path) -> dict[str, str]:
    """sha256 of the files with weights, by name."""
    weights = sorted(folder.glob("*.safetensors"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in weights}


def model_card(
    config: Pretraining,
    t5: FrozenT5,
    folder: pathlib.Path,
    *,
    step: int,
    progress: dict[str, Any],
    validation: dict[str, float],
    inputs: dict[str, Any],
    command: str | None,
) -> dict[str, Any]:
    """The facts of a model written to `folder`. The same run gives the same card."""
    return {
        "name": config.name,
        "parameters": count_params(t5.config),
        "architecture": dataclasses.asdict(t5.config),
        "objective": config.objective,
        "steps": step,
        "tokens": progress["tokens"],
        "train_loss": progress["loss"],
        "validation_loss": validation["loss"],
        "validation_accuracy": validation["accuracy"],
        **inputs,
        "sha256": file_hashes(folder),
        "command": command or "pretrain(Pretraining.from_dict(config), 'runs')",
        "config": config.without_places(),
    }


def write_card(card: dict[str, Any], folder: pathlib.Path) -> None:
    """model_card.json for programs, README.md for people."""
    write_json(folder / "model_card.json", card)
    text, tokenizer, start = card["text"], card["tokenizer"], card["start"]
    rows = {
        "parameters": f"{card['parameters']:,}",
        "steps": f"{card['steps']:,}, {card['tokens']:,} tokens read and predicted",
        "loss": f"{card['train_loss']:.4f} nats a target token in training, "
        f"{card['validation_loss']:.4f} on held-out documents",
        "text": f"{text['source']}: {text['documents']:,} documents, {text['tokens']:,} tokens, "
        f"sha256 {text['sha256']}",
        "tokenizer": f"{tokenizer['pieces']:,} pieces, sha256 {tokenizer['sha256']}",
        "started from": f"{start['name']}, weights {start['sha256']}" if start else "scratch",
        "command": f"`{card['command']}`",
    }
    rows |= {file: f"sha256 {digest}" for file, digest in card["sha256"].items()}
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    objective = OBJECTIVES[card["objective"]]
    content = [
        f"# {card['name']}",
        "",
        f"A T5 trained with {objective}.",
        "`model_card.json` holds the same facts and the whole configuration.",
        "",
        "| | |",
        "|---|---|",
        *lines,
        "",
    ]
    write_file(folder / "README.md", "\n".join(content).encode())
