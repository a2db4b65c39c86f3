"""Figures as files: whole or not there, the same bytes in another process, named, escaped, and with their caveats."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.train.evaluation import caveats, results
from postmill.train.report.figures import files, tables
from postmill.train.report.figures.files import write_figures
from postmill.train.report.figures.spreadsheet import as_csv
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]
MINUS = "\N{MINUS SIGN}"
WRITE = """
import sys
from pathlib import Path
from postmill.shards.run import folder
from postmill.train.report.figures.files import write_figures
write_figures(folder.open_run(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def run(plant_once: MakeRun) -> Run:
    run = plant_once(posts=90, accounts=9, lost=2, record={"category": lambda row: "=1+1&_"})
    train_run(run, names=["followers"], seeds=1)
    train_run(run, recipe="paper", seeds=1)
    return run


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "figures"
    write_figures(run, folder)
    return folder


def test_each_figure_is_svg_pdf_and_csv_and_named(run: Run, folder: Path) -> None:
    written = {path.name for path in folder.iterdir()}
    figures = {path.stem for path in folder.glob("*.svg")}
    assert {"figure-1-predicted", "headline", "splits", "flow"} <= figures
    assert written == {f"{name}.{kind}" for name in figures for kind in ("svg", "pdf", "csv")} | {
        files.README,
        files.RESULTS_CSV,
        files.RESULTS_TEX,
    }
    readme = (folder / files.README).read_text()
    assert run.fingerprint in readme and all(f"{name}.svg, .pdf, .csv" in readme for name in figures)
    for name in figures:
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF-1.")
        rows = list(csv.reader((folder / f"{name}.csv").read_text().splitlines()))
        assert len(rows) > 1 and {len(row) for row in rows} == {len(rows[0])}


def test_another_process_writes_the_same_bytes(run: Run, folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", WRITE, str(run.folder), str(again)], check=True, env=environment)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_few_accounts_support_no_claim_in_any_figure_of_results(run: Run, folder: Path) -> None:
    said = " ".join(caveat.text for caveat in caveats.of_models(run, results.read_results(run)))
    assert "too few accounts for an interval" in said
    for name in ("headline", "splits", "figure-1-predicted"):
        text = " ".join(re.sub(r"<[^>]+>", " ", (folder / f"{name}.svg").read_text()).split())
        assert "too few accounts" in text.replace("- ", "-") and "No claim is made" in text, name
    assert "too few accounts for an interval" in (folder / files.RESULTS_TEX).read_text()
    assert ",,,too few accounts for an interval" in (folder / files.RESULTS_CSV).read_text()


def test_results_are_those_of_the_models(run: Run, folder: Path) -> None:
    stated = {result.name: result for result in results.read_results(run)}
    rows = list(csv.DictReader((folder / files.RESULTS_CSV).read_text().splitlines()))
    assert {row["model"] for row in rows} == set(stated) and len(rows) == 5 * sum(
        len(of.splits) for of in stated.values()
    )
    for row in rows:
        if row["metric"] == "R²" and row["value"]:
            assert float(row["value"]) == pytest.approx(
                stated[row["model"]].splits[row["split"]].pooled["r2"], abs=6e-4
            )
    text = (folder / files.RESULTS_TEX).read_text()
    followers = stated["followers"].splits["influencer"].pooled["r2"]
    assert followers is not None and f"\nfollowers & {tables.escaped(f'{followers:.2f}'.replace('-', MINUS))}" in text


def test_the_table_is_latex_that_compiles(folder: Path) -> None:
    text = (folder / files.RESULTS_TEX).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    body = "\n".join(lines)
    opened = re.findall(r"\\begin\{(\w+)\}", body)
    assert opened == ["table", "tabular", "minipage"]
    assert re.findall(r"\\end\{(\w+)\}", body) == ["tabular", "minipage", "table"]
    bare = re.sub(r"\\[{}$&%#_]", "", body)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert not re.search(r"[%#_~^<>|\"]", re.sub(r"\$\^2\$", "", bare)) and bare.isascii()
    columns = len(re.search(r"\\begin\{tabular\}\{(l\w+)\}", body)[1])  # type: ignore[index]
    rows = body[body.index(r"\toprule") : body.index(r"\bottomrule")].splitlines()
    rows = [row for row in rows if row.endswith(r"\\")]
    assert len(rows) > 3 and {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}
    commands = set(re.findall(r"\\([a-zA-Z]+)", body))
    assert commands <= {
        *("begin", "end", "centering", "small", "caption", "toprule", "midrule", "bottomrule", "par", "medskip"),
        *("linewidth", "footnotesize", "parbox", "raggedleft", "shortstack", "scriptsize", "textquotedbl"),
    }


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50 % of a_b & #1 {x} $y$", r"50 \% of a\_b \& \#1 \{x\} \$y\$"),
        ("\\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ('a\n\\end{table}\t~^<>|"', r"a \textbackslash{}end\{table\} \textasciitilde{}\textasciicircum{}\textless{}"),
        (f"R² {MINUS}0.5", "R$^2$ $-$0.5"),
    ],
)
def test_texts_are_escaped_for_latex(text: str, latex: str) -> None:
    assert tables.escaped(text).startswith(latex)


def test_a_spreadsheet_takes_no_text_for_a_formula(folder: Path) -> None:
    made = as_csv(["a", "b"], [["=1+1", -0.5], ["+x", None], ["@y", 3], ['a"b,c', "-z"], ["-1.5", "+2%"], ["-1-1", ""]])
    whole = ["'=1+1,-0.5", "'+x,", "'@y,3", '"a""b,c",\'-z', "-1.5,+2%", "'-1-1,"]
    assert made.splitlines()[1:] == whole


def test_a_folder_that_holds_something_is_refused_and_nothing_is_left_of_a_full_disk(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        write_figures(run, tmp_path / "used")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine"]

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "as_csv", full)
    with pytest.raises(PostmillError, match="No space left"):
        write_figures(run, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_the_command_says_where_figures_are_and_refuses_a_used_folder_before_any_work(run: Run, tmp_path: Path) -> None:
    def report(folder: Path) -> subprocess.CompletedProcess[str]:
        words = ["-m", "postmill.cli", "report", str(run.folder), "--figures", str(folder)]
        return subprocess.run([sys.executable, *words], capture_output=True, text=True)

    done = report(tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    assert re.search(
        rf"figures: \d+ in {re.escape(str(tmp_path / 'figures'))}, and what they are in README.txt", done.stdout
    )
    assert (tmp_path / "figures" / "figure-1-predicted.pdf").exists()
    refused = report(tmp_path / "figures")
    assert refused.returncode == 2 and "not empty" in refused.stderr and refused.stdout == ""


def test_a_run_without_models_has_the_figures_of_its_data(plant_once: MakeRun, tmp_path: Path) -> None:
    figures = write_figures(plant_once(posts=300, accounts=40), tmp_path / "figures")
    names = [figure.name for figure in figures]
    assert "flow" in names and "target" in names and "headline" not in names
    assert not (tmp_path / "figures" / files.RESULTS_CSV).exists()
