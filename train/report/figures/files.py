"""The figures of a run as files for a paper, in a folder of the user's own that is there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from postmill.shards.run import output, publish
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Progress, Silent
from postmill.train.data import algebra
from postmill.train.evaluation import caveats, results
from postmill.train.evaluation.results import ModelResult
from postmill.train.report import describe
from postmill.train.report.figures import drawing, make, tables
from postmill.train.report.figures.figure import Figure
from postmill.train.report.figures.spreadsheet import as_csv
from postmill.train.report.tone import current

README = "README.txt"
RESULTS_CSV, RESULTS_TEX = "results.csv", "results.tex"


@algebra.single_core()
def write_figures(run: Run, folder: Path, progress: Progress | None = None) -> list[Figure]:
    """Write every figure as SVG, PDF and CSV, and the results as CSV and LaTeX; return the figures.

    The same run gives the same bytes.

    Args:
        run: The run; of models of several targets, figures show those that the page shows.
        folder: A new or empty folder.
        progress: Told of every figure.

    Raises:
        UsageError: The folder holds something, or there is no finished plan.
        PostmillError: A shard or a model cannot be read, or the disk is full.
    """
    progress = progress or Silent()
    output.check_folder(folder)
    with progress.track("figures: numbers", 1, "run") as advance:
        models = results.read_results(run)
        by_target = results.by_target(models)
        data = describe.summarise(run, next(iter(by_target), None))
        made = make.figures(run, data, by_target.get(data.definition, []), insights=current.read(run).insights)
        advance(1)
    with output.folder(folder) as written, progress.track("figures", len(made), "figures") as advance:
        files: dict[str, str] = {}
        for figure in made:
            for name, content in _files(figure):
                publish.put_bytes(written / name, content)
            title = f"{figure.number}. {figure.title}" if figure.number else figure.title
            files[f"{figure.name}.svg, .pdf, .csv"] = f"{title}: {figure.caption}"
            advance(1)
        if models:
            said = caveats.of_models(run, models)
            publish.put_bytes(written / RESULTS_CSV, tables.results_csv(models))
            publish.put_bytes(written / RESULTS_TEX, tables.latex(models, said))
            files[RESULTS_CSV] = "Every metric of every model on every split, with its 95 % interval over accounts."
            files[RESULTS_TEX] = "R² of every model on every split as a LaTeX table; it needs the package booktabs."
        publish.put_bytes(written / README, _readme(run, models, files).encode())
    return made


def _files(figure: Figure) -> Iterator[tuple[str, bytes]]:
    yield f"{figure.name}.svg", drawing.paper_svg(figure).encode()
    yield f"{figure.name}.pdf", drawing.paper_pdf(figure)
    yield f"{figure.name}.csv", as_csv(figure.columns, figure.rows).encode()


def _readme(run: Run, models: Sequence[ModelResult], files: Mapping[str, str]) -> str:
    lines = [
        "Figures and results of a run of postmill.",
        "",
        f"run: {run.fingerprint}",
        f"made by: postmill {version('postmill')}, postmill report RUN --figures DIR",
        "",
        "They hold numbers of many posts together: no post, no account and no text of either.",
        *(caveat.text for caveat in caveats.of_models(run, models)),
        "",
    ]
    for name, words in files.items():
        lines += [name, f"    {words}"]
    return "\n".join(lines) + "\n"
