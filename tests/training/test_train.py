"""`train` from end to end: learning, populations, what a run says of itself, bad input."""

import dataclasses
import functools
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import evaluate
from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.prompts.prompt import load_prompt
from prompt_tuning.t5.load import load_t5
from prompt_tuning.tasks.mixture import mix
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.training import checkpoint
from prompt_tuning.training.data import SharedData
from prompt_tuning.training.loop import train
from prompt_tuning.training.member import Member, initial_prompt, load_result, shown_examples
from prompt_tuning.training.optimizer import OptimizerConfig
from prompt_tuning.training.run import Run, model_tuning, paper, released


def metrics(directory: pathlib.Path, kind: str) -> list[dict]:
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


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


def test_any_split_that_is_trained_on_has_the_training_form(tiny_t5, shared_data):
    data = DataConfig("local", str(shared_data), {"mine": "train.jsonl"})
    run = paper("super_glue/wsc", model=str(tiny_t5), data=data, train_split="mine")
    train_data, _, notes = SharedData(load_t5(run.model)).load(run.get_task(), run)
    assert len(train_data.rows) == 259  # true referents only
    assert notes["train"]["split"] == "mine"


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
    pathlib.Path(mine["train"]).write_text("".join(lines[::-1]))  # batches are numbers of rows
    with pytest.raises(UserError, match="the data of split train has changed"):
        train(run, tmp_path / "out", quiet=True)
    pathlib.Path(mine["train"]).write_text("".join(lines))
    base = load_t5(run.model)
    params = jax.tree.map(lambda x: x + 1, base.params)
    with pytest.raises(UserError, match="the base model has changed"):
        train(run, tmp_path / "out", t5=dataclasses.replace(base, params=params), quiet=True)
    wider = dataclasses.replace(load_t5("pocket:xs"), name=run.model)
    saved = checkpoint.steps(result.directory / "checkpoints")
    with pytest.raises(UserError, match="the base model has changed"):
        train(run, tmp_path / "out", t5=wider, quiet=True)
    assert checkpoint.steps(result.directory / "checkpoints") == saved != []  # none put aside
    with pytest.raises(UserError, match="the model in memory is other"):
        train(run, tmp_path / "out", t5=dataclasses.replace(base, name="other"), quiet=True)
    assert train(run, tmp_path / "out", quiet=True) == result
    assert (result.directory / "result.json").read_bytes() == written
    with pytest.raises(UserError, match="the base model has changed"):  # finished as it is
        train(run, tmp_path / "out", t5=wider, quiet=True)


def test_bad_runs_are_refused_with_the_remedy(toy_run, tmp_path):
    run = toy_run()
    wordy = dataclasses.replace(run.user_task, labels={"no": "no good", "yes": "yes it was good"})

    def own(run, **changes):
        values = run.to_dict()
        return Run.from_dict({**values, "user_task": {**values["user_task"], **changes}})

    cases = [
        (lambda: Run.from_dict({**run.to_dict(), "stepz": 3}), "steps"),
        (lambda: Run.from_dict({"task": "a", "prompt": {"lenght": 3}}), "length"),
        (lambda: Run.from_dict({"task": "a", "prompt": None}), "prompt has fields of its own"),
        (lambda: Run.from_dict({"task": "a", "steps": "10"}), "steps is a whole number"),
        (lambda: Run.from_dict({"task": "a", "seed": 1.5}), "seed is a whole number"),
        (lambda: own(run, files=["a.csv"]), "files is an object of texts, not"),
        (lambda: own(run, labels=[False, True]), "labels is an object of texts or a list of"),
        (lambda: own(run, template=5), "template is a word"),
        (lambda: toy_run(steps=-1), "steps must be 0"),
        (lambda: toy_run(batch_size=4, micro_batches=3), "micro_batches"),
        (lambda: toy_run(loss="summ"), "unknown loss 'summ'; did you mean sum"),
        (lambda: toy_run(seed=-1), "seed"),
        (lambda: toy_run(z_loss=-1.0), "z_loss must be 0 or more"),
        (lambda: toy_run(train_examples=0), "train_examples must be at least 1"),
        (lambda: paper("x", stepz=3), "steps"),
        (lambda: OptimizerConfig(name="sgd"), "adafactor"),
        (lambda: OptimizerConfig(learning_rate=float("nan")), "learning_rate"),
        (lambda: train(run, tmp_path, log_every=0), "log_every"),
        (lambda: train([], tmp_path), "no runs"),
        (lambda: train([run, run], tmp_path), "twice"),
        (lambda: train(toy_run(dtype="bfloat16"), tmp_path, t5=load_t5(run.model)), "is float32"),
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
    # The order of the labels is that of the classes: the second is the positive one.
    own = run.user_task
    bare, backwards = dataclasses.replace(own, labels=None), dict(reversed(own.files.items()))
    for one, other in (
        (own, dataclasses.replace(own, labels=dict(reversed(own.labels.items())))),
        (bare, dataclasses.replace(bare, files=backwards)),  # the labels of the first split
    ):
        ids = {dataclasses.replace(run, user_task=task).id for task in (one, other)}
        assert len(ids) == 2
    with pytest.raises(UserError, match="data and task_name_in_text are for the catalogue's"):
        dataclasses.replace(run, task_name_in_text=True).get_task()
    moved = dataclasses.replace(own, files=backwards)  # the labels are named
    assert dataclasses.replace(run, user_task=moved).id == run.id


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
    few = dataclasses.replace(run, train_examples=1)
    assert len(shown_examples(few, task, 4)) == 1  # no more than a run may read
    mark = dataclasses.replace(run.user_task, template="review: {text} {prompt}")
    marked = dataclasses.replace(run, user_task=mark)
    assert not any("\ue000" in text for text in shown_examples(marked, marked.get_task(), 2))
    with pytest.raises(UserError, match="shots"):
        toy_run(prompt=PromptConfig(shots=3))
