"""The arguments of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postmill.console.arguments.places import on_disk

OtherRunArgument = Annotated[
    Path | None, typer.Argument(parser=on_disk, metavar="[OTHER]", help="Another run folder, to compare with.")
]
FiguresOption = Annotated[
    Path | None,
    typer.Option(
        "--figures",
        parser=on_disk,
        metavar="DIR",
        help="Figures and results for a paper too: SVG, PDF, CSV, LaTeX. A new or empty folder.",
    ),
]
