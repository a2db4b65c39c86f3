"""One number for one thing: what pages say that the whole dataset takes is what the benchmarks' rates come to."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, text_of

POSTS, PICTURES, METADATA, PICTURE_BYTES = 10.06e6, 12.93e6, 9.73e6, 189e9
TEXTS = {"text": POSTS, "text-with-comments": POSTS, "sentiment": 2 * POSTS, "image, 256 pixels": PICTURES}


def rate(encoder: str, precision: str, heading: str) -> float:
    """Items a second of postmill in a table of the benchmarks."""
    section = text_of("benchmarks/README.md").partition(f"{heading}\n")[2]
    row = re.search(rf"^\| {encoder} \| {precision} \|[^|]*\|[^|]*\| ([\d.,]+) ", section, re.MULTILINE)
    assert row is not None, (encoder, precision)
    return float(row[1].replace(",", ""))


def hours(precision: str, heading: str) -> dict[str, float]:
    return {name: items / rate(name, precision, heading) / 3600 for name, items in TEXTS.items()}


@pytest.mark.parametrize("name", TEXTS)
def test_hours_of_encoding_are_those_of_the_rates(name: str) -> None:
    slow, fast = hours("float32", "## Encoders")[name], hours("float16", "### Encoders on a GPU")[name]
    short = name.partition(",")[0]
    said = text_of("docs/dataset.md")
    without = re.search(r"no GPU, float32 \| (.*?) \|", said)
    with_one = re.search(r"NVIDIA H200 with 16 cores \| (.*?) \|", said)
    assert without is not None and with_one is not None
    assert re.search(rf"\b{short} (?:hours )?{slow:.0f}\b", without[1]), f"{short} {slow:.0f}: {without[1]}"
    assert re.search(rf"\b{short} {fast:.1f}\b", with_one[1]), f"{short} {fast:.1f}: {with_one[1]}"
    row = re.search(rf"`encode\.{short}`.*no GPU \|[^|]*\| (\d+) \|", text_of("docs/slurm.md"))
    assert row is not None and int(row[1]) == round(slow)


def test_sums_of_encoding_are_sums() -> None:
    table = text_of("README.md")
    assert f"{sum(hours('float16', '### Encoders on a GPU').values()):.0f} hours on one NVIDIA H200" in table
    assert f"{sum(round(each) for each in hours('float32', '## Encoders').values())} hours on 2 cores" in table


def test_hours_of_ingest_are_those_of_the_rates() -> None:
    benchmarks = text_of("benchmarks/README.md")
    rows = re.findall(
        r"^\| `postmill plan` and `ingest`, 1 worker \| [\d.]+ \| [\d.]+ \| [\d,]+ \| (\d+) ", benchmarks, re.M
    )
    mix = [float(rows[2]), float(rows[3])]  # stored and deflated, in the dataset's mix
    assert "17,843 to" in benchmarks
    least, most = sorted((PICTURE_BYTES / (speed * 1e6) + METADATA / 17_843) / 3600 for speed in mix)
    said = f"{least:.2f} to {most:.1f}"
    for page in ("README.md", "docs/dataset.md", "docs/slurm.md"):
        assert said in text_of(page), f"{page}: {said}"


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        (r"installing, (?:on )?2 (?:quiet )?cores", r"3 min 27 s"),
        (r"GB of (split zips|archives)", r"229 GB"),
        (r"million small files|million\*\* files|unpacking the dataset makes", r"22.7 million"),
    ],
)
def test_one_thing_has_one_number(pattern: str, number: str) -> None:
    found = 0
    for page in PAGES:
        for paragraph in text_of(page).split("\n\n"):
            if re.search(pattern, paragraph, re.IGNORECASE):
                assert number in " ".join(paragraph.replace("**", "").split()), f"{page}: {paragraph}"
                found += 1
    assert found
