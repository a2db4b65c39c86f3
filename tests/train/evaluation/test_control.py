"""The negative control: content goes to other posts of the same account, history stays, and embeddings stay on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from postmill.train.data.modality import Modality, in_memory
from postmill.train.evaluation.probes import control
from postmill.train.models.problem import Scores

POSTS = 60
ROWS = np.arange(10, 50)
ACCOUNTS = np.random.default_rng(0).integers(6, size=len(ROWS)).astype(np.uint64)


def modality(name: str, values: np.ndarray, present: np.ndarray | None = None) -> Modality:
    everyone = np.ones(len(values), dtype=bool) if present is None else present
    return in_memory(name, ("one",), values.astype(np.float32)[:, None], everyone, before_publication=True)


def told(shown: Mapping[str, Modality]) -> Scores:
    """A model that says what it is shown: a hundred times the history, or -1 without one, plus the text."""
    history, text = shown["history"], shown["text"].take(ROWS)[:, 0].astype(float)
    past = np.where(history.present[ROWS], history.take(ROWS)[:, 0], -1.0)
    return Scores(100 * past + text)


def test_content_is_that_of_a_post_of_the_same_account() -> None:
    partner = control.partners(ACCOUNTS, 3)
    assert sorted(partner.tolist()) == list(range(len(ROWS)))
    assert (ACCOUNTS[partner] == ACCOUNTS).all() and (partner != np.arange(len(ROWS))).sum() > 20
    assert (control.partners(ACCOUNTS, 3) == partner).all() and (control.partners(ACCOUNTS, 4) != partner).any()


def test_every_post_of_an_account_is_as_likely_to_lend_its_content() -> None:
    accounts = np.array([7, 5, 7, 5, 7, 9], dtype=np.uint64)
    lent = Counter((post, int(of)) for seed in range(600) for post, of in enumerate(control.partners(accounts, seed)))
    assert set(lent) == {(a, b) for a in (0, 2, 4) for b in (0, 2, 4)} | {(a, b) for a in (1, 3) for b in (1, 3)} | {
        (5, 5)
    }
    assert all(160 < count < 240 for (post, _), count in lent.items() if post in (0, 2, 4))


def test_a_post_keeps_its_history_and_has_the_content_of_its_partner() -> None:
    random = np.random.default_rng(1)
    past, text, has = random.integers(1, 9, POSTS), random.uniform(0, 9, POSTS), random.random(POSTS) < 0.8
    shown = {"text": modality("text", text), "history": modality("history", past, has)}
    partner = control.partners(ACCOUNTS, 5)
    predicted = control.shuffled(told, shown, ROWS, partner, told(shown))
    for post, row in enumerate(ROWS):
        expected = (100 * past[row] if has[row] else -100) + text[ROWS[partner[post]]]
        assert predicted[post] == pytest.approx(expected, rel=1e-6)
    assert (shown["history"].take(np.arange(POSTS))[:, 0] == past).all()  # what other models are shown is as it was


def test_a_model_without_history_is_not_asked_again() -> None:
    def never(shown: Mapping[str, Modality]) -> Scores:
        raise AssertionError

    complete = Scores(np.random.default_rng(2).normal(size=len(ROWS)))
    partner = control.partners(ACCOUNTS, 6)
    predicted = control.shuffled(never, {"text": modality("text", np.zeros(POSTS))}, ROWS, partner, complete)
    assert (predicted == complete.predicted[partner]).all()
