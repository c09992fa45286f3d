"""`train` from end to end: learning, populations, resumption after any kill, errors."""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import evaluate
from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.prompts.prompt import load_prompt
from prompt_tuning.t5.load import load_t5
from prompt_tuning.tasks.mixture import mix
from prompt_tuning.training import checkpoint, records
from prompt_tuning.training.data import SharedData
from prompt_tuning.training.loop import train
from prompt_tuning.training.member import Member, initial_prompt, load_result, shown_examples
from prompt_tuning.training.optimizer import OptimizerConfig
from prompt_tuning.training.population import Population
from prompt_tuning.training.run import Run, model_tuning, paper, released
from prompt_tuning.training.stop import Interrupted


def metrics(directory: pathlib.Path, kind: str) -> list[dict]:
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


def outcome(directory: pathlib.Path) -> dict:
    """Everything a run leaves, except wall-clock times."""
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in rows]
    files = ("config.json", "result.json", "predictions.jsonl", "best_prompt.safetensors",
             "last_prompt.safetensors")  # fmt: skip
    return {"metrics": timeless, **{name: (directory / name).read_bytes() for name in files}}


def test_model_tuning_then_prompt_tuning_on_the_frozen_result(toy_run, tmp_path):
    first = train(
        toy_run(
            make_run=model_tuning, steps=60, eval_every=20, batch_size=16, dropout=0.0,
            optimizer=OptimizerConfig(name="adamw", learning_rate=3e-3, weight_decay=0.0),
        ),
        tmp_path,
        quiet=True,
    )  # fmt: skip
    assert first.score == 100.0
    base = load_t5(first.directory / "best_model")
    before = jax.tree.map(np.array, base.params)
    run = toy_run(model=str(first.directory / "best_model"), steps=20, eval_every=10, batch_size=8)
    second = train(run, tmp_path, t5=base, quiet=True)
    losses = [row["loss"] for row in metrics(second.directory, "train")]
    assert losses[-1] < 1.0
    assert second.prompt.array.shape == (4, base.config.d_model)
    # The frozen model is untouched, bit for bit, and in no file of the run.
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(base.params), strict=True):
        np.testing.assert_array_equal(a, b)
    saved = checkpoint.steps(second.directory / "checkpoints")[-1]
    flat = {
        path.name: path.stat().st_size
        for path in (second.directory / "checkpoints" / str(saved)).rglob("*")
        if path.is_file()
    }
    assert sum(flat.values()) < 100_000


@pytest.mark.parametrize("packing", [False, True])
def test_a_population_leaves_what_its_runs_leave_alone(toy_run, tmp_path, packing):
    make = functools.partial(toy_run, packing=packing)
    runs = [
        make(length=3, seed=1),
        make(length=3, seed=3, make_run=released, batch_size=4, dropout=0.0, z_loss=0.0,
             loss="mean", evaluation="score"),
        make(length=5, train_examples=10, optimizer=OptimizerConfig(learning_rate=0.1),
             prompt=PromptConfig(length=5, init="uniform", position="suffix")),
    ]  # fmt: skip
    together = train(runs, tmp_path / "together", quiet=True)
    for result in together:
        alone = train(result.run, tmp_path / "alone", quiet=True)
        a, b = (load_prompt(r.directory / "last_prompt.safetensors").array for r in (result, alone))
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert result.score == alone.score
        for x, y in zip(metrics(result.directory, "train"), metrics(alone.directory, "train"),
                        strict=True):  # fmt: skip
            np.testing.assert_allclose(x["loss"], y["loss"], rtol=1e-4)
            assert x["tokens"] == y["tokens"]
            assert 0 <= x["padding"] < 0.7
        assert 0 <= metrics(result.directory, "eval")[0]["padding"] < 0.7


def test_a_finished_run_is_not_trained_again(toy_run, tmp_path):
    run = toy_run()
    result = train(run, tmp_path, quiet=True)
    before = {
        path: path.stat().st_mtime_ns
        for path in result.directory.rglob("*")
        if path.name != ".lock"
    }
    assert train(run, tmp_path, quiet=True) == result
    assert before == {
        path: path.stat().st_mtime_ns
        for path in result.directory.rglob("*")
        if path.name != ".lock"
    }
    assert load_result(result.directory).run == run


def test_a_run_of_no_steps_scores_what_it_would_start_from(toy_run, tmp_path):
    text = PromptConfig(length=None, init="text", text="the film was good")
    runs = [toy_run(steps=0, prompt=text), toy_run(steps=0)]
    results = train(runs, tmp_path, quiet=True)
    t5 = load_t5(runs[0].model)
    for result in results:
        start = initial_prompt(result.run, result.run.get_task(), t5)
        np.testing.assert_array_equal(result.prompt.array, start.array)
        task = result.run.get_task()
        alone = evaluate(t5, task, start, max_input_length=32, max_target_length=6)
        assert (result.score, result.best_step, result.steps) == (alone.scores.primary, 0, 0)
    # The text as a prompt is the text in front of the input.
    words = dataclasses.replace(runs[0].user_task, template="the film was good review: {text}")
    bare = toy_run(steps=0, make_run=model_tuning, user_task=words, max_input_length=48)
    assert train(bare, tmp_path, quiet=True).score == results[0].score
    (results[0].directory / "result.json").unlink()  # killed at the very end
    assert train(runs, tmp_path, quiet=True) == results
    assert len(metrics(results[0].directory, "eval")) == 1


def test_a_signal_saves_and_the_run_goes_on_to_the_same_end(toy_run, tmp_path, monkeypatch):
    run = toy_run(steps=7, dropout=0.2)
    want = outcome(train(run, tmp_path / "whole", quiet=True, log_every=2).directory)
    original = records.append_jsonl

    def interrupt(path, row):  # at the first log line, in the middle of the run
        original(path, row)
        if row["step"] == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("prompt_tuning.training.population.append_jsonl", interrupt)
    with pytest.raises(Interrupted) as stopped:
        train(run, tmp_path / "stopped", quiet=True, log_every=2)
    assert stopped.value.signal == signal.SIGTERM
    monkeypatch.undo()
    assert not (tmp_path / "stopped" / run.id / "result.json").exists()
    got = outcome(train(run, tmp_path / "stopped", quiet=True, log_every=2).directory)
    assert got == want


KILLED = """
    import json, os, random, signal, sys
    from prompt_tuning.training import checkpoint
    from prompt_tuning.training.loop import train
    from prompt_tuning.training.run import Run

    # Die in the given number of calls from now, before, inside or after a save, or between steps.
    place, count = sys.argv[3], int(sys.argv[4])

    def dying(function, after):
        def call(*args, **kwargs):
            global count
            count -= 1
            if count < 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if count < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call

    if place == "rename":  # Orbax has written its temporary folder and is about to commit it
        from orbax.checkpoint._src.path import atomicity
        cls = atomicity.AtomicRenameTemporaryPath
        cls.finalize = dying(cls.finalize, after=False)
    elif place == "save":
        checkpoint.save = dying(checkpoint.save, after=True)
    elif place == "log":
        import prompt_tuning.training.population as loop
        loop.append_jsonl = dying(loop.append_jsonl, after=True)
    elif place == "prompt":
        from prompt_tuning.training.member import Member
        Member.save = dying(Member.save, after=False)
    runs = [Run.from_dict(values) for values in json.load(open(sys.argv[1]))]
    train(runs, sys.argv[2], quiet=True, log_every=1, save_seconds=0.0)
"""


def test_runs_killed_at_any_moment_end_as_if_never_killed(toy_run, tmp_path):
    runs = [toy_run(length=3, seed=1, dropout=0.1), toy_run(length=2, seed=2, dropout=0.1)]
    results = train(runs, tmp_path / "whole", quiet=True, log_every=1)
    (tmp_path / "runs.json").write_text(json.dumps([run.to_dict() for run in runs]))
    (tmp_path / "killed.py").write_text(textwrap.dedent(KILLED))
    places = [("log", 1), ("save", 0), ("rename", 2), ("save", 1), ("prompt", 1), ("rename", 1)]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    environment = {**os.environ, **cache, "JAX_PLATFORMS": "cpu"}
    for place, count in places:
        arguments = [tmp_path / "killed.py", tmp_path / "runs.json", tmp_path / "killed"]
        done = subprocess.run(
            [sys.executable, *arguments, place, str(count)], env=environment, capture_output=True
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    after = train(runs, tmp_path / "killed", quiet=True, log_every=1)
    for want, got in zip(results, after, strict=True):
        assert outcome(got.directory) == outcome(want.directory)


def test_a_damaged_checkpoint_falls_back_on_the_one_before(toy_run, tmp_path, caplog):
    run = toy_run()
    result = train(run, tmp_path, quiet=True)
    want = outcome(result.directory)
    (result.directory / "result.json").unlink()
    for path in (result.directory / "checkpoints" / "6").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert outcome(train(run, tmp_path, quiet=True).directory) == want
    assert "cannot be read" in caplog.text


def test_early_stopping_keeps_the_best_step(toy_run, tmp_path):
    still = OptimizerConfig(learning_rate=0.0, weight_decay=0.0)
    run = toy_run(steps=20, eval_every=2, patience=2, optimizer=still)
    result = train(run, tmp_path, quiet=True)
    assert (result.best_step, result.steps) == (2, 6)
    assert [row["step"] for row in metrics(result.directory, "eval")] == [2, 4, 6]
    # In a population too, though its neighbour goes on.
    longer = dataclasses.replace(run, patience=None, seed=1)
    together = train([run, longer], tmp_path / "together", quiet=True)
    assert [r.steps for r in together] == [6, 20]
    last = [load_prompt(r.directory / "last_prompt.safetensors") for r in (result, together[0])]
    assert [prompt.metadata["step"] for prompt in last] == ["6", "6"]
    np.testing.assert_allclose(last[0].array, last[1].array, atol=1e-5)


@pytest.mark.parametrize("packing", [False, True])  # packed runs share the parts of batches
def test_a_loss_that_is_not_finite_stops_that_run_only(toy_run, tmp_path, monkeypatch, packing):
    original = Population.batch

    def poisoned(self, step):  # NaN reaches the loss of run 0 at its third step
        if step == 2:
            table = self.state.trainable[0]["prompt"]["table"]
            self.state.trainable[0]["prompt"]["table"] = table.at[0].set(np.nan)
        return original(self, step)

    monkeypatch.setattr(Population, "batch", poisoned)
    runs = [toy_run(seed=1, packing=packing), toy_run(seed=2, packing=packing)]
    with pytest.raises(UserError, match=f"not finite: {runs[0].id} at step 3"):
        train(runs, tmp_path, quiet=True)
    assert load_result(tmp_path / runs[1].id).steps == 6
    assert not (tmp_path / runs[0].id / "result.json").exists()
    monkeypatch.undo()  # what was wrong is mended: the run goes on from its last sound checkpoint
    assert train(runs, tmp_path, quiet=True)[0].steps == 6


def test_a_bad_loss_at_an_evaluation_names_its_step(toy_run, tmp_path, monkeypatch):
    original = Population.batch

    def poisoned(self, step):
        if step == 2:
            table = self.state.trainable[0]["prompt"]["table"]
            self.state.trainable[0]["prompt"]["table"] = table * np.nan
        return original(self, step)

    monkeypatch.setattr(Population, "batch", poisoned)
    for _ in range(2):  # a second try goes on from the last sound checkpoint and fails alike
        with pytest.raises(UserError, match=r"not finite: .* at step 3"):
            train(toy_run(eval_every=1), tmp_path, quiet=True)


def test_a_failed_run_does_not_hold_back_its_neighbours(toy_run, tmp_path, monkeypatch):
    runs = [toy_run(seed=1, eval_every=2), toy_run(seed=2, eval_every=2)]
    original, seen = Population.batch, []

    def poisoned(self, step):
        seen.append(step)
        if step == 0:
            table = self.state.trainable[0]["prompt"]["table"]
            self.state.trainable[0]["prompt"]["table"] = table.at[0].set(np.nan)
        if seen == [0, 1, 2, 3, 4]:
            signal.raise_signal(signal.SIGTERM)
        return original(self, step)

    monkeypatch.setattr(Population, "batch", poisoned)
    with pytest.raises(Interrupted):
        train(runs, tmp_path, quiet=True)
    with pytest.raises(UserError, match=f"not finite: {runs[0].id} at step 1"):
        train(runs, tmp_path, quiet=True)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert load_result(tmp_path / runs[1].id).steps == 6


def test_changed_data_or_another_base_are_refused(toy_run, toy_files, tmp_path):
    mine = {}
    for split, path in toy_files.items():
        mine[split] = str(tmp_path / f"{split}.jsonl")
        shutil.copy(path, mine[split])
    run = toy_run(user_task=dataclasses.replace(toy_run().user_task, files=mine))
    result = train(run, tmp_path / "out", quiet=True)
    lines = pathlib.Path(mine["train"]).read_text().splitlines(keepends=True)
    pathlib.Path(mine["train"]).write_text("".join(lines[:-2]))
    with pytest.raises(UserError, match="the data of split train has changed"):
        train(run, tmp_path / "out", quiet=True)
    written = (result.directory / "result.json").read_bytes()
    (result.directory / "result.json").unlink()  # as if it had been killed at the very end
    with pytest.raises(UserError, match="the data of split train has changed"):
        train(run, tmp_path / "out", quiet=True)
    pathlib.Path(mine["train"]).write_text("".join(lines))
    base = load_t5(run.model)
    params = jax.tree.map(lambda x: x + 1, base.params)
    with pytest.raises(UserError, match="the base model has changed"):
        train(run, tmp_path / "out", t5=dataclasses.replace(base, params=params), quiet=True)
    with pytest.raises(UserError, match="the model in memory is other"):
        train(run, tmp_path / "out", t5=dataclasses.replace(base, name="other"), quiet=True)
    assert train(run, tmp_path / "out", quiet=True) == result
    assert (result.directory / "result.json").read_bytes() == written


def test_a_second_process_on_the_same_run_is_refused(toy_run, tmp_path):
    run = toy_run()
    with (
        records.lock(tmp_path / run.id),
        pytest.raises(UserError, match=rf"in use by process {os.getpid()}"),
    ):
        train(run, tmp_path, quiet=True)


def test_a_full_disk_is_one_clear_line_and_loses_nothing(toy_run, tmp_path, monkeypatch):
    run = toy_run(steps=9)
    want = outcome(train(run, tmp_path / "whole", quiet=True).directory)
    original = checkpoint.save

    def full(folder, step, *args):
        if step == 6:
            raise OSError(28, "No space left on device")
        original(folder, step, *args)

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(UserError, match="is full: make room and run again"):
        train(run, tmp_path / "full", quiet=True)
    monkeypatch.undo()
    assert outcome(train(run, tmp_path / "full", quiet=True).directory) == want


def test_bad_runs_are_refused_with_the_remedy(toy_run, tmp_path):
    run = toy_run()
    wordy = dataclasses.replace(run.user_task, labels={"no": "no good", "yes": "yes it was good"})
    cases = [
        (lambda: Run.from_dict({**run.to_dict(), "stepz": 3}), "steps"),
        (lambda: Run.from_dict({"task": "a", "prompt": {"lenght": 3}}), "length"),
        (lambda: toy_run(steps=-1), "steps must be 0"),
        (lambda: toy_run(batch_size=4, micro_batches=3), "micro_batches"),
        (lambda: toy_run(loss="summ"), "unknown loss 'summ'; did you mean sum"),
        (lambda: toy_run(seed=-1), "seed"),
        (lambda: toy_run(train_examples=0), "train_examples must be at least 1"),
        (lambda: paper("x", stepz=3), "steps"),
        (lambda: OptimizerConfig(name="sgd"), "adafactor"),
        (lambda: OptimizerConfig(learning_rate=float("nan")), "learning_rate"),
        (lambda: train(run, tmp_path, log_every=0), "log_every"),
        (lambda: train([], tmp_path), "no runs"),
        (lambda: train([run, run], tmp_path), "twice"),
        (lambda: train([run, toy_run(steps=7)], tmp_path), "cannot share"),
        (lambda: train(toy_run(dtype="float16"), tmp_path), "float16 is refused"),
        (lambda: train(toy_run(user_task=wordy, max_target_length=3), tmp_path), "max_target"),
        (lambda: train(toy_run(length=0), tmp_path), "prompt length 0"),
        (lambda: train(toy_run(model=str(tmp_path / "nowhere")), tmp_path), "nowhere"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("result.json"))


def test_an_unwritable_folder_is_refused(toy_run, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="cannot write"):
        train(toy_run(), tmp_path / "file", quiet=True)


def test_the_id_names_the_run_and_hashes_its_configuration(toy_run):
    run = toy_run()
    assert run.id == toy_run().id
    assert run.id != dataclasses.replace(run, seed=1).id
    assert run.id != toy_run(optimizer=OptimizerConfig(learning_rate=0.2)).id
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    moved = dataclasses.replace(run, data=dataclasses.replace(run.data, dir="/elsewhere"))
    assert moved.id == run.id


def test_the_presets_differ_as_the_paper_and_its_code_do():
    a, b = paper("super_glue/rte"), released("super_glue/rte")
    assert (a.steps, a.batch_size, a.prompt.length) == (30_000, 32, 100)
    assert a.optimizer.learning_rate == 0.3
    changed = {f.name for f in dataclasses.fields(Run) if getattr(a, f.name) != getattr(b, f.name)}
    assert changed == {"optimizer", "batch_size", "dropout", "z_loss", "loss"}
    assert (b.batch_size, b.dropout, b.z_loss) == (128, 0.1, 1e-4)
    assert b.optimizer.start_step == 1_100_000


def test_long_texts_are_counted_and_reported(toy_run, tmp_path, caplog):
    result = train(toy_run(max_input_length=6), tmp_path, quiet=True)
    data = json.loads((result.directory / "manifest.json").read_text())["data"]
    assert data["train"]["truncated_inputs"] > 0
    assert "longer than max_input_length and lose their end" in caplog.text


def test_a_template_says_where_the_prompt_goes(toy_run, toy_files, tmp_path):
    task = dataclasses.replace(toy_run().user_task, template="{text} {prompt} it was")
    with pytest.raises(UserError, match="'template'"):
        train(toy_run(user_task=task), tmp_path, quiet=True)
    inside = PromptConfig(length=2, init="vocabulary", position="template")
    result = train(toy_run(user_task=task, prompt=inside), tmp_path, quiet=True)
    assert result.prompt.position == "template"


def test_a_mixture_draws_its_tasks_by_weight(toy_run, tmp_path, monkeypatch):
    toy = toy_run().get_task()
    mixture = mix("both", [toy, dataclasses.replace(toy, name="again")], (3.0, 1.0))
    monkeypatch.setattr(Run, "get_task", lambda self: mixture)
    run = toy_run(user_task=None, steps=8, prompt=PromptConfig(length=2, init="vocabulary"))
    member = Member(run, tmp_path, SharedData(load_t5(run.model)))
    numbers = np.array([member.examples(step) for step in range(8)])
    share = (numbers < len(toy.load("train"))).mean()
    assert numbers.shape == (8, 4)
    assert 0.5 < share < 0.95
    result = train(run, tmp_path, quiet=True)
    assert set(result.metrics) == {"toy accuracy", "again accuracy", "average"}


def test_a_few_shot_prompt_is_the_examples_in_front(toy_run, tmp_path):
    config = PromptConfig(length=None, init="text", text="so it was", shots=3,
                          position="template", template="{prompt} {input} it was")  # fmt: skip
    run = toy_run(steps=0, prompt=config)
    task, t5 = run.get_task(), load_t5(run.model)
    shown = shown_examples(run, task, 4)
    answers = [text.rpartition(" ")[2] for text in shown]
    assert sorted(answers) == ["no", "no", "yes", "yes"]  # each label as often
    known = {f"{e.input} it was {e.target}" for e in task.load("train")}
    assert set(shown) <= known
    result = train(run, tmp_path, quiet=True)
    ids = t5.tokenizer.encode(" ".join(["so it was", *shown[:3]]))
    table = np.asarray(t5.params["token_embedder"]["embedding"])
    np.testing.assert_array_equal(result.prompt.array, table[np.array(ids)])
    with pytest.raises(UserError, match="shots"):
        toy_run(prompt=PromptConfig(shots=3))
