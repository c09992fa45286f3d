"""`prompt-tuning report`: figures, tables, findings and one page of a results folder."""

import base64
import html
import importlib.metadata
import json
import pathlib
import platform
import re
import string
from collections.abc import Iterable, Sequence

import pyarrow as pa

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.files import check_writable, write_file
from prompt_tuning.sweep import counts, draw, tables
from prompt_tuning.sweep.cells import Result, dev, read_results
from prompt_tuning.sweep.convergence import convergence_sheets
from prompt_tuning.sweep.evaluated import ensemble_sheets, reading_sheets
from prompt_tuning.sweep.figures import FACTORING, FIGURES, METHODS, Figure
from prompt_tuning.sweep.findings import findings
from prompt_tuning.sweep.lines import Plot, plots
from prompt_tuning.sweep.search import search_sheets

CITATION = {  # also in CITATION.cff; a test holds that both agree
    "title": "prompt_tuning: prompt tuning of frozen T5 models in JAX",
    "author": "The prompt_tuning authors",
}
PAPER_BIBTEX = """\
@inproceedings{lester-etal-2021-power,
  title = {The Power of Scale for Parameter-Efficient Prompt Tuning},
  author = {Lester, Brian and Al-Rfou, Rami and Constant, Noah},
  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language
    Processing},
  year = {2021},
  url = {https://aclanthology.org/2021.emnlp-main.243},
}"""
_PACKAGES = ("prompt-tuning", "jax", "flax", "optax", "numpy", "matplotlib", "pyarrow")
GALLERY_BYTES = 300_000  # a picture of the gallery is smaller

Drawing = tuple[str, str, dict[str, bytes]]  # name, caption, files by format


def write_report(
    table: pa.Table,
    out: pathlib.Path,
    *,
    figures: Sequence[Figure] = FIGURES,
    runs: pathlib.Path | None = None,
) -> pathlib.Path:
    """Write a report on a table of results and return the path of its page.

    `out` gets report.html (self-contained), findings.md, captions.md, figures/ (PDF, SVG, PNG) and
    tables/ (Markdown, LaTeX, CSV). `runs` is the folder of the run directories, whose versions are
    listed, and whose logs and readings of prompts are tabulated. Raises UserError without
    matplotlib, or where the folder takes no files.
    """
    check_writable(out)
    results = read_results(table)
    if not dev(results):
        raise UserError("the table has no main score on a dev split: nothing to report")
    shown = [plot for figure in figures for plot in plots(figure, results)]
    drawings = drawn(shown)
    sheets = [tables.plot_sheet(plot) for plot in shown]
    sheets += tables.transfer_sheets(results)
    sheets += ensemble_sheets(results) + convergence_sheets(results, runs)
    sheets += search_sheets(results) + reading_sheets(results, runs)
    drawn_as = next((f for f in figures if f.name == FACTORING.name), FACTORING)
    factoring = tables.factoring_sheet(results, drawn_as)
    sheets += [factoring] if factoring else []
    sheets += [tables.counts_sheet(), tables.trainable_sheet(), tables.runs_sheet(results)]
    found = findings(table, figures)
    for name, _, files in drawings:
        for form, data in files.items():
            write_file(out / "figures" / f"{name}.{form}", data)
    for sheet in sheets:
        for ending, render in (
            ("md", tables.markdown),
            ("tex", tables.latex),
            ("csv", tables.as_csv),
        ):
            write_file(out / "tables" / f"{sheet.name}.{ending}", render(sheet).encode())
    captions = "".join(f"- `{name}`: {caption}\n" for name, caption, _ in drawings)
    write_file(out / "captions.md", captions.encode())
    write_file(out / "findings.md", found.encode())
    facts = manifest(table, results, runs)
    write_file(out / "report.html", page(drawings, sheets, found, facts).encode())
    return out / "report.html"


def drawn(shown: Sequence[Plot], formats: Sequence[draw.Format] = draw.FORMATS) -> list[Drawing]:
    """The files of the figures and of Figure 4, which needs no runs."""
    found = [(plot.name, plot.caption, draw.draw(plot, formats)) for plot in shown]
    return [*found, ("figure4", counts.CAPTION, draw.draw_counts(counts.counts(), formats))]


def write_gallery(
    table: pa.Table, out: pathlib.Path, *, figures: Sequence[Figure] = FIGURES
) -> list[pathlib.Path]:
    """The figures as PNG and SVG for a README. Raises UserError for a file of 300 kB or more."""
    shown = [plot for figure in figures for plot in plots(figure, read_results(table))]
    files = {
        out / f"{name}.{form}": data
        for name, _, by_form in drawn(shown, ("png", "svg"))
        for form, data in by_form.items()
    }
    for path, data in files.items():
        if len(data) >= GALLERY_BYTES:
            raise UserError(f"{path.name} has {len(data)} bytes, {GALLERY_BYTES} or more")
    for path, data in files.items():
        write_file(path, data)
    return list(files)


def manifest(
    table: pa.Table, results: Sequence[Result], runs: pathlib.Path | None
) -> list[tuple[str, str]]:
    """What was run, with what: name and value."""
    rows = table.select(["run", "model", "method", "seconds"]).to_pylist()
    trained = [row for row in rows if row["method"] != "ensemble"]  # the others' prompts
    seconds = {row["run"]: row["seconds"] or 0.0 for row in trained}
    compared = dev(results)
    facts = [
        ("runs", f"{len(seconds):,}"),
        ("models", _listed(row["model"] for row in rows)),
        ("methods", _listed(METHODS.get(r.method, r.method) for r in compared)),
        ("tasks", _listed(r.task for r in compared)),
        ("seeds", _listed(str(r.seed) for r in compared)),
        ("hours of work", f"{sum(seconds.values()) / 3600:.2f}"),
    ]
    for package, versions in sorted(_run_versions(runs, seconds).items()):
        facts.append((f"{package} (of the runs)", _listed(versions)))
    facts.append(("Python (of this report)", platform.python_version()))
    for package in _PACKAGES:
        facts.append((f"{package} (of this report)", importlib.metadata.version(package)))
    return facts


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _run_versions(folder: pathlib.Path | None, runs: Iterable[str]) -> dict[str, set[str]]:
    """The versions that the runs' own manifests name."""
    found: dict[str, set[str]] = {}
    for run in runs if folder else ():
        path = pathlib.Path(folder or "", run, "manifest.json")
        try:
            versions = json.loads(path.read_text(encoding="utf-8")).get("versions", {})
        except (OSError, ValueError):
            continue
        for package, version in versions.items():
            found.setdefault(package, set()).add(str(version))
    return found


def page(
    drawings: Sequence[Drawing],
    sheets: Sequence[tables.Sheet],
    found: str,
    facts: Sequence[tuple[str, str]],
) -> str:
    """One HTML page that needs no network and no other file."""
    template = pathlib.Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    known = dict(facts)
    return string.Template(template).substitute(
        title="Prompt tuning: report",
        summary=html.escape(f"{known['runs']} runs; models: {known['models']}."),
        findings=_findings_html(found),
        figures="\n".join(_figure_html(*drawing) for drawing in drawings),
        tables="\n".join(_table_html(sheet) for sheet in sheets),
        manifest=_table_html(tables.Sheet("manifest", "", ("what", "value"), tuple(facts))),
        cite=f"<pre>{html.escape(cite())}</pre>",
    )


def cite() -> str:
    """BibTeX of this software and of the paper whose method it implements."""
    version = importlib.metadata.version("prompt-tuning")
    ours = (
        f"@software{{prompt_tuning,\n  title = {{{CITATION['title']}}},\n"
        f"  author = {{{{{CITATION['author']}}}}},\n  version = {{{version}}},\n}}"
    )
    return f"{ours}\n\n{PAPER_BIBTEX}"


def _findings_html(found: str) -> str:
    """The little Markdown that `findings` writes: a bold title, then a list."""
    parts = []
    for block in found.strip().split("\n\n"):
        title, *items = block.split("\n")
        head = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(title))
        entries = "".join(f"<li>{html.escape(item.removeprefix('- '))}</li>" for item in items)
        parts.append(f"<p>{head}</p>" + (f"<ul>{entries}</ul>" if entries else ""))
    return "\n".join(parts)


def _figure_html(name: str, caption: str, files: dict[str, bytes]) -> str:
    data = base64.b64encode(files["svg"]).decode()
    text = html.escape(caption)
    return (
        f'<figure id="{name}"><img alt="{text}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _table_html(sheet: tables.Sheet) -> str:
    kinds = [' class="number"' * tables.numeric(sheet, n) for n in range(len(sheet.header))]
    head = "".join(
        f'<th scope="col"{kind}><button type="button">{html.escape(name)}</button></th>'
        for kind, name in zip(kinds, sheet.header, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td{kind} data-value="{html.escape("" if entry is None else str(entry))}">'
            f"{html.escape(tables.text(entry))}</td>"
            for kind, entry in zip(kinds, row, strict=True)
        )
        + "</tr>\n"
        for row in sheet.rows
    )
    title = f"<h3>{html.escape(sheet.title)}</h3>" if sheet.title else ""
    return (
        f'{title}<div class="scroll"><table class="sortable" id="table-{sheet.name}">'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>"
    )
