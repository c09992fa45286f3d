"""Tables of a report: votes, readings of prompts, the search, factoring, trained parameters."""

import csv
import dataclasses
import io
import json

import pyarrow as pa
import pytest

from prompt_tuning.sweep import paper_values, tables
from prompt_tuning.sweep.cells import read_results
from prompt_tuning.sweep.convergence import convergence_sheets
from prompt_tuning.sweep.evaluated import ensemble_sheets, reading_sheets
from prompt_tuning.sweep.figures import FACTORING
from prompt_tuning.sweep.findings import findings
from prompt_tuning.sweep.results import as_text
from prompt_tuning.sweep.search import search_sheets
from prompt_tuning.sweep.tables import Sheet, as_csv, transfer_sheets
from tests.sweep.conftest import reading, result_row, votes

XXL = "google/t5-xxl-lm-adapt"


def results_of(rows):
    return read_results(pa.Table.from_pylist(list(rows)))


def dicts(sheet: Sheet) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(sheet))))


def table3(model: str) -> list[dict]:
    """Five prompts a task, whose best has the paper's best scores, and the vote the paper's."""
    rows = []
    for task, metrics in paper_values.ENSEMBLE.items():
        members = []
        for seed in range(5):
            scores = {m: v[1] - 2.0 * seed for m, v in metrics.items()}
            if len(scores) > 1:
                scores["score"] = sum(scores.values()) / len(scores)
            members += [
                result_row(model, task, value, length=100, seed=seed, metric=metric,
                           main=metric == list(scores)[-1])
                for metric, value in scores.items()
            ]  # fmt: skip
        vote = {m: v[2] for m, v in metrics.items()}
        rows += [*members, *votes(members, vote | {"score": sum(vote.values()) / len(vote)})]
    return rows


def test_table_3_has_average_best_and_vote_beside_the_paper():
    (sheet,) = ensemble_sheets(results_of(table3(XXL)))
    rows = {(row["task"], row["metric"]): row for row in dicts(sheet)}
    assert len(rows) == 8 + 3 + 3 + 1  # three tasks have two metrics and their mean; all tasks
    row = rows["super_glue/multirc", "f1a"]
    assert [float(row[f"{name} (%)"]) for name in ("average", "best", "ensemble")] == [
        85.0, 89.0, 89.4,
    ]  # fmt: skip
    assert (row["prompts"], row["paper: average"], row["paper: ensemble"]) == ("5", "88.7", "89.4")
    assert float(row["difference: average"]) == pytest.approx(85.0 - 88.7)
    assert float(row["difference: best"]) == float(row["difference: ensemble"]) == 0.0
    mean = rows["mean of 8 tasks", "score"]
    assert float(mean["best (%)"]) == pytest.approx(91.06, abs=0.02)
    assert mean["paper: best"] == "91.0"
    assert abs(float(mean["difference: ensemble"])) < 0.1


def test_table_3_of_other_models_and_broken_ensembles():
    (sheet,) = ensemble_sheets(results_of(table3("pocket:xl")))
    assert not [name for name in sheet.header if "paper" in name or "difference" in name]
    rows = table3(XXL)
    rows = [r for r in rows if r["task"] != "super_glue/rte" or r["seed"] != 3]  # one member lost
    (sheet,) = ensemble_sheets(results_of(rows))
    assert {row[0] for row in sheet.rows} == {
        "mean of 7 tasks", *(set(paper_values.ENSEMBLE) - {"super_glue/rte"}),
    }  # fmt: skip
    assert dicts(sheet)[-1]["paper: best"] == ""  # another set of tasks
    assert ensemble_sheets(results_of([result_row(XXL, "a/x", 1.0)])) == []


def test_settings_of_tables_1_and_2_are_chosen_where_they_were_trained():
    def rows(rate, home, accuracy, f1):
        about = {"trained_on": "glue/qqp", "rate": rate}
        return [
            result_row(XXL, "glue/qqp", home, **about),
            result_row(XXL, "glue/mrpc", accuracy, **about, main=False),
            result_row(XXL, "glue/mrpc", f1, **about, metric="f1", main=False),
        ]

    sheets = transfer_sheets(results_of([*rows(0.3, 90, 50, 70), *rows(0.1, 60, 75, 40)]))
    [found] = [dicts(sheet) for sheet in sheets if sheet.name == "table2"]
    away = [row for row in found if row["evaluated on"] == "glue/mrpc"]
    scores = {row["metric"]: row["prompt tuning (%)"] for row in away}
    assert scores == {"accuracy": "50.0", "f1": "70.0"}


def test_tables_1_and_2_keep_steps_of_adaptation_apart():
    def rows(model, home, away, method="prompt"):
        about = {"trained_on": "glue/qqp", "method": method}
        return [
            result_row(model, "glue/qqp", home, **about),
            result_row(model, "glue/mrpc", away, **about, main=False),
        ]

    tuned = rows("google/t5-v1_1-xxl", 80, 60, "model")
    prompts = [*rows(XXL, 90, 70), *rows("google/t5-v1_1-xxl", 10, 1)]
    [sheet] = transfer_sheets(results_of([*tuned, *prompts]))
    found = {r["size"]: r for r in dicts(sheet) if r["evaluated on"] == "glue/mrpc"}
    scores = {size: (r["model tuning (%)"], r["prompt tuning (%)"]) for size, r in found.items()}
    assert scores == {"xxl": ("60.0", "70.0"), "xxl (0 steps)": ("60.0", "1.0")}
    assert found["xxl"]["paper: prompt"]
    assert not found["xxl (0 steps)"]["paper: prompt"]
    [sheet] = transfer_sheets(results_of(tuned))  # no prompts: the row is there all the same
    assert dicts(sheet)[0]["model tuning (%)"]


def test_section_7_tells_clusters_and_labels(tmp_path):
    rows = [result_row("pocket:xs", "a/x", 50.0, seed=seed, length=4) for seed in (0, 1)]
    rows.append(result_row("pocket:xs", "a/x", 50.0, seed=2, length=4, init="uniform"))
    near = [["▁yes", "▁sure"], ["▁bad", "▁no"], ["▁yes", "▁true"], ["▁", "▁x"]]
    for row, label_rows in zip(rows, ([0, 2], [], [3]), strict=True):
        (tmp_path / row["run"]).mkdir(parents=True)
        text = json.dumps(reading(near, {"yes": label_rows, "no": [1]}))
        (tmp_path / row["run"] / "neighbours.json").write_text(text)
    summary, pieces = reading_sheets(results_of(rows), tmp_path)
    by_init = {(r["initialisation"], r["measure"]): r for r in dicts(summary)}
    assert len(by_init) == 2 * 3
    labels = by_init["class_labels", "cosine"]
    assert labels["prompts"] == "2"
    assert labels["rows that share their nearest (%)"] == "50.0"
    assert labels["likeness of neighbours (cosine × 100)"] == "75.0"
    assert labels["of those of random vectors"] == "25.0"
    assert labels["label pieces among neighbours (%)"] == "75.0"  # both, one of both
    assert labels["labels near the row they started (%)"] == "75.0"
    uniform = by_init["uniform", "cosine"]
    assert uniform["label pieces among neighbours (%)"] == "100.0"
    assert uniform["labels near the row they started (%)"] == ""  # none started there
    longer = result_row("pocket:xs", "a/x", 50.0, seed=0, length=4, batch_size=64)
    (tmp_path / longer["run"]).mkdir(parents=True)
    (tmp_path / longer["run"] / "neighbours.json").write_text(text)
    apart = dicts(reading_sheets(results_of([*rows, longer]), tmp_path)[0])
    assert sorted(r["prompts"] for r in apart if r["measure"] == "cosine") == ["1", "1", "2"]
    first = dicts(pieces)[0]
    assert (first["nearest piece"], first["rows"]) == ("yes", "2")
    assert first["neighbours of the first of these rows"] == "yes, sure"
    assert [r["nearest piece"] for r in dicts(pieces)[:3]] == ["yes", "bad", "(space)"]
    (tmp_path / rows[2]["run"] / "neighbours.json").write_text('{"cosine": {}}')  # not whole
    assert len(reading_sheets(results_of(rows), tmp_path)[0].rows) == 3
    assert reading_sheets(results_of(rows), tmp_path / "elsewhere") == []
    assert reading_sheets(results_of(rows), None) == []


def test_table_5_finds_when_prompts_have_converged(tmp_path):
    scores = {0: (50.0, 79.0, 80.0), 1: (79.9, 70.0, 82.0), 2: (60.0, 60.0, 75.0)}
    model = "google/t5-xl-lm-adapt"
    rows = [
        result_row(model, "super_glue/boolq", max(found), length=100, seed=seed)
        for seed, found in scores.items()
    ]
    for row, found in zip(rows, scores.values(), strict=True):
        evals = [{"step": 10 * n, "kind": "eval", "score": s} for n, s in enumerate(found, 1)]
        (tmp_path / row["run"]).mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in [{"step": 5, "kind": "train"}, *evals])
        (tmp_path / row["run"] / "metrics.jsonl").write_text(text)
    (sheet,) = convergence_sheets(results_of(rows), tmp_path)  # 99 % of 79 is 78.21
    [row] = dicts(sheet)
    assert (row["seeds that get there"], row["seeds"]) == ("2", "3")
    assert float(row["steps"]) == 15.0  # 20 and 10 of 30
    assert float(row["minutes"]) == pytest.approx(rows[0]["seconds"] / 60 * 0.5)
    assert (row["paper: minutes"], float(row["paper: sd"])) == ("215.0", pytest.approx(54.7))
    assert convergence_sheets(results_of(rows), tmp_path / "elsewhere") == []


def test_table_6_tells_what_was_tried_and_what_was_best():
    def trial(rate, batch, value, seed=0):
        return result_row("pocket:b", "a/x", value, rate=rate, batch_size=batch, seed=seed)

    trials = [trial(0.3, 32, 70.0), trial(0.3, 32, 72.0, 1), trial(0.3, 64, 90.0),
              trial(0.001, 32, 20.0), trial(0.001, 32, 22.0, 1)]  # fmt: skip
    alone = result_row("pocket:b", "a/y", 99.0)
    summary, ranked = search_sheets(results_of([*trials, alone]))
    found = {row["hyper-parameter"]: row for row in dicts(summary)}
    assert found["learning rate"]["tried here"] == "0.001, 0.3"
    assert found["learning rate"]["best here"] == found["learning rate"]["paper: choice"] == "0.3"
    assert found["batch size"]["best here"] == "32"  # the better one has fewer seeds
    assert found["steps"]["tried here"] == "1,000"
    assert set(found) == set(paper_values.SEARCH)
    scores = [(row["ours (%)"], row["seeds"]) for row in dicts(ranked)]
    assert scores == [("71.0", "2"), ("21.0", "2"), ("90.0", "1")]
    assert {row["task"] for row in dicts(summary)} == {"a/x"}
    assert search_sheets(results_of([alone])) == []


def test_factoring_compares_like_with_like():
    def run(length, factored, value, limit=128, seed=0):
        optimizer = {"learning_rate": 0.3, "factored": factored, "factor_from": limit}
        return result_row("pocket:s", "a/x", value, length=length, seed=seed, optimizer=optimizer)

    rows = [
        run(length, factored, 60.0 + (length == 150 and not factored) + seed, seed=seed)
        for length in (100, 150)
        for factored in (True, False)
        for seed in (0, 1)
    ]
    rows.append(run(150, True, 99.0, limit=64))  # another experiment's: nothing to compare with
    sheet = tables.factoring_sheet(results_of(rows))
    assert [float(row["never − factored"]) for row in dicts(sheet)] == [0.0, 1.0]
    said = findings(pa.Table.from_pylist(rows))
    assert "at s, points by length: 100 +0.0 ± 1.0, 150 +1.0 ± 1.0" in said
    assert tables.factoring_sheet(results_of([rows[0], rows[4]])) is None


def test_the_factoring_table_averages_the_tasks_that_were_asked_for():
    rows = [
        result_row("pocket:b", task, value, length=150, optimizer={"factored": factored})
        for task, value in (("a/x", 50.0), ("a/y", 70.0))
        for factored in (True, False)
    ]
    figure = dataclasses.replace(FACTORING, tasks=("a/x",))
    rows += [{**row, "prompt_length": 20, "run": f"{row['run']} 20"} for row in rows]
    [both] = {r["tasks"] for r in dicts(tables.factoring_sheet(results_of(rows)))}
    [one] = {r["tasks"] for r in dicts(tables.factoring_sheet(results_of(rows), figure))}
    assert (both, one) == ("a/x, a/y", "a/x")


def test_the_table_in_words_averages_seeds_of_one_setting_only():
    rows = [
        result_row("pocket:s", task, value + seed, seed=seed, dtype=dtype)
        for dtype, value in ((None, 90.0), ("int8", 60.0))
        for task in ("pocket/sst2", "pocket/topic")
        for seed in (0, 1, 2)
    ]
    head, *lines = as_text(pa.Table.from_pylist(rows)).splitlines()
    assert head.split() == ["dtype", "pocket/sst2", "pocket/topic"]
    assert [line.split()[:3] for line in lines] == [["None", "91.0", "±1.0"],
                                                    ["int8", "61.0", "±1.0"]]  # fmt: skip
    # Labels that differ, be it late, or in order only.
    ones = [{"0": "x" * 40, "1": last} for last in ("yes", "no")]
    for own in (ones, [ones[0], dict(reversed(ones[0].items()))]):
        rows = [result_row("pocket:s", "a/x", 80.0, user_task={"labels": labels}) for labels in own]
        assert len(as_text(pa.Table.from_pylist(rows)).splitlines()) == 3
    # A task's own runs and those that were trained on another one are two lines.
    rows = [result_row("pocket:s", "glue/mrpc", 80.0, trained_on=on)
            for on in ("glue/mrpc", "glue/qqp")]  # fmt: skip
    head, *lines = as_text(pa.Table.from_pylist(rows)).splitlines()
    assert head.startswith("trained on")
    assert len(lines) == 2
    # What differs between tasks or sizes only is not shown.
    rows = [result_row(f"pocket:{size}", "pocket/sst2", 80.0, batch_size=n)
            for n, size in enumerate(("s", "b"))]  # fmt: skip
    assert as_text(pa.Table.from_pylist(rows)).splitlines()[0].split() == ["model", "pocket/sst2"]


def test_table_4_is_the_printed_one():
    rows = dicts(tables.trainable_sheet())
    assert all(r["total"] == r["paper: total"] for r in rows if r["prompt length"] == "1")
    at_100 = [r for r in rows if r["prompt length"] == "100"]
    assert [float(r["trained (%)"]) for r in at_100] == pytest.approx(
        [float(r["paper: trained (%)"]) for r in at_100], abs=1.1e-5
    )
    assert len(at_100) == 5
