"""Which runs a sweep has: experiment files, overrides, filters, populations, cost."""

import dataclasses
import pathlib
from collections import Counter

import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.sweep import cost, grid
from prompt_tuning.sweep.cells import split_model
from prompt_tuning.sweep.grid import Sizes, choose, experiment_runs, method_of, populations
from prompt_tuning.t5.config import SIZES
from prompt_tuning.training.optimizer import MODEL_TUNING, RELEASED
from prompt_tuning.training.run import Run, model_tuning, paper, released

EXPERIMENTS = pathlib.Path(__file__).parent.parent.parent / "experiments"
FILES = sorted(
    path
    for path in EXPERIMENTS.glob("*.py")
    if "def runs(" in path.read_text() and path.stem != "figure4_parameters"
)

PROMPTS = [
    paper("super_glue/rte", model=f"random:{size}", seed=seed, prompt={"length": length})
    for size in ("small", "base")
    for length in (1, 100)
    for seed in (0, 1)
]
MODEL = model_tuning("super_glue/rte", model="random:small")
DESIGN = paper(
    "super_glue/rte", model="random:small", steps=0,
    prompt={"length": None, "init": "text", "text": "a b"},
)  # fmt: skip
RUNS = [*PROMPTS, MODEL, DESIGN]


def test_runs_that_differ_only_in_where_their_data_lie_are_refused():
    for change in ("data.dir=[a,b]", "user_task.files.train=[a.csv,b.csv]"):
        task = {"files": {"train": "c.csv"}, "template": "{x}", "label_field": "y"}
        run = paper("mine", user_task=task)
        with pytest.raises(UserError, match="differ only in where their data lie"):
            choose([run], changes=[change])
    assert len(choose([run, run], changes=["seed=[0,1]"])) == 2


def test_a_configuration_has_one_id_however_its_numbers_are_written():
    rate = {"learning_rate": 1}
    whole = paper("a/x", dropout=0, optimizer=rate, prompt={"scale": 1})
    assert whole.id == paper("a/x", optimizer={"learning_rate": 1.0}, prompt={"scale": 1.0}).id
    assert type(dataclasses.replace(whole, dropout=0).to_dict()["dropout"]) is float


def test_a_preset_keeps_what_a_change_of_its_optimiser_leaves_out():
    rate = {"learning_rate": 0.1}
    tuned = model_tuning("a/x", optimizer=rate).optimizer
    assert tuned == dataclasses.replace(MODEL_TUNING, learning_rate=0.1)
    assert released("a/x", optimizer=rate).optimizer.start_step == RELEASED.start_step > 0
    assert released("a/x", optimizer=MODEL_TUNING).optimizer == MODEL_TUNING


def test_methods():
    assert [method_of(run) for run in (PROMPTS[0], MODEL, DESIGN)] == ["prompt", "model", "design"]
    assert method_of(model_tuning("mixture/super_glue")) == "multitask"


@pytest.mark.parametrize(
    ("only", "count"),
    [
        (["model=random:base"], 4),
        (["model=[random:base,random:small]"], 10),
        (["prompt.length=1"], 4),
        (["prompt.length=[1,100]", "seed=1"], 4),
        (["prompt.length=100"], 4),  # model tuning has that default, but no prompt
        (["method=model"], 1),
        (["method=[model,design]"], 2),
        (["optimizer.learning_rate=0.3", "method=prompt"], 8),
        (["prompt.length=null"], 1),
    ],
)
def test_filters(only, count):
    assert len(choose(RUNS, only)) == count


def test_overrides_make_a_grid_and_leave_others_alone():
    found = choose(RUNS, [], ["prompt.length=[1,5,20]", "optimizer.learning_rate=[0.1,0.3]"])
    prompts = [run for run in found if method_of(run) == "prompt"]
    settings = {(r.model, r.prompt.length, r.seed, r.optimizer.learning_rate) for r in prompts}
    assert len(prompts) == len(settings) == 2 * 3 * 2 * 2  # 1 and 100 became the same runs
    assert DESIGN in found
    assert [r for r in found if r.method == "model"] == [
        model_tuning("super_glue/rte", model="random:small", optimizer={
            "learning_rate": rate, "weight_decay": 0.0, "scale_by_parameter": True,
        })
        for rate in (0.1, 0.3)
    ]  # fmt: skip
    [here] = {run.task for run in choose(RUNS, [], ["task=super_glue/cb"])}
    assert here == "super_glue/cb"
    assert [run.steps for run in choose([DESIGN], [], ["steps=5"])] == [0]
    assert choose(RUNS, [], ["patience=3"])[0].patience == 3
    assert choose(RUNS, [], ["packing=true"])[0].packing is True
    assert choose(RUNS, [], ["user_task=null"])[0] == RUNS[0]


@pytest.mark.parametrize(
    ("only", "changes", "message"),
    [
        (
            ["model=random:huge"],
            [],
            "matches model=random:huge: the runs have random:small, random:b",
        ),
        (["seed=0", "steps=9"], [], "have 30000, 0; overrides stand before --only"),
        (["modle=a"], [], "did you mean model"),
        ([], ["prompt.lenght=3"], "prompt.length"),
        ([], ["steps=many"], "steps is a whole number such as 30000"),
        ([], ["batch_size=true"], "is a whole number"),
        ([], ["task=3"], "task is a word"),
        ([], ["prompt.length=1.5"], "length is a whole number such as"),
        ([], ["steps=1.5"], "steps is a whole number"),
        ([], ["optimizer.learning_rate=high"], "rate is a number such as 0.3, not"),
        ([], ["packing=3"], "packing is true or false"),
        ([], ["loss=meen"], "did you mean mean"),
        ([], ["optimizer=3"], r"of its own \(optimizer.FIELD\)"),
        ([], ["user_task=abc"], "has fields of its own"),
        ([], ["user_task.template=x"], "user_task has no fields in these runs"),
        ([], ["steps"], "expected FIELD=VALUE"),
        ([], ["seed=[]"], "no value"),
        ([], ["steps=-1"], "steps must be 0"),
        ([], ["method=prompts"], "unknown method"),
    ],
)
def test_bad_words_are_refused(only, changes, message):
    with pytest.raises(UserError, match=message) as error:
        choose(RUNS, only, changes)
    assert "\n" not in str(error.value)


def test_populations_share_a_model_and_are_a_pure_function_of_the_runs():
    short = choose(RUNS, [], ["prompt.length=[1,5,20,100]", "max_input_length=64"])
    found = populations(short, Sizes(prompt=4, model=1))
    assert sorted(run.id for p in found for run in p) == sorted(run.id for run in short)
    assert found == populations(list(short), Sizes(prompt=4, model=1))
    for population in found:
        assert len({run.model for run in population}) == 1
        assert len(population) <= 4
        lengths = {run.prompt.length or 0 for run in population if run.method == "prompt"}
        assert lengths <= {0, 1, 5, 20} or lengths == {100}
    models = [population[0].model for population in found]
    assert models == sorted(models, key=["random:small", "random:base"].index)  # loaded once each
    # Long inputs of several tasks are not padded to one another.
    tasks = choose(PROMPTS, [], ["task=[super_glue/rte,super_glue/cb]"])
    assert all(len({run.task for run in p}) == 1 for p in populations(tasks, Sizes(prompt=16)))
    assert len(populations(PROMPTS, Sizes(prompt=3))[0]) == 2  # 4 of a kind: 2 + 2, not 3 + 1
    # Rows that mix are not padded to one another either.
    mixed = choose(PROMPTS, [], ["packing=true", "model=random:small", "prompt.length=[1,100]"])
    assert len(populations(mixed, Sizes(prompt=16))) < len(
        populations(choose(mixed, [], ["packing=false"]), Sizes(prompt=16))
    )


def test_large_models_have_small_populations():
    def limit(model: str, method: str = "prompt") -> int:
        return Sizes().limit(paper("x", model=model, method=method))

    assert limit("random:small") == 16
    assert limit("google/t5-base-lm-adapt") == 4
    assert limit("google/t5-xxl-lm-adapt") == limit("of/nobody") == 1
    assert limit("google/t5-v1_1-small", "model") == 1


def test_costs_are_those_of_the_architecture():
    assert cost.parameters("google/t5-xxl-lm-adapt") == cost.parameters("random:xxl")
    assert cost.parameters("google/t5-v1_1-xl") == cost.parameters("random:xl")
    assert cost.parameters("google/flan-t5-xl") == cost.parameters("random:xl")
    for other in ("of/nobody", "google/mt5-xl", "google/byt5-xxl", "google-t5/t5-base", "t5-small"):
        assert cost.parameters(other) is None
    assert cost.run_flops(paper("x", model="of/nobody")) is None
    run = paper("x", model="random:small", prompt={"length": 100})
    flops = cost.run_flops(run)
    config = SIZES["small"]
    layer = 4 * config.d_model * config.d_attention + 3 * config.d_model * config.d_ff
    encoder = config.num_layers * layer * 2 * 612 * 32 * 30_000
    assert 2 * encoder < flops < 5 * encoder
    assert cost.run_flops(Run.from_dict({**run.to_dict(), "steps": 60_000})) == 2 * flops
    assert cost.run_flops(DESIGN) < flops / 1000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_experiment_has_a_real_and_a_pocket_setting(path):
    module = grid.load_experiment(path)
    for part in ("Command:", "Cost", "Expect"):
        assert part in module.__doc__
    settings = ("pocket", "full") if path.stem == "pocket" else ("paper", "pocket")
    for setting in settings:
        runs = experiment_runs(path, setting)
        pocket = {run.model.startswith("pocket:") for run in runs}
        assert pocket == {setting != "paper"}
        assert {run.task.startswith("pocket/") for run in runs} == {setting != "paper"}
        from_labels = {run.task: run for run in runs if run.prompt.init == "class_labels"}
        for run in from_labels.values():
            assert run.method == "model" or run.get_task().prompt_words, run.task
        wanted = grid.experiment_evaluations(path, runs)
        assert bool(wanted) == hasattr(module, "evaluations")
        assert len({e.file(pathlib.Path()) for e in wanted}) == len(wanted)
    assert experiment_runs(path) == experiment_runs(path, settings[0])


def test_figure_3c_has_a_run_with_and_without_a_sentinel_for_each_unadapted_model():
    for setting in ("paper", "pocket"):
        runs = experiment_runs(EXPERIMENTS / "figure3c_objective.py", setting)
        kinds = Counter((split_model(run.model)[2], run.sentinel) for run in runs)
        assert set(kinds) == {(None, False), (0, False), (0, True)}
        assert len(set(kinds.values())) == 1
        bare = [dataclasses.replace(run, sentinel=False) for run in runs if run.sentinel]
        assert all(run in runs for run in bare)


def test_costs_in_the_readme_and_in_the_files_are_those_of_the_runs():
    """A row: experiment, command, output, runs, FLOPs, hours."""
    lines = (EXPERIMENTS.parent / "README.md").read_text().splitlines()
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in lines if "g sweep " in line]
    rows = {c[1].strip("`").split()[-1]: c for c in cells if len(c) == 6}
    assert sorted([*rows, "pocket"]) == [path.stem for path in FILES]
    figure1 = {run.id for run in experiment_runs(EXPERIMENTS / "figure1_scale.py")}
    for name, row in rows.items():
        path = EXPERIMENTS / f"{name}.py"
        runs = experiment_runs(path)
        flops = sum(cost.run_flops(run) or 0.0 for run in runs)
        count, *more = row[3].split(", ")
        assert count == f"{len(runs):,}"
        assert row[4:] == [f"{flops:.1e}", f"{cost.accelerator_hours(flops):,.0f}"]
        assert f"Cost: {len(runs)} runs" in grid.load_experiment(path).__doc__
        for note in more:
            number = int(note.removeprefix("and ").split()[0])
            done = grid.experiment_evaluations(path, runs)
            shared = figure1 & {run.id for run in runs}
            assert number == (len(done) if "evaluations" in note else len(shared)), name


def test_an_experiment_that_is_none_is_refused(tmp_path):
    bad = tmp_path / "experiments" / "bad.py"
    bad.parent.mkdir()
    for text, message in (("x = 1", "no function runs"), ("1 / 0", "ZeroDivisionError")):
        bad.write_text(text)
        with pytest.raises(UserError, match=message):
            grid.load_experiment(bad)
    bad.write_text("def runs():\n    return [1]")
    with pytest.raises(UserError, match="must give Runs, not 1"):
        experiment_runs(bad)
    with pytest.raises(UserError, match=r"runs\(\) fails: TypeError"):
        experiment_runs(bad, "pocket")
    with pytest.raises(UserError, match="did you mean figure1_scale"):
        grid.find_experiment("figure1_scal")
    with pytest.raises(UserError, match="unknown setting"):
        experiment_runs(EXPERIMENTS / "factoring.py", "tiny")
