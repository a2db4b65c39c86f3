"""The card of a run's data: what they are, what is lacking, what they may be used for, and nothing of a single post.

The headings follow Gebru et al., *Datasheets for Datasets* (2021), as far as a run knows the answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from postmill.shards.formats import custody, plan, posts
from postmill.shards.formats.counts import ReportCounts
from postmill.shards.formats.encoders import Encoder, encoders_of
from postmill.shards.run import cards, publish
from postmill.shards.run.cards import DATA_CARD_FILE, DATA_CARD_UNIT, Value
from postmill.shards.run.folder import Run
from postmill.shards.run.sources import INVENTED_SENTENCE
from postmill.train.evaluation import cells
from postmill.train.report import section_data
from postmill.train.report.describe import DataSummary

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
_LANGUAGE = re.compile("[a-z]{2,3}")
_KNOWN_PARTS = ("posts_info.", "posts_image.")  # with which the names of its two archives begin


def write_data_card(run: Run, data: DataSummary) -> bool:
    """Write ``report/data-card.md``, unless it says so already; return whether it was written.

    Args:
        run: The run.
        data: Its data (:func:`.describe.summarise`).

    Raises:
        PostmillError: An encoder's description or a manifest cannot be read, or the disk is full.
    """
    shards = tuple(posts.done_shards(run, plan.counts(run).shards))
    with publish.unit(run.report, DATA_CARD_UNIT, run.fingerprint, compared=True) as unit:
        unit.file(DATA_CARD_FILE).write(data_card(run, data, encoders_of(run)).encode())
        ReportCounts(0, data.posts).put(unit)
        unit.inputs[custody.POSTS_INPUT] = custody.contents(run.posts, shards)
        custody.put_shards(unit, shards)
    return unit.published


def data_card(run: Run, data: DataSummary, encoders: Sequence[Encoder]) -> str:
    """Return the card of the data of ``run``, which ``encoders`` have encoded, as Markdown with front matter."""
    return cards.front_matter(_front(run, data)) + "\n" + "\n".join(_lines(run, data, encoders)) + "\n"


def _front(run: Run, data: DataSummary) -> dict[str, Value]:
    shown = () if data.languages is None else data.languages.shown
    size = min(max(len(str(data.posts)) - 3, 0), len(_SIZES) - 1)
    return {
        "pretty_name": _title(run),
        "language": [of.name for of in shown if _LANGUAGE.fullmatch(of.name)],
        "size_categories": [_SIZES[size]],
        "task_categories": ["tabular-regression"],
        "tags": ["postmill", "social-media", "engagement", *(["invented-data"] if run.invented else [])],
    }


def _title(run: Run) -> str:
    return f"{'Invented posts' if run.invented else 'Posts'} of the run {run.folder.resolve().name}"


def _lines(run: Run, data: DataSummary, encoders: Sequence[Encoder]) -> Iterator[str]:
    yield f"# Data card: {cards.plain(_title(run))}\n"
    if run.invented:
        yield f"**{INVENTED_SENTENCE}**\n"
    yield f"Run `{run.fingerprint}`, read by postmill {version('postmill')}.\n"
    yield "## Where they come from\n"
    yield from _origin(run)
    yield "\n## What there is\n"
    yield from _what(data)
    yield "\n## What is lacking\n"
    yield from _lacking(data)
    yield "\n## Languages\n"
    yield from _languages(data)
    yield "\n## What encoders made of them\n"
    yield from map(_encoder, encoders)
    if not encoders:
        yield "Nothing yet."
    yield "\n## How they were chosen\n"
    yield from _chosen(run, data)
    yield "\n## Use\n"
    yield (
        "For research and teaching on what goes with engagement, in aggregate. Not for judging, ranking, rewarding or"
        " addressing a person; not for finding out who somebody is; not for clinical use: nothing here measures how"
        " anyone feels. Public posts are curated, mostly to sell something; they say nothing of people who do not post."
    )
    yield "\n## Privacy\n"
    yield (
        "Posts and embeddings are of real people and name accounts; they stay with those who may have the source."
        if not run.invented
        else "Nobody posted these, and no account exists."
    )
    yield (
        "\nPage, tables, cards and predictions hold no caption, comment, picture or name: predictions call accounts and"
        f" posts by pseudonyms of a secret that stays in the run, and no part of fewer than {cells.MIN_ACCOUNTS}"
        f" accounts or {cells.MIN_POSTS} posts is told."
    )
    yield "\n## Licence and terms\n"
    yield from _terms(run)


def _origin(run: Run) -> Iterator[str]:
    yield f"Read from {section_data.origin(run)}, as they lay then."
    if _looks_like_the_dataset(run):
        yield (
            "\nThe archives are named as those of the Instagram Influencer dataset (Kim et al., *Multimodal Post"
            " Attentive Profiling for Influencer Marketing*, WWW 2020). The run does not know more of their origin than"
            " names and bytes."
        )
    elif not run.invented:
        yield "\nThe run does not know who collected them, when and for what: whoever hands this on should say so."


def _looks_like_the_dataset(run: Run) -> bool:
    archives = run.sources.metadata, run.sources.images
    named = [name for archive in archives for name, _ in archive.parts]
    return bool(named) and not run.invented and all(name.startswith(_KNOWN_PARTS) for name in named)


def _what(data: DataSummary) -> Iterator[str]:
    yield f"- posts: {data.posts:,}, of {data.accounts:,} accounts"
    yield f"- published: {section_data.dates(data) or 'no time is known'}, in UTC"
    yield f"- pictures: {'not asked for' if data.text_only else format(data.images, ',')}"
    if not data.complete:
        yield f"- unfinished: {data.shards:,} of {data.planned_shards:,} post shards are done"
    yield (
        "- counts of likes and comments are those of the time of the crawl, and older posts had longer to collect them;"
        " followers are counted once for an account, at a time of its own"
    )


def _lacking(data: DataSummary) -> Iterator[str]:
    yield f"Of {data.mapped:,} posts that are listed:\n"
    yield from _counted("lost", data.lost)
    if data.waiting:
        yield f"- waiting for a whole copy of their part: {data.waiting:,}"
    if data.not_chosen:
        yield f"- not chosen: {data.not_chosen:,}"
    if not (data.lost or data.waiting or data.not_chosen):
        yield "- none is lost"
    yield f"\nOf the {data.posts:,} posts that are here:\n"
    yield f"- without a caption: {data.without_caption:,}"
    yield f"- without a picture: {data.without_image:,}"
    if not data.text_only:
        yield f"- pictures that are listed and are not here: {data.missing_images:,}"
    if data.unusable_images is not None:
        yield f"- pictures that cannot be decoded: {data.unusable_images:,}"
    if data.times_out_of_range:
        yield f"- with a time of publication that cannot be: {data.times_out_of_range:,}"
    yield from _counted("without what is predicted", data.left_out)


def _counted(what: str, reasons: Mapping[str, int]) -> Iterator[str]:
    for reason, number in reasons.items():
        yield f"- {what}, {reason.replace('_', ' ')}: {number:,}"


def _languages(data: DataSummary) -> Iterator[str]:
    if data.languages is None:
        yield "Not looked at: what tells languages is not installed where this was written."
        return
    yield f"The likeliest of {data.languages.looked_at:,} captions, evenly spread over the posts:\n"
    for of in data.languages.shown:
        yield f"- {of.words}: {of.posts:,} captions of {of.accounts:,} accounts"
    if data.languages.others:
        yield f"- others, which are too few to be told apart: {data.languages.others:,} captions"


def _encoder(encoder: Encoder) -> str:
    model = cards.plain(f"{encoder.model} {encoder.revision}".strip()) if encoder.model else "numbers of the records"
    stand_in = f", standing in for {cards.plain(encoder.stand_in_for)}" if encoder.stand_in_for else ""
    late = "" if encoder.available_before_publication else "; made of what exists only after publication"
    return f"- {encoder.encoder}: {model}{stand_in}{late}"


def _chosen(run: Run, data: DataSummary) -> Iterator[str]:
    if _looks_like_the_dataset(run):
        yield (
            "If they are of that dataset: its accounts were found through advertising, posts that are marked `#ad` or"
            " mention brands, and have a thousand followers and more. They are no sample of the people who post, and"
            " what holds of them need not hold of others."
        )
    else:
        yield "The run does not know how the accounts were found, so what holds of them need not hold of others."
    if data.selection is not None:
        yield f"\nOf what was there, this run takes a part: {cards.plain(data.selection)}."


def _terms(run: Run) -> Iterator[str]:
    if run.invented:
        yield "Invented by postmill, for tests and demonstrations."
        return
    yield (
        "No licence is stated, for the run knows none. Texts and pictures remain their owners'. Who uses them must have"
        " got them from those who collected them, under their terms, and pass them on only as these allow."
    )
    if _looks_like_the_dataset(run):
        yield (
            "\nThe Instagram Influencer dataset is to be had from its authors, by their form, for research and"
            " education only, and may not be redistributed."
        )
