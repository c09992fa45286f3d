"""`prompt-tuning report`: its files, its page in a real browser, its refusals."""

import csv
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet
import pytest

from experiments.table1_domain_shift import TARGETS
from prompt_tuning.cli import main
from prompt_tuning.prompts.files import write_json
from prompt_tuning.sweep import paper_values, report, tables
from prompt_tuning.sweep.cells import read_results
from prompt_tuning.sweep.figures import FIGURES, Figure
from prompt_tuning.sweep.report import write_report
from prompt_tuning.sweep.tables import Sheet, as_csv, latex, markdown
from tests.sweep.conftest import reading, result_row, votes

SMALL = pa.Table.from_pylist(
    [result_row(f"pocket:{size}", "a/x", 50.0, seed=s) for size in ("xs", "s") for s in (0, 1)]
)
ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def written(tmp_path_factory, real_study, pocket_study):
    """A report on a folder with the real and the pocket models."""
    folder = tmp_path_factory.mktemp("results")
    rte = [
        row
        for row in real_study.to_pylist()
        if (row["method"], row["task"]) == ("prompt", "super_glue/rte")
        and (row["prompt_length"], row["prompt_init"]) == (100, "class_labels")
        and "xxl" in row["model"]
    ]
    vote = pa.Table.from_pylist(votes(rte, {"accuracy": 95.0, "score": 95.0}))
    near = reading([["▁yes", "▁sure"]], {"yes": [0]})
    write_json(folder / rte[0]["run"] / "neighbours.json", near)
    table = pa.concat_tables([pocket_study, real_study, vote])
    pyarrow.parquet.write_table(table, folder / "results.parquet")
    assert main(["report", str(folder)]) == 0
    return folder / "report"


def test_every_figure_and_table_is_there_in_every_format(written):
    names = {path.stem for path in (written / "figures").iterdir()}
    assert {"figure1_T5_1_1", "figure1_pocket_T5", "figure3a_T5_1_1", "figure4"} <= names
    for folder, endings in (("figures", ("pdf", "svg", "png")), ("tables", ("md", "tex", "csv"))):
        files = {path.name for path in (written / folder).iterdir()}
        assert files == {f"{path.split('.')[0]}.{e}" for path in files for e in endings}
    sheets = {path.stem for path in (written / "tables").iterdir()}
    assert {"table3", "table4", "table6", "table6_trials", "section7", "section7_pieces"} <= sheets
    captions = (written / "captions.md").read_text()
    assert all(f"`{name}`" in captions for name in names)
    assert "Model tuning against prompt tuning" in (written / "findings.md").read_text()


def test_the_csv_says_ours_paper_difference_and_seeds(written):
    text = (written / "tables" / "figure1_T5_1_1.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    row = next(r for r in rows if (r["series"], r["size"]) == ("model tuning", "xxl"))
    assert float(row["paper (%)"]) == 89.9
    assert float(row["difference"]) == pytest.approx(float(row["ours (%)"]) - 89.9)
    assert row["seeds"] == "3"
    vote = (written / "tables" / "table3.csv").read_text()
    assert [row["paper: ensemble"] for row in csv.DictReader(io.StringIO(vote))] == ["93.5"]
    pocket = (written / "tables" / "figure1_pocket_T5.csv").read_text()
    assert "paper" not in pocket.splitlines()[0]


def test_the_page_needs_nothing_else(written):
    page = (written / "report.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(link.startswith(("data:", "#")) for link in links)
    assert page.count("<img") == len(list((written / "figures").glob("*.svg")))
    assert "@inproceedings{lester-etal-2021-power" in page
    assert pa.__version__ in page


def test_a_report_is_the_same_twice_and_an_experiment_may_bring_a_figure(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    pyarrow.parquet.write_table(SMALL, folder / "results.parquet")
    file = tmp_path / "experiments" / "mine.py"
    file.parent.mkdir()
    file.write_text(
        "from prompt_tuning.sweep.figures import Figure\n"
        "FIGURE = Figure('mine', 'A figure of my own', series='method')\n"
        "def runs(setting='paper'):\n    return []\n"
    )
    assert main(["report", str(folder), "--experiment", str(file)]) == 0
    assert (folder / "report" / "figures" / "mine.pdf").is_file()
    mine = Figure("mine", "A figure of my own", series="method")
    write_report(SMALL, tmp_path / "again", figures=[*FIGURES, mine])
    paths = [path for path in (folder / "report").rglob("*") if path.is_file()]
    assert len(paths) > 10
    for path in paths:
        again = tmp_path / "again" / path.relative_to(folder / "report")
        assert again.read_bytes() == path.read_bytes()


def test_tables_survive_odd_text():
    sheet = Sheet("odd", "100 % & more", ("a|b", "n"), (("x_1|{y}", 1.25), ("–", None)))
    assert markdown(sheet).splitlines()[2:] == [
        "| a\\|b | n |", "| --- | ---: |", "| x_1\\|{y} | 1.2 |", "| – | – |",
    ]  # fmt: skip
    text = latex(sheet)
    assert r"\caption{100 \% \& more}" in text
    assert r"x\_1\textbar{}\{y\} & 1.2 \\" in text
    assert as_csv(sheet) == "a|b,n\nx_1|{y},1.25\n–,\n"


def test_transfer_stands_beside_the_paper_at_xxl():
    rows = [
        result_row("google/t5-xxl-lm-adapt", task, value, trained_on="glue/qqp", method=method,
                   metric=metric, main=False)
        for method, value in (("model", 70.0), ("prompt", 75.0))
        for task in ("glue/qqp", "glue/mrpc")
        for metric in ("f1", "accuracy")
    ]  # fmt: skip
    (sheet,) = tables.transfer_sheets(read_results(pa.Table.from_pylist(rows)))
    assert sheet.name == "table2"
    row = next(r for r in sheet.rows if r[1] == "glue/mrpc" and r[4] == "f1")
    assert row[11] == 5.0
    assert row[12:14] == (81.2, 84.3)
    assert row[15:] == pytest.approx((70.0 - 81.2, 75.0 - 84.3))
    assert len(set(sheet.header)) == len(sheet.header) == len(row)


def test_every_domain_of_table_1_is_one_of_the_experiments():
    known = {"squad"} | {task.rpartition("/")[2] for task in TARGETS["squad"]}
    assert known == set(paper_values.DOMAIN_SHIFT)


def test_without_matplotlib_nothing_is_written(tmp_path, capsys, monkeypatch):
    pyarrow.parquet.write_table(SMALL, tmp_path / "results.parquet")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["report", str(tmp_path)]) == 2
    assert "pip install 'prompt-tuning[plot]'" in capsys.readouterr().err
    assert not list((tmp_path / "report").rglob("*.*"))


def test_how_to_cite_agrees_with_the_citation_file():
    text = (ROOT / "CITATION.cff").read_text()
    assert f'title: "{report.CITATION["title"]}"' in text
    assert f"name: {report.CITATION['author']}" in text
    assert re.search(r"url: (\S+)", text)[1] in report.PAPER_BIBTEX
    assert re.search(r"year: (\d+)", text)[1] in report.PAPER_BIBTEX


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is not a folder"),
        (lambda path: path.mkdir(), "has no results.parquet"),
        (lambda path: write(path, b"no parquet"), "cannot be read"),
        (lambda path: table(path, {"run": ["a"]}), "no column experiment"),
        (lambda path: table(path, result_row("pocket:xs", "a/x", 1.0), 0), "has no rows"),
        (
            lambda path: table(path, result_row("pocket:xs", "a/x", 1.0, main=False)),
            "no main score",
        ),
    ],
)
def test_refusals_are_one_line(tmp_path, capsys, make, message):
    make(tmp_path / "results")
    assert main(["report", str(tmp_path / "results")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "results" / "report" / "report.html").exists()


def test_tasks_and_lengths_that_are_not_there_are_named(tmp_path, capsys):
    table(tmp_path / "results", result_row("pocket:xs", "a/rte", 1.0))
    command = ["report", str(tmp_path / "results")]
    assert main([*command, "--tasks", "a/rtee"]) == 2
    assert "'a/rtee'; did you mean a/rte?" in capsys.readouterr().err
    assert main([*command, "--length", "77"]) == 2
    assert "no prompt here has length 77; there are [20]" in capsys.readouterr().err
    assert not (tmp_path / "results" / "report").exists()


def write(folder, data):
    folder.mkdir()
    (folder / "results.parquet").write_bytes(data)


def table(folder, row, count=1):
    folder.mkdir()
    rows = pa.Table.from_pylist([row])
    pyarrow.parquet.write_table(rows.slice(0, count), folder / "results.parquet")


def test_the_gallery_is_small(tmp_path, monkeypatch):
    folder = tmp_path / "results"
    folder.mkdir()
    pyarrow.parquet.write_table(SMALL, folder / "results.parquet")
    script = [sys.executable, str(ROOT / "scripts" / "gallery.py"), str(folder)]
    subprocess.run([*script, str(tmp_path / "gallery")], check=True, cwd=ROOT)
    files = list((tmp_path / "gallery").iterdir())
    assert {path.suffix for path in files} == {".png", ".svg"}
    assert max(path.stat().st_size for path in files) < 300_000
    monkeypatch.setattr(report, "GALLERY_BYTES", 1000)
    with pytest.raises(report.UserError, match="bytes"):
        report.write_gallery(SMALL, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_readme_shows_small_figures_that_are_there():
    shown = re.findall(r"!\[[^]]+\]\((docs/figures/[^)]+)\)", (ROOT / "README.md").read_text())
    assert len(shown) == len(set(shown)) >= 4
    for path in map(ROOT.__truediv__, shown):
        sizes = [path.with_suffix(ending).stat().st_size for ending in (".png", ".svg")]
        assert 1000 < min(sizes) <= max(sizes) < report.GALLERY_BYTES


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium, where it is installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Chromium and its driver are not installed (Debian: chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        *("disable-dev-shm-usage", "window-size=1200,1000"),
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver, env={**os.environ, "no_proxy": "*"})
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def test_the_page_in_a_browser(written, browser):
    browser.get((written / "report.html").as_uri())
    images = browser.execute_script(
        "return [...document.images].map(i => i.complete && i.width > 100 && i.alt.length > 9)"
    )
    assert len(images) > 8
    assert all(images)

    def column(n):
        return browser.execute_script(
            "return [...document.querySelectorAll('#table-runs tbody tr')]"
            f".map(row => row.cells[{n}].dataset.value)"
        )

    def click(n):
        browser.execute_script(
            f"document.querySelectorAll('#table-runs thead button')[{n}].click()"
        )

    scores = [float(x) for x in column(9)]
    rows = sorted(zip(column(1), column(9), strict=True))
    assert len(rows) > 100
    sections = browser.execute_script("return [...document.querySelectorAll('h2')].map(h => h.id)")
    assert sections == ["findings", "figures", "tables", "runs", "cite"]
    assert scores != sorted(scores)
    click(9)  # numbers
    assert [float(x) for x in column(9)] == sorted(scores)
    click(9)
    assert [float(x) for x in column(9)] == sorted(scores, reverse=True)
    click(1)  # text
    assert column(1) == sorted(column(1))
    assert sorted(zip(column(1), column(9), strict=True)) == rows
    order = browser.execute_script(
        "return [...document.querySelectorAll('#table-runs th')].map(h => h.ariaSort)"
    )
    assert order == [None, "ascending", *[None] * 8]
    unknown = "#table-figure1_T5_1_1"
    last = f"return [...document.querySelectorAll('{unknown} tbody tr')].at(-1).cells[3].innerText"
    for _ in range(2):
        browser.execute_script(f"document.querySelectorAll('{unknown} thead button')[3].click()")
        assert browser.execute_script(last) == "–"
    wide = browser.execute_script(
        "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    assert not wide
    assert browser.get_log("browser") == []
