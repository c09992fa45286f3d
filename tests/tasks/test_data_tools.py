"""prepare, list, show, verify and the manifest; the catalogue; mixtures."""

import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import DataConfig, get_task, task_names, user_task
from prompt_tuning.tasks.base import Example
from prompt_tuning.tasks.data_tools import (
    content_hash,
    list_tasks,
    manifest,
    prepare,
    show,
    verify,
)
from prompt_tuning.tasks.mixture import MIXTURES, draw, mix
from prompt_tuning.tasks.recorded import RECORDED
from tests.tasks.conftest import sha256

# Every split whose whole official file lies beside the project.
WHOLE = [
    *(
        (f"super_glue/{name}", split)
        for name in ("cb", "copa", "multirc", "rte", "wic", "wsc")
        for split in ("train", "validation")
    ),
    ("super_glue/boolq", "validation"),
    ("super_glue/axg", "test"),
    ("glue/sst2", "train"),
    ("glue/sst2", "validation"),
]


def test_importing_tasks_is_light():
    code = (
        "import sys, prompt_tuning.tasks\n"
        "heavy = {'jax', 'tensorflow_datasets', 'transformers', 'datasets'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_unknown_names_suggest_close_ones():
    with pytest.raises(UserError, match="unknown task 'super_gleu/rte'; did you mean super_glue/"):
        get_task("super_gleu/rte")
    with pytest.raises(UserError, match="known: dpr, glue/ax"):
        get_task("zzz")
    with pytest.raises(UserError, match="did you mean mixture/super_glue"):
        get_task("mixture/super-glue")
    with pytest.raises(UserError, match="unknown data source"):
        get_task("dpr", DataConfig("ftp"))


def test_every_recorded_name_and_split_exists():
    for name, splits in RECORDED.items():
        assert set(splits) <= set(get_task(name).splits)
    hashed = {(n, s) for n, splits in RECORDED.items() for s, (_, h) in splits.items() if h}
    assert {(n, s) for n, s in hashed if not n.startswith("pocket/")} == set(WHOLE)


def test_verify_finds_the_official_files_right(shared_data):
    config = DataConfig("local", str(shared_data))
    for name, split in WHOLE:
        [found] = verify([name], config, [split])
        assert found.ok, found.problem
        assert found.hashed


def test_verify_reports_every_defect_and_goes_on(shared_data, tmp_path):
    folder = tmp_path / "CB"
    shutil.copytree(shared_data / "superglue" / "CB", folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    altered = (folder / "train.jsonl").read_text().replace("language", "languages", 1)
    (folder / "train.jsonl").write_text(altered)
    lines = (folder / "val.jsonl").read_text().splitlines(keepends=True)
    (folder / "val.jsonl").write_text("".join(lines[:-1]))
    results = verify(["super_glue/cb"], DataConfig("local", str(tmp_path)))
    problems = {result.split: result.problem for result in results}
    assert "the content differs from the record" in problems["train"]
    assert "55 rows, 56 are on record" in problems["validation"]
    assert "no test.jsonl" in problems["test"]
    assert not any(result.ok for result in results)
    [unrecorded] = verify(["mrqa/newsqa"], DataConfig("local", str(tmp_path)), ["train"])
    assert "no train/NewsQA.jsonl" in unrecorded.problem


def test_content_hash_ignores_order_and_ids_but_nothing_else():
    examples = [Example(str(i), f"text {i}", "a", ("a", "b"), "g", 1) for i in range(5)]
    base = content_hash(examples)
    assert content_hash(examples[::-1]) == base
    assert (
        content_hash([Example(f"x{e.id}", *list(vars(e).values())[1:]) for e in examples]) == base
    )
    for change in ({"input": "t"}, {"target": "b"}, {"answers": ()}, {"group": ""}, {"label": 0}):
        changed = Example(**(vars(examples[0]) | change))
        assert content_hash([changed, *examples[1:]]) != base
    assert content_hash(examples[1:]) != base


def test_manifest(shared_data, archives, tmp_path):
    task = get_task("super_glue/cb", data_dir=str(shared_data), name_in_text=True)
    record = manifest(task, "validation")
    path = shared_data / "superglue" / "CB" / "val.jsonl"
    assert record.pop("content_hash") != RECORDED["super_glue/cb"]["validation"][1]  # the name
    assert record == {
        "task": "super_glue/cb",
        "split": "validation",
        "name_in_text": True,
        "rows": 56,
        "source": "local",
        "version": None,
        "files": {"val.jsonl": sha256(path)},
    }
    task = user_task("mine", {"train": str(path)}, "{premise}", target_field="label")
    record = manifest(task, "train")
    assert (record["source"], record["rows"]) == ("user", 56)
    prepare_fixture("super_glue/cb", archives, tmp_path)
    record = manifest(get_task("super_glue/cb", DataConfig("tfds", str(tmp_path))), "train")
    assert (record["source"], record["version"]) == ("tfds", "super_glue/cb:1.0.2")


def prepare_fixture(name, archives, data_dir):
    lines = []
    sums = {path.name: sha256(path) for path in (archives / "super_glue").glob("*.zip")}
    prepare([name], str(data_dir), str(archives), sums, lines.append)
    return lines


def test_prepare_and_list(archives, tmp_path):
    before = {task.name: task for task in list_tasks(str(tmp_path))}
    assert set(before) == set(task_names())
    assert not any(task.prepared for task in before.values() if task.version != "generated")
    assert before["super_glue/rte"].rows == {"train": 2490, "validation": 277, "test": 3000}
    lines = prepare_fixture("super_glue/", archives, tmp_path)
    assert lines[0] == "[1/10] super_glue/axb"
    assert sum("done (" in line for line in lines) == 10
    after = [task for task in list_tasks(str(tmp_path)) if task.version != "generated"]
    prepared = {task.name for task in after if task.prepared}
    assert prepared == {name for name in task_names() if name.startswith("super_glue/")}
    # Again: everything is kept.
    lines = prepare_fixture("super_glue/", archives, tmp_path)
    assert sum("already prepared" in line for line in lines) == 10
    with pytest.raises(UserError, match="no tasks under nothing/"):
        prepare(["nothing/"], str(tmp_path))
    with pytest.raises(UserError, match="unknown task"):
        prepare(["super_glue/cb", "super_glue/x"], str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_show(shared_data):
    text = show(get_task("super_glue/cb", data_dir=str(shared_data)), "validation", 2, str.split)
    assert "super_glue/cb, split validation: 56 examples" in text
    assert text.count("hypothesis: ") == text.count(" premise: ") == 2
    assert "targets: contradiction 28 (50.0 %), entailment 23 (41.1 %), neutral 5 (8.9 %)" in text
    assert "target tokens: median 1, 99 % at most 1, longest 1" in text
    text = show(get_task("super_glue/wsc", data_dir=str(shared_data)), "train", 1)
    assert "targets: free text" in text
    assert "tokens" not in text


# --- mixtures --------------------------------------------------------------------------------


def test_paper_mixtures_have_the_weights_of_their_training_sets():
    for name, weights in MIXTURES.items():
        assert get_task(name).weights == tuple(weights.values())
    for name, weight in MIXTURES["mixture/super_glue"].items():
        assert RECORDED[name]["train"][0] == weight
    with pytest.raises(UserError, match="not positive"):
        mix("m", [get_task("dpr")], [0.0])
    with pytest.raises(UserError, match="as many weights"):
        mix("m", [get_task("dpr")], [])


def test_a_mixture_holds_the_examples_of_its_tasks_and_their_mean_score(unpacked):
    config = DataConfig("local", str(unpacked))
    tasks = [
        get_task(f"super_glue/{name}", config, name_in_text=True)
        for name in ("rte", "wic", "record")
    ]
    both = mix("both", tasks, (1.0, 2.0, 3.0))
    for split in ("train", "validation"):
        want = [example for task in tasks for example in task.load(split)]
        got = both.load(split)
        assert [(e.input, e.target) for e in got] == [(e.input, e.target) for e in want]
        assert len({e.id for e in got}) == len(got)
    assert got[0].input.startswith("rte ")
    outputs = [example.target for example in got]
    assert both.score(got, outputs).primary == 100.0
    outputs = [
        t if e.id.startswith("0/") else "nothing known" for e, t in zip(got, outputs, strict=True)
    ]
    scores = both.score(got, outputs)
    parts = [t.score(t.load("validation"), ["nothing known"] * len(t.load("validation")))
             for t in tasks[1:]]  # fmt: skip
    assert scores.primary == pytest.approx((100.0 + sum(p.primary for p in parts)) / 3)
    assert scores.metrics["super_glue/rte accuracy"] == 100.0
    assert set(both.source.describe("train")) == {t.name for t in tasks}
    with pytest.raises(UserError, match="none of the tasks has a split 'dev'"):
        both.load("dev")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.floats(0.1, 5)), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.integers(0, 200),
)
def test_draw_is_a_prefix_stable_stream_of_whole_passes(tasks, seed, count):
    sizes, rates = map(list, zip(*tasks, strict=True))
    stream = draw(sizes, rates, seed, count)
    assert stream.shape == (count, 2)
    cut = random.Random(seed).randint(0, count)
    np.testing.assert_array_equal(draw(sizes, rates, seed, cut), stream[:cut])
    for number, size in enumerate(sizes):
        drawn = stream[stream[:, 0] == number, 1]
        for start in range(0, len(drawn) - size + 1, size):
            assert sorted(drawn[start : start + size]) == list(range(size))
        tail = drawn[len(drawn) // size * size :]
        assert len(set(tail)) == len(tail)


def test_draw_keeps_the_proportions_and_depends_on_the_seed():
    stream = draw([100, 100, 100], [1, 2, 7], seed=0, count=20_000)
    shares = np.bincount(stream[:, 0], minlength=3) / len(stream)
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.7], atol=0.02)
    assert not np.array_equal(stream, draw([100, 100, 100], [1, 2, 7], seed=1, count=20_000))
    with pytest.raises(UserError, match="no examples"):
        draw([3, 0], [1, 1], seed=0, count=1)
