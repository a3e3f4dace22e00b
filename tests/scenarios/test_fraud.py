"""Fraud: features see no future, costs and delays are those counted by hand, and errors say what to do."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from helpers.scenarios.fraud import (
    accumulate,
    alerts_at_capacity,
    build_autoencoder,
    cheapest_threshold,
    detection_delay,
    expected_cost,
    fit_logistic,
    reconstruction_errors,
    session_features,
)

TIMES = pd.to_datetime([
    "2026-03-01 05:59:50", "2026-03-01 06:00:10", "2026-03-01 05:59:50", "2026-03-02 12:00:00",
    "2026-03-02 12:00:30",
], utc=True)  # fmt: skip
LOG = pd.DataFrame({
    "session_id": [1, 1, 2, 3, 3],
    "user_id": ["a", "a", "b", "a", "a"],
    "timestamp": TIMES,
    "event_type": ["login", "view", "view", "login", "payment"],
    "device": ["phone", "phone", "phone", "desktop", "desktop"],
}, index=[10, 11, 12, 13, 14])  # fmt: skip


def test_session_features_are_those_counted_by_hand():
    found = session_features(LOG)
    assert found.index.equals(LOG.index)
    expected = {
        "events": [1, 2, 1, 1, 2],
        "count_login": [1, 1, 0, 1, 1],
        "count_payment": [0, 0, 0, 0, 1],
        "count_view": [0, 1, 1, 0, 0],
        "seconds_since_previous": [0, 20, 0, 0, 30],
        "seconds_since_start": [0, 20, 0, 0, 30],
        "night": [1, 0, 1, 0, 0],
        "new_device": [0, 0, 0, 1, 0],  # the first device ever is nothing to compare with
    }
    assert found.to_dict("list") == expected


def test_session_features_do_not_depend_on_what_comes_later_or_on_the_order_of_rows():
    whole = session_features(LOG)
    first = LOG.iloc[:3]
    pd.testing.assert_frame_equal(session_features(first), whole.loc[first.index, session_features(first).columns])
    shuffled = LOG.iloc[[3, 0, 4, 2, 1]]
    pd.testing.assert_frame_equal(session_features(shuffled), whole.loc[shuffled.index])


def test_session_features_take_other_names():
    renamed = LOG.rename(columns={"user_id": "customer", "timestamp": "when", "session_id": "visit"})
    found = session_features(renamed, session_id="visit", user_id="customer", timestamp="when", device=None)
    assert "new_device" not in found and found["events"].tolist() == [1, 2, 1, 1, 2]


@pytest.mark.parametrize(
    ("log", "error", "words"),
    [
        (LOG.drop(columns="device"), KeyError, "device"),
        (LOG.iloc[:0], ValueError, "no rows"),
        (LOG.assign(user_id=["a", None, "b", "a", "a"]), ValueError, "'user_id' is missing in 1 rows .first: row 1"),
    ],
)
def test_session_features_refuse_a_bad_log(log, error, words):
    with pytest.raises(error, match=words):
        session_features(log)


def gaussian_events(n, share, rng):
    labels = rng.random(n) < share
    return rng.normal(2.0 * labels, 1.0)[:, None], labels.astype(int)


def test_logistic_regression_finds_the_known_log_odds():
    features, labels = gaussian_events(40_000, 0.2, np.random.default_rng(1))
    weights = fit_logistic(features, labels, strength=1e-3)
    # log N(x; 2, 1) - log N(x; 0, 1) = 2 x - 2
    assert np.allclose(weights, [np.log(0.2 / 0.8) - 2, 2], atol=0.1)


def test_without_a_prior_only_the_intercept_is_free():
    labels = [0, 0, 0, 1]
    weights = fit_logistic([[0.0], [1.0], [2.0], [3.0]], labels, strength=1e9)
    assert np.allclose(weights, [np.log(1 / 3), 0], atol=1e-3)


def test_the_pull_goes_from_the_prior_to_the_data():
    features, labels = gaussian_events(400, 0.3, np.random.default_rng(2))
    prior = np.array([1.0, -1.0])
    free = fit_logistic(features, labels, strength=1e-6)
    distance = [
        np.linalg.norm(fit_logistic(features, labels, prior, strength) - prior) for strength in (1e6, 10.0, 1e-6)
    ]
    assert distance[0] < 1e-3 < distance[1] < distance[2]
    assert np.allclose(fit_logistic(features, labels, prior, 1e-6), free, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[0.0], [1.0]], [0, 0]), "all 2 labels are 0"),
        (([[0.0], [1.0]], [0, 2]), "labels hold 2"),
        (([[0.0], [np.nan]], [0, 1]), "value is missing"),
        (([0.0, 1.0], [0, 1]), "shape .2,."),
        (([[0.0], [1.0]], [0, 1], [1.0]), "prior has shape .1,., expected .2,."),
        (([[0.0], [1.0]], [0, 1], None, 0), "strength is 0"),
        (([], []), "at least one"),
    ],
)
def test_logistic_regression_refuses_bad_input(arguments, words):
    with pytest.raises(ValueError, match=words):
        fit_logistic(*arguments)


@given(arrays(float, st.integers(1, 30), elements=st.floats(-5, 5)))
def test_evidence_is_never_negative_and_equals_the_best_recent_sum(ratios):
    found = accumulate(ratios, np.zeros(len(ratios)))
    best = [max(0.0, *(ratios[start : end + 1].sum() for start in range(end + 1))) for end in range(len(ratios))]
    assert np.allclose(found, best)


def test_accounts_do_not_mix():
    assert accumulate([1.0, 2.0, -5.0, 2.0], ["a", "b", "a", "b"]).tolist() == [1, 2, 0, 4]
    with pytest.raises(ValueError, match="lengths differ"):
        accumulate([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="accounts are missing in row 1"):
        accumulate([1.0, 2.0], ["a", None])


def test_each_day_alerts_its_highest_scores():
    scores, days = np.random.default_rng(3).random(300), np.repeat(range(10), 30)
    alerts = alerts_at_capacity(scores, days, 4)
    for day in range(10):
        own = scores[days == day]
        assert set(own[alerts[days == day]]) == set(np.sort(own)[-4:])
    assert alerts_at_capacity([1.0, 1.0, 1.0], ["d", "d", "d"], 2).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("scores", "capacity", "words"),
    [
        ([1.0, 2.0], 2, "busiest day has 2 events"),
        ([1.0, 2.0], 0, "capacity is 0"),
        ([1.0, 2.0], 1.5, "capacity is 1.5"),
        ([], 1, "at least one"),
        ([1.0, np.nan], 1, "row 1"),
    ],
)
def test_alerts_refuse_bad_input(scores, capacity, words):
    with pytest.raises(ValueError, match=words):
        alerts_at_capacity(scores, np.zeros(len(scores)), capacity)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=12))
def test_the_cheapest_threshold_beats_every_other(events):
    labels, scores = np.array([e[0] for e in events], int), np.array([e[1] for e in events], float)
    if labels.min() == labels.max():
        return
    found = cheapest_threshold(labels, scores, check=3, miss=10)
    costs = [expected_cost(labels, scores >= cut, 3, 10) for cut in [*range(5), np.inf]]
    assert found.cost == min(costs) == expected_cost(labels, scores >= found.threshold, 3, 10)
    assert found.alerts == (scores >= found.threshold).sum()


def test_a_calibrated_score_is_cut_where_check_equals_miss_times_probability():
    rng = np.random.default_rng(4)
    probabilities = rng.random(200_000)
    labels = rng.random(200_000) < probabilities
    assert abs(cheapest_threshold(labels, probabilities, check=5, miss=50).threshold - 0.1) < 0.02


def test_costs_refuse_bad_input():
    with pytest.raises(ValueError, match="check is -1"):
        expected_cost([0, 1], [False, True], check=-1, miss=1)
    with pytest.raises(ValueError, match="miss is nan"):
        cheapest_threshold([0, 1], [0.1, 0.2], check=1, miss=float("nan"))
    with pytest.raises(ValueError, match="all 2 labels are 1"):
        cheapest_threshold([1, 1], [0.1, 0.2], check=1, miss=1)
    with pytest.raises(ValueError, match="alerts hold 0.5"):
        expected_cost([0, 1], [0.5, 1], check=1, miss=1)


def test_the_delay_counts_from_the_first_fraud_to_the_first_true_alert():
    times = pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-05", "2026-03-03", "2026-03-04"])
    found = detection_delay(["a", "a", "a", "b", "c"], times, [0, 1, 1, 1, 0], [1, 0, 1, 0, 1])
    assert found.index.tolist() == ["a", "b"]
    assert found["a"] == pd.Timedelta(days=3) and pd.isna(found["b"])


def test_the_delay_refuses_nothing_to_measure():
    with pytest.raises(ValueError, match="no fraud"):
        detection_delay(["a"], [1.0], [0], [1])
    with pytest.raises(ValueError, match="alerts are all False"):
        detection_delay(["a"], [1.0], [1], [0])
    with pytest.raises(ValueError, match="labels have shape .0,."):
        detection_delay(["a"], [1.0], [], [])


def test_the_autoencoder_learns_what_is_frequent():
    rng = np.random.default_rng(5)
    usual = np.tile([1, 2, 3, 1, 2, 0], (600, 1))
    usual[rng.random(600) < 0.5, 4] = 0
    model = build_autoencoder(3, 6, units=8, seed=1)
    model.fit(usual, usual, epochs=12, batch_size=32, verbose=0)
    odd = np.array([[3, 3, 2, 2, 1, 0]])
    errors = [reconstruction_errors(model.predict(rows, verbose=0), rows).mean() for rows in (usual, odd)]
    assert errors[0] < 0.5 * errors[1]
    again = build_autoencoder(3, 6, units=8, seed=1).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(again, build_autoencoder(3, 6, units=8, seed=1).get_weights()))


def test_the_autoencoder_refuses_bad_input():
    with pytest.raises(ValueError, match="'units': 0"):
        build_autoencoder(3, 6, units=0)
    with pytest.raises(ValueError, match="shape .1, 2, 3. and sequences .1, 1."):
        reconstruction_errors(np.ones((1, 2, 3)), [[1]])
    with pytest.raises(ValueError, match="sequence 1 is nothing but padding"):
        reconstruction_errors(np.full((2, 1, 3), 1 / 3), [[1], [0]])


def test_with_the_true_ratio_cost_per_event_agrees_with_bayes():
    rng = np.random.default_rng(6)
    features, labels = gaussian_events(100_000, 0.05, rng)
    odds = norm.logpdf(features[:, 0], 2) - norm.logpdf(features[:, 0], 0) + np.log(0.05 / 0.95)
    bayes = expected_cost(labels, odds > np.log(0.1 / 0.9), check=5, miss=50)
    assert cheapest_threshold(labels, odds, check=5, miss=50).cost <= bayes
    assert bayes < 1.01 * cheapest_threshold(labels, odds, check=5, miss=50).cost
