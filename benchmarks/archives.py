"""What postmill and others make of the same archives, and how fast.

    python benchmarks/archives.py                     # print the tables
    python benchmarks/archives.py --write             # and put them into docs/archives.md
    python benchmarks/archives.py --no-speed --only zip

Sets are written by the real zip, 7z and split, and by postmill's own writer under other tools' names; the sets in
../shared/zips are read too where they are there. Every reader extracts into a folder of its own, or reads every
entry, and what comes of it is compared by SHA-256. A reader that is not installed is left out with a note;
stream-unzip may be installed for another interpreter: --stream-unzip-python PATH.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.archive_cases import made_cases, shared_cases  # noqa: E402
from benchmarks.archive_readers import Case, Outcome, Reader, readers  # noqa: E402
from postmill.ingest.archive.reader import Archive  # noqa: E402
from postmill.ingest.sample.zipwriter import NewEntry, write_zip  # noqa: E402
from postmill.ingest.zipformat.entry_names import hostile  # noqa: E402
from postmill.shards.formats.reasons import MEANING, Reason  # noqa: E402

DOCS = ROOT / "docs" / "archives.md"
ENTRY, ENTRIES = 14_000, 8_000  # of the speed test: bytes, number


def verdict(case: Case, outcome: Outcome) -> str:
    """Say in a few words what came of it."""
    if outcome.outside:
        return "**writes outside**"
    if outcome.crash:
        return f"**crashes**: {outcome.crash}"
    given = len(outcome.contents)
    unsafe = sum(hostile(name) is not None for name in outcome.contents)
    tail = ", says so" if outcome.code else ""
    if unsafe:
        return f"**unsafe name**{tail}"
    if given == 0:
        return "refuses" if outcome.code else "**nothing, silently**"
    if case.holds is None:
        return f"{given} given{tail}"
    right = sum(outcome.contents.get(name) == sha for name, sha in case.holds.items())
    wrong = given - right
    if right == len(case.holds) and not wrong:
        return f"all{', warns' if outcome.code else ''}"
    if wrong and not outcome.code:
        return f"**{wrong} wrong**, {right} right, silently"
    return f"{right} of {len(case.holds)}{f', {wrong} wrong' if wrong else ''}{tail or ', **silently**'}"


def try_all(cases: list[Case], ways: dict[str, Reader], root: Path) -> list[list[str]]:
    """Return a row for each case: its name and each reader's verdict."""
    rows = []
    for case in cases:
        joined = root / "joined.zip"
        joined.write_bytes(b"".join(part.read_bytes() for part in case.parts))
        row = [case.name if len(case.parts) == 1 else f"{case.name} ({len(case.parts)} parts)"]
        for way in ways.values():
            sandbox = Path(tempfile.mkdtemp(dir=root))
            out = sandbox / "a" / "b" / "out"
            out.mkdir(parents=True)
            try:
                row.append(verdict(case, way(case, joined, out)))
            except subprocess.TimeoutExpired:
                row.append("**hangs**")
            shutil.rmtree(sandbox, ignore_errors=True)
        rows.append(row)
        print(" | ".join(row), file=sys.stderr, flush=True)
    return rows


def read_postmill(path: Path) -> None:
    """Read all entries in order of place."""
    with Archive.open(path) as archive:
        for _ in archive.stream():
            pass


def read_zipfile(path: Path) -> None:
    """Read all entries in the directory's order."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            archive.read(info)


def speed(root: Path) -> list[list[str]]:
    """Entries a second, the median of three turns in which each reader goes once, and the ratio to zipfile's."""
    rng = random.Random(9)
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(4000)]
    rows = []
    for label, method in (("stored", 0), ("deflated", 8)):
        contents = [
            rng.randbytes(ENTRY) if method == 0 else b" ".join(rng.choices(words, k=ENTRY // 6))[:ENTRY]
            for _ in range(500)
        ]
        path = root / f"{label}.zip"
        write_zip(path, (NewEntry(f"image/{n:06d}.jpg", contents[n % 500], method) for n in range(ENTRIES)))
        ways: dict[str, Callable[[], object]] = {
            "zipfile": lambda path=path: read_zipfile(path),
            "postmill": lambda path=path: read_postmill(path),
        }
        if shutil.which("bsdtar"):
            ways["bsdtar -cf - @zip"] = lambda path=path: run_quietly(["bsdtar", "-cf", "-", f"@{path}"])
        if shutil.which("7z"):
            ways["7z t"] = lambda path=path: run_quietly(["7z", "t", "-mmt=1", str(path)])
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(3):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                times[name].append(time.perf_counter() - began)
        base = statistics.median(times["zipfile"])
        for name, taken in times.items():
            middle = statistics.median(taken)
            rows.append([label, name, f"{ENTRIES / middle:,.0f}", f"{base / middle:.1f}"])
    return rows


def run_quietly(command: list[str]) -> None:
    """Run a command for the time it takes."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reasons() -> str:
    """The reasons that an entry of an archive can be refused for; those of the dataset's tables come before them."""
    of_entries = list(Reason)[list(Reason).index(Reason.NAME_HOSTILE) :]
    return markdown(["reason", "meaning"], [[f"`{reason}`", MEANING[reason]] for reason in of_entries])


def put(section: str, text: str) -> None:
    """Replace what stands between the marks of ``section`` in the page."""
    page = DOCS.read_text()
    begin, end = f"<!-- {section}: made by benchmarks/archives.py -->\n", f"<!-- end of {section} -->"
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    if not rest:
        raise SystemExit(f"{DOCS} has no place for {section}")
    DOCS.write_text(f"{head}{begin}\n{text}\n\n{end}{tail}")


def main() -> None:
    """Make the archives, try the readers, print and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/archives.md")
    parser.add_argument("--only", default="", help="only archives whose name has this in it")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--no-readers", action="store_true", help="only the reasons and the speed")
    parser.add_argument("--stream-unzip-python", default=sys.executable, metavar="PATH")
    options = parser.parse_args()
    tables = {"reasons": reasons()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if not options.no_readers:
            ways, notes = readers(options.stream_unzip_python)
            cases = [case for case in (*made_cases(root), *shared_cases()) if options.only in case.name]
            rows = try_all(cases, ways, root)
            tables["readers"] = f"{'; '.join(notes)}.\n\n{markdown(['archive', *ways], rows)}"
        if not options.no_speed:
            tables["speed"] = markdown(["entries of 14 kB", "reader", "entries/s", "to zipfile"], speed(root))
    for section, text in tables.items():
        if section != "reasons":
            print(text, end="\n\n")
        if options.write:
            put(section, text)


if __name__ == "__main__":
    main()
