"""What figures average, what they refuse to average, and the paper's numbers."""

import dataclasses
import io
import math
import statistics
import sys

import matplotlib.figure
import pyarrow as pa
import pytest
from matplotlib import image

from prompt_tuning.errors import UserError
from prompt_tuning.sweep import counts, draw, figures, paper_values
from prompt_tuning.sweep.cells import cell, dev, read_results, split_model, suite
from prompt_tuning.sweep.findings import findings
from prompt_tuning.sweep.lines import incomplete, plots
from prompt_tuning.sweep.tables import plot_sheet
from prompt_tuning.t5.config import SIZES
from tests.sweep.conftest import result_row


def results_of(*rows):
    return read_results(pa.Table.from_pylist(list(rows)))


def test_parameter_counts_are_those_of_table_4():
    printed = (76_961_664, 247_578_624, 783_151_104, 2_849_759_232, 11_135_336_448)
    for size, total in zip(paper_values.SIZES, printed, strict=True):
        config = SIZES[size]
        ours = counts.model_tuning(config, 1)
        assert ours == paper_values.PARAMETERS[size]
        assert ours + counts.prompt_tuning(config, 1) == total
        at_100 = counts.prompt_tuning(config, 100)
        percent = 100 * at_100 / (ours + at_100)
        assert percent == pytest.approx(paper_values.TRAINABLE_PERCENT[size], abs=1e-5)


def test_computed_counts_lie_on_figure_4():
    tolerance = {"prompt tuning": 0.01, "prefix tuning": 0.1}
    for c in counts.counts():
        if c.method in paper_values.COUNTS:
            drawn = paper_values.COUNTS[c.method][paper_values.SIZES.index(c.size)]
            assert c.mean == pytest.approx(drawn, rel=tolerance.get(c.method, 0.03))


def test_table_3_adds_up():
    for column, printed in enumerate(paper_values.ENSEMBLE_MEAN):
        tasks = [[v[column] for v in row.values()] for row in paper_values.ENSEMBLE.values()]
        scores = [statistics.fmean(task) for task in tasks]
        assert statistics.fmean(scores) == pytest.approx(printed, abs=0.07)


def test_the_default_is_the_same_in_every_figure_of_the_paper():
    default = [v.mean for v in paper_values.SCALE["prompt tuning"]]
    for series, key in (
        (paper_values.LENGTH, "100"),
        (paper_values.INITIALISATION, "class labels"),
        (paper_values.OBJECTIVE, "LM adaptation"),
        (paper_values.ADAPTATION, "100000"),
    ):
        assert [v.mean for v in series[key]] == pytest.approx(default, abs=0.5)


def test_every_series_of_the_paper_has_all_sizes():
    for figure in figures.FIGURES:
        for row in (figure.paper or {}).values():
            assert len(row) == len(paper_values.SIZES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pocket:xs", ("pocket T5", "xs", None)),
        ("pocket:xl@200", ("pocket T5", "xl", 200)),
        ("google/t5-base-lm-adapt", ("T5 1.1", "base", None)),
        ("google/t5-v1_1-xxl", ("T5 1.1", "xxl", 0)),
        ("gs://models/t5.1.1.lm100k.small", ("T5 1.1", "small", None)),
        ("models/t5_1_1_lm10k_large/", ("T5 1.1", "large", 10_000)),
        ("t5-base", ("other models", "t5-base", None)),
        ("google/flan-t5-xl", ("other models", "google/flan-t5-xl", None)),
        ("/data/models/tiny/", ("other models", "tiny", None)),
        ("pretraining/mine-1/model", ("other models", "mine-1/model", None)),
        ("pretraining/mine-2/step-50/", ("other models", "mine-2/step-50", None)),
        ("google/mt5-base", ("other models", "google/mt5-base", None)),
    ],
)
def test_names_of_models(name, expected):
    assert split_model(name) == expected


def test_seeds_are_averaged_after_tasks():
    values = {"a/x": (10.0, 20.0, 60.0), "a/y": (30.0, 60.0, 30.0)}
    rows = [
        result_row("pocket:xs", task, value, seed=seed)
        for task, scores in values.items()
        for seed, value in enumerate(scores)
    ]
    found = cell(results_of(*rows), ["a/x", "a/y"])
    assert found.scores == (20.0, 40.0, 45.0)
    assert found.mean == 35.0
    assert found.sd == pytest.approx(math.sqrt((15**2 + 5**2 + 10**2) / 2))


def test_a_seed_without_all_tasks_does_not_count():
    rows = [result_row("pocket:xs", "a/x", 50.0, seed=seed) for seed in (0, 1)]
    rows.append(result_row("pocket:xs", "a/y", 70.0, seed=1))
    found = cell(results_of(*rows), ["a/x", "a/y"])
    assert found.scores == (60.0,)
    assert found.missing == ("a/y",)
    assert found.sd is None
    alone = cell(results_of(rows[0]), ["a/x", "a/y"])
    assert alone.n == 0
    assert alone.missing == ("a/y",)
    assert math.isnan(alone.mean)


def test_incomplete_cells_are_named_and_not_drawn():
    rows = [
        result_row("pocket:xs", "a/x", 50.0),
        result_row("pocket:xs", "a/y", 60.0),
        result_row("pocket:s", "a/x", 90.0),
    ]
    (plot,) = plots(figures.SCALE, results_of(*rows))
    assert [p.cell.n for p in plot.lines[0].points] == [1, 0]
    assert "prompt tuning s: not drawn" in incomplete(plot)[0]
    assert "a/y" in plot.caption
    assert draw.draw(plot, ["svg"])["svg"].startswith(b"<?xml")


def test_the_best_setting_counts_but_not_a_luckier_one_with_fewer_seeds():
    rows = [
        result_row("pocket:xs", "a/x", value, method="model", rate=rate, seed=seed)
        for rate, value, seeds in ((0.001, 70.0, 2), (0.003, 75.0, 2), (0.01, 99.0, 1))
        for seed in range(seeds)
    ]
    found = cell(results_of(*rows), ["a/x"])
    assert found.scores == (75.0, 75.0)
    assert found.tried == 3


def test_templates_and_revisions_are_settings_and_where_data_lie_is_none():
    def tried(*configs):
        rows = [result_row("pocket:xs", "a/x", 50.0 + n, **c) for n, c in enumerate(configs)]
        return cell(results_of(*rows), ["a/x"]).tried

    assert tried({"user_task": {"template": "{x}"}}, {"user_task": {"template": "say {x}"}}) == 2
    assert tried({"revision": "a"}, {"revision": "b"}) == 2
    assert tried({"data": {"source": "hf"}}, {"data": {"source": "tfds"}}) == 2
    assert tried({"data": {"dir": "a"}}, {"data": {"dir": "b"}}) == 1
    assert tried({"user_task": {"files": {"train": "a"}}}, {"user_task": {"files": {}}}) == 1
    one, other = {"0": "no", "1": "yes"}, {"1": "yes", "0": "no"}  # F1 is of the second
    assert tried({"user_task": {"labels": one}}, {"user_task": {"labels": other}}) == 2


def test_only_main_scores_on_the_dev_split_of_the_trained_task_are_compared():
    rows = [
        result_row("pocket:xs", "a/x", 50.0),
        result_row("pocket:xs", "a/x", 1.0, split="test"),
        result_row("pocket:xs", "a/x", 2.0, metric="f1", main=False),
        result_row("pocket:xs", "a/y", 3.0, trained_on="a/x"),
        result_row("pocket:xs", "a/y", 4.0, trained_on="mixture/a", method="multitask"),
        result_row("pocket:xs", "mixture/a", 5.0, method="multitask"),
    ]
    assert sorted(r.value for r in dev(results_of(*rows))) == [4.0, 50.0]


def test_sources_of_transfer_are_not_averaged():
    rows = [result_row("pocket:xs", f"pocket/{t}", 50.0) for t in ("boolq", "rte", "qqp")]
    rows.append(result_row("pocket:xs", "pocket/mrpc", 40.0, trained_on="pocket/qqp"))
    more = [result_row("pocket:s", f"pocket/{t}", 50.0) for t in ("boolq", "rte", "qqp")]
    assert suite(results_of(*rows, *more[:2])) == ("pocket/boolq", "pocket/rte")
    whole = results_of(*rows, *more)  # as much of it as of the others
    assert suite(whole) == ("pocket/boolq", "pocket/qqp", "pocket/rte")


def test_figures_vary_one_thing(pocket_study):
    results = read_results(pocket_study)
    (scale,) = plots(figures.SCALE, results)
    assert [line.label for line in scale.lines] == list(figures.METHODS.values())
    assert {p.length for p in scale.lines[0].points} == {100}
    (init,) = plots(figures.INITIALISATION, results)
    assert [line.label for line in init.lines] == [
        "random uniform", "sampled vocabulary", "class labels",
    ]  # fmt: skip
    same = [p.cell.mean for p in scale.lines[0].points]
    assert [p.cell.mean for p in init.lines[-1].points] == same
    (length,) = plots(figures.LENGTH, results)
    assert [line.label for line in length.lines] == [
        "1 token", "5 tokens", "20 tokens", "100 tokens",
    ]  # fmt: skip
    (adaptation,) = plots(figures.ADAPTATION, results)
    assert [line.label for line in adaptation.lines] == [
        "0 steps", "200 steps", "500 steps", "full adaptation",
    ]  # fmt: skip
    assert plots(figures.FACTORING, results) == []


def test_the_paper_stands_only_beside_its_own_models_and_tasks(pocket_study, real_study):
    (pocket,) = plots(figures.SCALE, read_results(pocket_study))
    (real,) = plots(figures.SCALE, read_results(real_study))
    assert (pocket.comparable, real.comparable) == (False, True)
    seven = pa.Table.from_pylist(
        [row for row in real_study.to_pylist() if row["task"] != "super_glue/wsc"]
    )
    assert not plots(figures.SCALE, read_results(seven))[0].comparable
    both = pa.concat_tables([pocket_study, real_study])
    assert [p.family for p in plots(figures.SCALE, read_results(both))] == ["T5 1.1", "pocket T5"]


def test_a_sentinel_is_a_series_of_its_own():
    rows = [
        result_row(f"google/t5-{name}", task, value, length=100, **config)
        for name, value, config in (
            ("v1_1-base", 5.0, {}),
            ("v1_1-base", 8.0, {"sentinel": True}),
            ("base-lm-adapt", 60.0, {}),
        )
        for task in paper_values.SUITE
    ]
    (plot,) = plots(figures.OBJECTIVE, results_of(*rows))
    ours = {line.label: line.points[0].cell.mean for line in plot.lines}
    assert list(ours.items()) == [
        ("span corruption", 5.0),
        ("span corruption + sentinel", 8.0),
        ("LM adaptation", 60.0),
    ]
    assert list(ours) == [line.label for line in plot.paper]
    sheet = plot_sheet(plot)
    column = sheet.header.index("difference")
    assert [row[column] for row in sheet.rows] == pytest.approx([-3.0, 0.1, -3.75])
    assert draw.draw(plot, ["svg"])["svg"].count(b"sentinel")
    assert "span corruption + sentinel minus span corruption alone, points: base +3.0" in findings(
        pa.Table.from_pylist(rows)
    )
    # Where the objective does not vary, it has no place.
    (adaptation,) = plots(figures.ADAPTATION, results_of(*rows))
    assert [p.cell.mean for line in adaptation.lines for p in line.points] == [5.0, 60.0]


def test_factoring_is_compared_at_one_size():
    rows = [
        result_row(
            f"pocket:{size}", "a/x", value, length=length,
            optimizer={"factored": factored, "learning_rate": 0.3},
        )
        for size, value in (("xs", 40.0), ("s", 60.0))
        for length in (100, 150)
        for factored in (True, False)
        if factored or length == 150
    ]  # fmt: skip
    (plot,) = plots(figures.FACTORING, results_of(*rows))
    assert [(line.label, [p.x for p in line.points]) for line in plot.lines] == [
        ("long prompts factored", [100, 150]),
        ("never factored", [150]),
    ]
    assert {p.model for line in plot.lines for p in line.points} == {"s"}


def test_ablations_average_the_tasks_that_all_values_know():
    rows = [
        result_row("pocket:xs", f"a/{task}", 50.0, init=init)
        for init, tasks in (("class_labels", "xyz"), ("uniform", "xy"))
        for task in tasks
    ]
    results = results_of(*rows)
    (plot,) = plots(figures.INITIALISATION, results)
    assert plot.tasks == ("a/x", "a/y")
    assert not incomplete(plot)
    assert plots(figures.SCALE, results)[0].tasks == ("a/x", "a/y", "a/z")


def test_model_tuning_may_start_from_unadapted_models():
    rows = [
        result_row("google/t5-base-lm-adapt", "a/x", 60.0),
        result_row("google/t5-v1_1-base", "a/x", 20.0),
        result_row("google/t5-v1_1-base", "a/x", 70.0, method="model"),
    ]
    (plot,) = plots(figures.SCALE, results_of(*rows))
    assert [(line.label, line.points[0].cell.mean) for line in plot.lines] == [
        ("prompt tuning", 60.0),
        ("model tuning", 70.0),
    ]


def test_best_length_of_each_size(pocket_study):
    best = figures.Figure("best", "Best length", series="method", length="best")
    (plot,) = plots(best, read_results(pocket_study))
    assert all(p.length == 100 for p in plot.lines[0].points)
    assert "the best of each size" in plot.caption


def test_drawing_is_the_same_each_time_and_in_every_format(real_study):
    (plot,) = plots(figures.LENGTH, read_results(real_study))
    first, second = draw.draw(plot), draw.draw(plot)
    assert first == second
    assert first["pdf"].startswith(b"%PDF")
    assert first["svg"].startswith(b"<?xml")
    pixels = image.imread(io.BytesIO(first["png"]))
    assert pixels.shape[1] > 1000
    assert pixels[..., :3].std() > 0.05
    assert "matplotlib.pyplot" not in sys.modules


def test_series_differ_in_colour_marker_and_dash():
    styles = draw.assign(["a", "b", "c", "d", "e"], ordered=True)
    for name in ("color", "marker", "linestyle"):
        assert len({str(style[name]) for style in styles.values()}) == 5


def test_without_matplotlib_the_remedy_is_named(real_study, monkeypatch):
    (plot,) = plots(figures.SCALE, read_results(real_study))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert matplotlib.figure.Figure  # was there before
    with pytest.raises(UserError, match=r"pip install 'prompt-tuning\[plot\]'"):
        draw.draw(plot)


def test_findings_are_the_numbers(pocket_study):
    text = findings(pocket_study)
    assert "xs +14.5" in text
    assert "the gap goes from 14.5 to 0.5 points: it closes to 2 points or less" in text
    assert "LM adaptation minus span corruption alone" in text
    assert findings(pa.Table.from_pylist([result_row("pocket:xs", "a/x", 50.0)])) == (
        "The table has too few runs to compare anything.\n"
    )
    short = pa.Table.from_pylist(
        [
            result_row("pocket:xs", "a/x", v, method=m)
            for m, v in (("prompt", 50.0), ("model", 60.0))
        ]
    )
    assert findings(short).count("\n- ") == 1
    assert "xs +10.0 (one seed)" in findings(short)


def test_findings_name_the_length_of_each_size():
    rows = [
        result_row(f"pocket:{size}", "a/x", value, method=method, length=length)
        for size, best in (("xs", 5), ("s", 1))
        for method, length, value in (
            ("prompt", best, 50.0), ("prompt", 6 - best, 40.0), ("model", 0, 60.0)
        )
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    each = [dataclasses.replace(figures.SCALE, length="best")]
    assert "(length xs 5, s 1), points: xs +10.0" in findings(table, each)
    assert "(length 5), points: xs +10.0 (one seed), s +20.0" in findings(table)
