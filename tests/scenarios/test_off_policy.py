"""Off-policy estimates, A/B tests and re-ranking, on worlds whose truth is known."""

import numpy as np
import pytest

from helpers.scenarios.recommendation import (
    doubly_robust,
    ips,
    rerank,
    sample_size,
    sequential_boundary,
    snips,
    two_rates_z,
)

CLICK = np.array([[0.10, 0.30, 0.05], [0.40, 0.10, 0.20]])  # situation, item
OLD = np.array([[0.6, 0.2, 0.2], [0.2, 0.3, 0.5]])
NEW = np.array([[0.1, 0.8, 0.1], [0.7, 0.1, 0.2]])
TRUTH = (NEW * CLICK).sum(axis=1).mean()


def log_of(seed, n=1000):
    rng = np.random.default_rng(seed)
    x = rng.integers(2, size=n)
    a = (rng.random(n)[:, None] > OLD[x].cumsum(axis=1)).sum(axis=1)
    return x, a, (rng.random(n) < CLICK[x, a]).astype(float)


def estimates_of(seed, model=CLICK, propensities=OLD):
    x, a, r = log_of(seed)
    logged = r, propensities[x, a], NEW[x, a]
    return {"ips": ips(*logged), "snips": snips(*logged),
            "dr": doubly_robust(*logged, model[x, a], (NEW * model).sum(axis=1)[x])}


@pytest.fixture(scope="module")
def replications():
    return [estimates_of(seed) for seed in range(200)]


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_estimates_are_unbiased_and_their_intervals_cover(replications, name):
    values = np.array([r[name].value for r in replications])
    assert abs(values.mean() - TRUTH) < 3 * values.std() / np.sqrt(len(values))
    assert np.mean([r[name].low <= TRUTH <= r[name].high for r in replications]) > 0.9


def test_a_good_model_reduces_the_spread_and_a_bad_one_does_not_bias(replications):
    spread = {name: np.std([r[name].value for r in replications]) for name in ("ips", "dr")}
    assert spread["dr"] < spread["ips"]
    bad = np.array([estimates_of(seed, model=np.full((2, 3), 0.9))["dr"].value for seed in range(200)])
    assert abs(bad.mean() - TRUTH) < 3 * bad.std() / np.sqrt(200)


def test_with_a_perfect_model_wrong_propensities_do_no_harm():
    wrong = [estimates_of(seed, propensities=np.full((2, 3), 0.9)) for seed in range(100)]
    dr, plain = ([w[name].value for w in wrong] for name in ("dr", "ips"))
    assert abs(np.mean(dr) - TRUTH) < 3 * np.std(dr) / 10 and np.mean(plain) < TRUTH - 0.05


def test_the_old_policy_estimates_itself_by_the_mean():
    x, a, r = log_of(0)
    own = ips(r, OLD[x, a], OLD[x, a])
    assert own.value == pytest.approx(r.mean()) and own.effective_size == pytest.approx(len(r))
    assert snips(r, OLD[x, a], OLD[x, a]).value == pytest.approx(r.mean())


@pytest.mark.parametrize("changes, message", [
    ({"propensities": [0.5, 0.0, 0.5]}, r"propensities must be in \(0, 1\]; found 0.0 in row 1"),
    ({"propensities": [0.5, 0.5, 1.2]}, "found 1.2 in row 2"),
    ({"propensities": [0.5, 0.5]}, r"propensities has the shape \(2,\), expected \(3,\)"),
    ({"target": [0.5, -0.1, 0.5]}, r"target must be in \[0, 1\]; found -0.1"),
    ({"target": [0, 0, 0]}, "says nothing about it"),
    ({"rewards": [1, np.nan, 0]}, "rewards must be finite; found nan in row 1"),
    ({"rewards": [[1, 0, 1]]}, r"rewards has the shape \(1, 3\), expected \(n,\)"),
    ({"rewards": [1], "propensities": [0.5], "target": [0.5]}, "at least 2 outcomes"),
])
@pytest.mark.parametrize("estimate", [ips, snips])
def test_a_log_that_cannot_be_used_is_refused(estimate, changes, message):
    log = {"rewards": [1, 0, 1], "propensities": [0.5, 0.5, 0.5], "target": [0.2, 0.3, 1.0]} | changes
    with pytest.raises(ValueError, match=message):
        estimate(**log)


def test_a_model_that_does_not_fit_the_log_is_refused():
    with pytest.raises(ValueError, match="predicted has the shape"):
        doubly_robust([1, 0], [0.5, 0.5], [1, 0], predicted=[0.5], expected=[0.5, 0.5])
    with pytest.raises(ValueError, match="expected must be finite"):
        doubly_robust([1, 0], [0.5, 0.5], [1, 0], predicted=[0.5, 0.5], expected=[0.5, np.inf])


def test_rerank_keeps_the_best_and_the_first_stages_order_in_ties():
    assert rerank([[5, 6, 7], [1, 2, 3]], [[0, 2, 1], [1, 1, 1]], k=2).tolist() == [[6, 7], [1, 2]]


@pytest.mark.parametrize("candidates, scores, k, message", [
    ([[]], [[]], 1, "candidate list is empty"),
    ([1, 2], [0.1, 0.2], 1, r"shape \(2,\)"),
    ([[1, 2]], [[0.1]], 1, "one to a candidate"),
    ([[1, 2]], [[0.1, np.nan]], 1, "row 0 holds"),
    ([[1, 2]], [[0.1, 0.2]], 3, "k is 3, expected 1 to 2"),
])
def test_rerank_refuses_what_it_cannot_sort(candidates, scores, k, message):
    with pytest.raises(ValueError, match=message):
        rerank(candidates, scores, k)


def test_the_sample_size_delivers_its_power():
    n, draws = sample_size(0.10, 0.02), 4000
    rng = np.random.default_rng(0)
    z = two_rates_z(rng.binomial(n, 0.10, draws), rng.binomial(n, 0.12, draws), n, n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.80, abs=0.03)
    z = two_rates_z(rng.binomial(n, 0.10, draws), rng.binomial(n, 0.10, draws), n, n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("arguments, message", [
    ((0.0, 0.1), "rate is 0.0"), ((0.5, 0.6), "rate \\+ lift is 1.1"), ((0.5, 0), "lift is 0"),
    ((0.5, 0.1, 1.0), "alpha is 1.0"), ((0.5, 0.1, 0.05, 0.0), "power is 0.0"),
])
def test_impossible_plans_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_size(*arguments)


def test_two_rates_compare_many_looks_and_refuse_what_is_no_count():
    assert two_rates_z([0, 10], [0, 10], 100, 100).tolist() == [0, 0]
    assert two_rates_z(10, 30, 100, 100) > 3 and two_rates_z(30, 10, 100, 100) < -3
    with pytest.raises(ValueError, match="arm b has 1 unit"):
        two_rates_z(1, 1, 5, 1)
    with pytest.raises(ValueError, match="clicks_a must lie between"):
        two_rates_z(6, 1, 5, 5)


def test_boundaries_equal_the_published_constants():
    assert sequential_boundary(1)[0] == pytest.approx(1.960, abs=0.02)
    assert sequential_boundary(5).tolist() == pytest.approx([2.413] * 5, abs=0.02)
    flat = sequential_boundary(5, shape="obrien-fleming")
    assert flat.tolist() == pytest.approx((2.040 * np.sqrt(5 / np.arange(1, 6))).tolist(), rel=0.01)


@pytest.mark.parametrize("arguments, message", [
    ({"looks": 0}, "looks is 0"), ({"looks": 2, "alpha": 0}, "alpha is 0"),
    ({"looks": 2, "shape": "haybittle"}, "shape is 'haybittle'"),
])
def test_impossible_boundaries_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sequential_boundary(**arguments)
