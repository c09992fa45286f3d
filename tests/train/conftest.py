"""Toy runs: a tiny model and a task that takes a few steps to learn."""

import json

import numpy as np
import pytest

from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.train.run import Run, UserTask, paper

GOOD, BAD = ("good", "great", "fine", "happy"), ("bad", "awful", "poor", "sad")


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory):
    """Sentences with one telling word; train, validation."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 64), ("validation", 24)):
        rows = []
        for n in range(count):
            words = GOOD if n % 2 else BAD
            text = f"the film was {words[rng.integers(4)]}" + " and long" * int(rng.integers(3))
            rows.append({"text": text, "mood": "yes" if n % 2 else "no"})
        files[split] = str(folder / f"{split}.jsonl")
        with open(files[split], "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return files


@pytest.fixture
def toy_run(tiny_t5, toy_files):
    """A function that makes a run: prompt tuning of the tiny model on the toy task."""

    def make(length=4, make_run=paper, **changes) -> Run:
        task = UserTask(
            files=toy_files,
            template="review: {text}",
            label_field="mood",
            labels={"no": "no", "yes": "yes"},
        )
        defaults = {
            "model": str(tiny_t5),
            "user_task": task,
            "prompt": PromptConfig(length=length, init="vocabulary"),
            "steps": 6,
            "eval_every": 3,
            "batch_size": 4,
            "max_input_length": 32,
            "max_target_length": 6,
        }
        return make_run("toy", **{**defaults, **changes})

    return make
