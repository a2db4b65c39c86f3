"""Gains: what history alone gives within accounts is no gain, planted content is, and Holm's procedure is Holm's."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from postmill.train.evaluation import comparing, gains, intervals, metrics
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.probes import control
from tests.train.evaluation.drawn import judged
from tests.train.evaluation.oracles import ORACLES

EACH = 12


def world(seed: int, content: float, accounts: int = 40) -> tuple[Predicted, Predicted]:
    """Posts of accounts with levels; history predicts the mean of an account's other posts, as a past mean would.

    The other model is shown content too, of which the target has a share, and trusts the past a little less.
    """
    random = np.random.default_rng(seed)
    account = np.repeat(np.arange(accounts), EACH)
    shown = random.normal(size=len(account))
    y = random.normal(size=accounts)[account] + content * shown + 0.6 * random.normal(size=len(account))
    others = (np.bincount(account, y)[account] - y) / (EACH - 1)
    seeds = account % 5
    past = judged(y, others, account, seeds, 0.0, others)
    lent = shown[control.partners(past.accounts, seed)]
    weight = content + 0.3  # it has learnt something of noise too
    model = judged(y, 0.8 * others + weight * shown, account, seeds, 0.0, 0.8 * others + weight * lent)
    return model, past


def test_what_history_does_within_accounts_is_no_gain_of_anything_noisier() -> None:
    within, naive = [], []
    for seed in range(40):
        model, past = world(seed, content=0.0)
        inference, shuffled = comparing.infer(model, past, past, metrics.WITHIN)
        assert inference.value is not None and inference.interval is not None and shuffled is not None
        within.append((inference.value, inference.interval.low > 0, shuffled))
        naive.append(intervals.of_difference(model, past, metrics.WITHIN))
    assert np.mean([gain.interval is not None and gain.interval.low > 0 for gain in naive]) == 1.0
    assert abs(np.mean([value for value, _, _ in within])) < 0.02
    assert np.mean([claimed for _, claimed, _ in within]) <= 0.05


def test_planted_content_is_found_within_accounts() -> None:
    for seed in range(5):
        model, past = world(seed, content=0.4)
        inference, shuffled = comparing.infer(model, past, past, metrics.WITHIN)
        assert inference.interval is not None and inference.interval.low > 0.2
        assert shuffled == pytest.approx(0.0, abs=0.15)


def test_the_order_within_accounts_is_counted_beyond_the_past_and_less_the_control() -> None:
    model, past = world(3, content=0.4)
    within = ORACLES["within_account"]
    beyond = replace(model, predicted=model.predicted - past.predicted)
    by_chance = replace(model, predicted=model.shuffled - past.predicted)  # type: ignore[operator]
    shown, control_value = within(beyond), within(by_chance)
    assert shown is not None and control_value is not None
    inference, shuffled = comparing.infer(model, past, past, metrics.WITHIN)
    assert (inference.value, shuffled) == (pytest.approx(shown - control_value), pytest.approx(control_value))
    # Of two models that are shown content, what it adds to each is compared.
    noisy = np.random.default_rng(0).normal(size=len(model.true))
    other = replace(model, predicted=model.predicted + noisy, shuffled=model.shuffled + noisy)  # type: ignore[operator]
    (_, one), (_, two) = (comparing.infer(part, past, past, metrics.WITHIN) for part in (model, other))
    values = [comparing.infer(part, past, past, metrics.WITHIN)[0].value for part in (model, other)]
    inference, shuffled = comparing.infer(model, other, past, metrics.WITHIN)
    assert inference.value == pytest.approx(values[0] - values[1])  # type: ignore[operator]
    assert shuffled == pytest.approx(one - two)  # type: ignore[operator]


def test_without_a_past_models_are_ordered_as_they_are() -> None:
    model, past = world(4, content=0.4)
    within = ORACLES["within_account"]
    parts = (model, metrics.shuffled(model), past, metrics.shuffled(past))
    values = [within(part) for part in parts if part is not None]
    inference, _ = comparing.infer(model, past, None, metrics.WITHIN)
    assert inference.value == pytest.approx(values[0] - values[1] - (values[2] - values[3]))  # type: ignore[operator]


@pytest.mark.parametrize("name", ["r2", "spearman"])
def test_other_gains_are_plain_differences_with_the_control_beside_them(name: str) -> None:
    model, past = world(5, content=0.4)
    inference, shuffled = comparing.infer(model, past, past, name)
    assert inference == intervals.of_difference(model, past, name)
    oracle = ORACLES[name]
    assert inference.value == pytest.approx(oracle(model) - oracle(past))  # type: ignore[operator]
    by_chance = replace(model, predicted=model.shuffled)
    assert shuffled == pytest.approx(oracle(by_chance) - oracle(past))  # type: ignore[operator]
    assert inference.value is not None and shuffled is not None and inference.value > 0 > shuffled


def test_without_a_control_there_is_no_gain_within_accounts() -> None:
    model, past = world(6, content=0.4)
    assert comparing.infer(replace(model, shuffled=None), past, past, metrics.WITHIN)[0].value is None
    assert comparing.infer(replace(model, shuffled=None), past, past, "r2")[1] is None
    assert comparing.infer(past, past, past, metrics.WITHIN)[0].value is None


def gain(p: float | None) -> Gain:
    return Gain("a", "b", "influencer", "r2", 1.0, None, None if p is None else Interval(0, 2), p, None, "")


def closed(ps: list[float]) -> list[bool]:
    """Holm's procedure as it is defined: one holds where every family that has it is told from 0 by Bonferroni."""
    numbers = range(len(ps))
    families = [set(family) for size in numbers for family in itertools.combinations(numbers, size + 1)]
    return [
        all(min(ps[n] for n in family) <= gains.LEVEL / len(family) for family in families if number in family)
        for number in numbers
    ]


@pytest.mark.parametrize(
    "ps",
    [
        *((np.random.default_rng(seed).uniform(size=6) ** 4).tolist() for seed in range(30)),
        [0.021, 0.001, 0.022, 0.02],  # the second smallest is above its bound, so those below theirs do not count
        [0.01, 0.01, 0.01, 0.01, 0.2],
        [0.0, 1.0],
    ],
)
def test_what_holds_among_all_is_what_holms_procedure_leaves(ps: list[float]) -> None:
    judged_at_once = gains.corrected([gain(None), *map(gain, ps), gain(None)])
    assert [one.holds for one in judged_at_once] == [None, *closed(ps), None]


def test_the_table_says_how_many_were_compared_and_what_was_corrected() -> None:
    text = gains.explanation([gain(0.01), gain(0.2), gain(None)])
    assert "3 differences" in text and "2 of them with a 95 % interval" in text
    assert "all 2 are judged at once, by Holm's correction of their p at 5%" in text
    assert "Holm" not in gains.explanation([gain(None)])
