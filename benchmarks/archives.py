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
import hashlib
import json
import os
import platform
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.archive import Archive  # noqa: E402
from ingest.names import hostile  # noqa: E402
from ingest.parts import find_parts  # noqa: E402
from ingest.zipwriter import Member, write_zip  # noqa: E402
from shards.reasons import MEANING, Reason  # noqa: E402

SHARED = ROOT / ".." / "shared" / "zips"
DOCS = ROOT / "docs" / "archives.md"
FILES = 3000
PATIENCE = 60  # seconds until a reader counts as hanging
ENTRY, ENTRIES = 14_000, 8_000  # of the speed test: bytes, number

Tree = dict[str, str]  # name to SHA-256


@dataclass
class Case:
    """One archive, and what it holds where that is known."""

    name: str
    parts: list[Path]
    holds: Tree | None


@dataclass
class Outcome:
    """What a reader made of a case."""

    code: int  # 0 if it had nothing to complain of
    found: Tree = field(default_factory=dict)
    outside: bool = False  # it wrote beside the folder it was given
    crash: str | None = None


# --- The readers. Each gets the parts, the parts joined into one file, and a folder that is empty.

Reader = Callable[[Case, Path, Path], Outcome]

_ZIPFILE = """
import hashlib, json, sys, zipfile, zlib
bad = 0
try:
    archive = zipfile.ZipFile(sys.argv[1])
except zipfile.BadZipFile:
    sys.exit(1)
for info in archive.infolist():
    try:
        if not info.is_dir():
            print(json.dumps([info.filename, hashlib.sha256(archive.read(info)).hexdigest()]))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError):
        bad = 1
sys.exit(bad)
"""
_STREAM_UNZIP = """
import hashlib, json, sys, stream_unzip
def blocks():
    with open(sys.argv[1], "rb") as file:
        while block := file.read(65536):
            yield block
try:
    for name, size, chunks in stream_unzip.stream_unzip(blocks()):
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        if not name.endswith(b"/"):
            print(json.dumps([name.decode("utf-8", "replace"), digest.hexdigest()]))
except stream_unzip.UnzipError:
    sys.exit(1)
"""


def run(command: list[object], **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a locale whose names are UTF-8, with nothing to read and limited patience."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        env=environment,
        **options,  # type: ignore[call-overload]
    )


def scripted(python: object, script: str, path: Path) -> Outcome:
    """Run a reader that is a Python library: it prints a name and a digest a line."""
    done = run([python, "-W", "ignore", "-c", script, path])
    crash = None
    if done.stderr:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1]
        crash = last.partition(":")[0].rpartition(".")[2]
    return Outcome(done.returncode, dict(json.loads(line) for line in done.stdout.splitlines()), crash=crash)


def extracted(command: list[object], out: Path) -> Outcome:
    """Run a tool that extracts into ``out``, which lies deep in a folder of its own."""
    done = run(command)
    sandbox = out.parents[2]
    found: Tree = {}
    outside = False
    for path in sandbox.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        if out in path.parents:
            path.chmod(0o600)
            found[str(path.relative_to(out))] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            outside = True
    return Outcome(done.returncode, found, outside, f"signal {-done.returncode}" if done.returncode < 0 else None)


def last(case: Case) -> Path:
    """The part that a user would name: the one with the directory, or the first slice."""
    return case.parts[0] if re.search(r"\.(001|aa|000)$", case.parts[0].name) else case.parts[-1]


def postmill(case: Case, *options: str) -> Outcome:
    """Run `postmill inspect --digest`."""
    done = run([sys.executable, ROOT / "cli.py", "inspect", "--digest", *options, *case.parts])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    crash = "Traceback" if b"Traceback" in done.stderr else None
    return Outcome(done.returncode, {row["name"]: row["sha256"] for row in rows if "sha256" in row}, crash=crash)


def readers(stream_unzip_python: str) -> tuple[dict[str, Reader], list[str]]:
    """Return the readers that are here by their names, and notes on the others and on versions."""
    found: dict[str, Reader] = {
        "postmill": lambda case, joined, out: postmill(case),
        "postmill, salvage": lambda case, joined, out: postmill(case, "--salvage"),
        "zipfile": lambda case, joined, out: scripted(sys.executable, _ZIPFILE, last(case)),
        "zipfile, joined": lambda case, joined, out: scripted(sys.executable, _ZIPFILE, joined),
    }
    notes = [f"Python {platform.python_version()} (zipfile)"]
    tools: dict[str, tuple[list[str], dict[str, Reader]]] = {
        "7z": (
            ["7z", "i"],
            {"7z": lambda case, joined, out: extracted(["7z", "x", "-y", f"-o{out}", last(case)], out)},
        ),
        "bsdtar": (
            ["bsdtar", "--version"],
            {
                "bsdtar": lambda case, joined, out: extracted(["bsdtar", "-xf", last(case), "-C", out], out),
                "bsdtar, joined": lambda case, joined, out: extracted(["bsdtar", "-xf", joined, "-C", out], out),
            },
        ),
        "unzip": (
            ["unzip", "-v"],
            {
                "unzip": lambda case, joined, out: extracted(["unzip", "-qqo", last(case), "-d", out], out),
                "unzip, joined": lambda case, joined, out: extracted(["unzip", "-qqo", joined, "-d", out], out),
            },
        ),
    }
    for tool, (version, ways) in tools.items():
        if shutil.which(tool) is None:
            notes.append(f"{tool}: not installed, left out")
            continue
        found |= ways
        lines = [line.strip() for line in run(version).stdout.decode(errors="replace").splitlines() if line.strip()]
        notes.append(re.split(r" : | by |, | - ", lines[0])[0].removesuffix(","))
    asked = run(
        [stream_unzip_python, "-c", "import stream_unzip, importlib.metadata as m; print(m.version('stream-unzip'))"]
    )
    if asked.returncode:
        notes.append("stream-unzip: not installed, left out")
    else:
        found["stream-unzip, joined"] = lambda case, joined, out: scripted(stream_unzip_python, _STREAM_UNZIP, joined)
        notes.append(f"stream-unzip {asked.stdout.decode().strip()}")
    return found, notes


# --- The archives


def tree(root: Path) -> Tree:
    """Write 3,000 files below ``root``: empty, small, and some up to 60 kB."""
    rng = random.Random(3)
    made: Tree = {}
    for number in range(FILES):
        size = 0 if number % 101 == 0 else rng.randint(1, 60_000 if number % 150 == 0 else 1500)
        data = rng.randbytes(size) if number % 3 else (b"fresh bread #%d " % number * size)[:size]
        name = f"image/{number % 20:02d}/user.{number}-{rng.randrange(1 << 60)}.jpg"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        made[name] = hashlib.sha256(data).hexdigest()
    return made


COMMANDS = {
    "zip": "zip -q -r $OUT/a.zip .",
    "zip -s 64k": "zip -q -r -s 64k $OUT/a.zip .",
    "zip -s 64k -fz": "zip -q -r -s 64k -fz $OUT/a.zip .",
    "zip - (to a pipe)": "zip -q -r - . > $OUT/a.zip",
    "zip - | split": "zip -q -r - . | split -b 64k -d -a 3 --numeric-suffixes=1 - $OUT/a.zip.",
    "7z -v64k": "7z a -tzip -bso0 -v64k $OUT/a.zip .",
    "7z -mm=Deflate64": "7z a -tzip -bso0 -mm=Deflate64 $OUT/a.zip .",
}


def made_cases(root: Path) -> Iterator[Case]:
    """Write the tree with every tool that is here, and with postmill's writer under other tools' names."""
    (root / "tree").mkdir()
    holds = tree(root / "tree")
    for number, (name, command) in enumerate(COMMANDS.items()):
        out = root / f"made{number}"
        out.mkdir()
        if shutil.which(command.split()[0]):
            shell = ["sh", "-c", command.replace("$OUT", '"$0"'), str(out)]
            subprocess.run(shell, cwd=root / "tree", check=True)
            yield Case(name, [Path(part.path) for part in find_parts(out)], holds)
    members = [Member(name, (root / "tree" / name).read_bytes()) for name in holds]
    for label, part, names in (
        ("as WinRAR names them (.z01, 300 kB)", 300_000, ("z{:02d}", "zip")),
        ("as WinZip names them (.zx01, .zipx)", 200_000, ("zx{:02d}", "zipx")),
        ("numbered from .z00, no .zip", 64_000, ("z{:02d}", None)),
    ):
        out = root / f"own-{part}"
        out.mkdir()
        parts = write_zip(out / "a.zip", members, part_size=part).parts
        first = 0 if names[1] is None else 1
        suffixes = [names[0].format(n + first) for n in range(len(parts))]
        suffixes[-1] = names[1] or suffixes[-1]
        yield Case(label, [p.rename(out / f"a.{s}") for p, s in zip(parts, suffixes, strict=True)], holds)
    (root / "zstandard.zip").write_bytes(zstandard_zip({member.name: member.data for member in members}))
    yield Case("Zstandard (method 93)", [root / "zstandard.zip"], holds)


def zstandard_zip(files: dict[str, bytes]) -> bytes:
    """A whole zip of method 93, which none of the tools here writes."""
    data, directory = bytearray(), bytearray()
    for name, plain in files.items():
        packed = zstandard.ZstdCompressor().compress(plain)
        fields = struct.pack("<HHIIIIHH", 0, 93, 0x21 << 16, zlib.crc32(plain), len(packed), len(plain), len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<HH", 63, 63) + fields
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(data)) + name.encode()
        data += b"PK\x03\x04" + struct.pack("<H", 63) + fields + name.encode() + packed
    counts = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(data), 0)
    return bytes(data + directory + b"PK\x05\x06" + counts)


def shared_cases() -> Iterator[Case]:
    """The sets beside the project, where they are there: of rare shapes, of real writers, and hostile ones."""
    generated = SHARED / "generated"
    if not generated.is_dir():
        return
    members = {name: sha for name, (_, sha) in json.loads((generated / "members.json").read_text()).items()}
    expected: dict[str, list[str]] = json.loads((generated / "EXPECTED.json").read_text())
    for name in expected:
        if not name.startswith("hostile/") and (generated / name).exists():
            yield Case(name, [Path(part.path) for part in find_parts(generated / name)], members)
    if (generated / "cc-writer").is_dir():
        yield Case("cc-writer", [Path(part.path) for part in find_parts(generated / "cc-writer")], None)
    for path in sorted(SHARED.glob("commons-compress-*/*/split*.zip")):
        whole = path.parent / path.name.replace("split_zip_created", "zip_to_compare_created")
        yield Case(path.stem, [Path(part.path) for part in find_parts(path)], digest(whole))
    whole_set = ("two-eocd", "eocd-in-comment", "prefix-junk", "truncated-mid", "truncated-tail")
    for path in sorted((generated / "hostile").glob("*.zip")):
        yield Case(f"hostile/{path.stem}", [path], members if path.stem in whole_set else None)


def digest(path: Path) -> Tree:
    """Return what a whole zip holds, as zipfile reads it."""
    done = scripted(sys.executable, _ZIPFILE, path)
    return done.found


# --- The verdicts


def verdict(case: Case, outcome: Outcome) -> str:
    """Say in a few words what came of it."""
    if outcome.outside:
        return "**writes outside**"
    if outcome.crash:
        return f"**crashes**: {outcome.crash}"
    given = len(outcome.found)
    unsafe = sum(hostile(name) is not None for name in outcome.found)
    tail = ", says so" if outcome.code else ""
    if unsafe:
        return f"**unsafe name**{tail}"
    if given == 0:
        return "refuses" if outcome.code else "**nothing, silently**"
    if case.holds is None:
        return f"{given} given{tail}"
    right = sum(outcome.found.get(name) == sha for name, sha in case.holds.items())
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


# --- Speed


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
        write_zip(path, (Member(f"image/{n:06d}.jpg", contents[n % 500], method) for n in range(ENTRIES)))
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


# --- The page


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reasons() -> str:
    """The reasons that an entry of an archive can be refused for; those of the dataset's tables come before them."""
    of_entries = list(Reason)[list(Reason).index(Reason.NAME_HOSTILE) :]
    return markdown(["reason", "meaning"], [[f"`{each}`", MEANING[each]] for each in of_entries])


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
