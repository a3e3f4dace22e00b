"""Dirt, fraud and campaigns: the truth beside the log is really true."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.data import incidents
from helpers.data.incidents import add_dirt, add_fraud, run_campaign


def make_log(rows=2000, strings=True, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.choice(
        ["view", "search", "purchase", "login", "payment"], size=rows, p=[0.5, 0.1, 0.1, 0.15, 0.15]
    )
    user, item = rng.integers(100, size=rows), rng.integers(2, 60, size=rows)
    with_item = np.isin(kind, incidents.NEEDS_ITEM)
    times = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(
        np.sort(rng.integers(10**9, size=rows)), unit="ms"
    )
    return pd.DataFrame({
        "user_id": [f"u{number}" for number in user] if strings else user,
        "platform": "web",
        "timestamp": times.as_unit("ms"),
        "event_type": kind,
        "item_id": pd.Series([f"i{number}" for number in item]).where(with_item) if strings else
        pd.Series(item).astype("Int64").where(with_item),
        "session_id": user,
        "price": np.where(with_item, rng.uniform(1, 90, size=rows), np.nan),
    })  # fmt: skip


@pytest.mark.parametrize("strings", [True, False])
def test_each_kind_of_dirt_is_where_the_truth_says_and_nowhere_else(strings):
    log = make_log(strings=strings)
    dirty, truth = add_dirt(log, seed=1, clock_skew=0.01, missing_ids=0.02, impossible_prices=0.03)
    assert truth["dirt"].value_counts().to_dict() == {
        "bot": 3000, "clean": 1880, "impossible price": 60, "duplicate": 20, "missing user": 20,
        "missing item": 20, "clock skew": 20,
    }  # fmt: skip
    kind = truth["dirt"]
    lost_item = dirty["item_id"].isna() & dirty["event_type"].isin(incidents.NEEDS_ITEM)
    year = dirty["timestamp"].dt.year
    assert (dirty["user_id"].isna() == (kind == "missing user")).all()
    assert (lost_item == (kind == "missing item")).all()
    assert ((dirty["price"] < 0) == (kind == "impossible price")).all()
    assert ((year != 2026) == (kind == "clock skew")).all() and set(year) == {1970, 2026, 2046}


@pytest.mark.parametrize("strings", [True, False])
def test_clean_rows_and_copies_equal_their_source_in_every_column(strings):
    log = make_log(strings=strings)
    dirty, truth = add_dirt(log, seed=2)
    for kind in ("clean", "duplicate"):
        chosen = truth["dirt"] == kind
        source = log.iloc[truth.loc[chosen, "source"]].astype(dirty.dtypes.to_dict())
        pd.testing.assert_frame_equal(dirty[chosen].reset_index(drop=True), source.reset_index(drop=True))
    assert dirty["timestamp"].dtype == log["timestamp"].dtype and list(dirty.columns) == list(log.columns)


@pytest.mark.parametrize("strings", [True, False])
def test_bots_are_new_users_with_one_busy_day(strings):
    log = make_log(strings=strings)
    dirty, truth = add_dirt(log, seed=3, bots=2, bot_events=1200)
    bots = dirty[truth["dirt"] == "bot"]
    assert not set(bots["user_id"]) & set(log["user_id"]) and bots["session_id"].nunique() == 2
    assert bots.groupby("user_id")["timestamp"].agg(lambda times: times.dt.date.nunique()).tolist() == [1, 1]
    assert (truth.loc[truth["dirt"] == "bot", "source"] == -1).all() and set(bots["event_type"]) == {"view"}


def test_nothing_to_soil_leaves_the_log_as_it_was():
    log = make_log(strings=False).drop(columns=["session_id", "price"])
    dirty, truth = add_dirt(log, 1, duplicates=0, bots=0, clock_skew=0, missing_ids=0)
    pd.testing.assert_frame_equal(dirty, log)
    assert set(truth["dirt"]) == {"clean"}
    assert (add_dirt(log, 1, bots=1, bot_events=5)[1]["dirt"] == "bot").sum() == 5


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0, 0.2), st.floats(0, 0.2))
def test_dirt_depends_on_the_seed_alone_and_never_changes_its_argument(seed, duplicates, missing_ids):
    log = make_log(200)
    before = log.copy()
    first, again = (
        add_dirt(log, seed, duplicates, missing_ids=missing_ids, bots=1, bot_events=9) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first[0], again[0])
    pd.testing.assert_frame_equal(log, before)
    assert len(first[0]) == 200 + round(200 * duplicates) + 9


def test_too_much_dirt_and_impossible_shares_are_errors():
    log = make_log(100)
    with pytest.raises(ValueError, match=r"duplicates is 1\.5, expected a share"):
        add_dirt(log, 1, duplicates=1.5)
    with pytest.raises(ValueError, match=r"'impossible price', but only .* are left: lower"):
        add_dirt(log, 1, impossible_prices=0.9)
    with pytest.raises(ValueError, match="set bots=0"):
        add_dirt(log[log["event_type"] != "view"], 1)


DENSITIES = {
    "distance_km": lambda x, p: stats.lognorm(p[1], scale=np.exp(p[0])).logpdf(x),
    "amount_multiple": lambda x, p: stats.lognorm(p[1], scale=np.exp(p[0])).logpdf(x),
    "new_device": lambda x, p: stats.bernoulli(p).logpmf(x),
    "failed_attempts": lambda x, p: stats.poisson(p).logpmf(x),
}


def test_the_likelihood_ratio_is_that_of_the_stated_densities():
    log = make_log()
    marked, truth = add_fraud(log, share=0.2, seed=1)
    expected = np.zeros(len(truth))
    checked = marked.loc[truth.index]
    for name, density in DENSITIES.items():
        values = checked[name]
        difference = density(values, incidents.FRAUDULENT[name]) - density(values, incidents.LEGITIMATE[name])
        expected += np.where(values.isna(), 0, difference)
    np.testing.assert_allclose(truth["log_likelihood_ratio"], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize(
    ("is_fraud", "parameters"), [(True, incidents.FRAUDULENT), (False, incidents.LEGITIMATE)]
)
def test_attributes_follow_the_stated_densities(name, is_fraud, parameters):
    marked, truth = add_fraud(make_log(20_000), share=0.5, seed=2)
    values = marked.loc[truth.index[truth["is_fraud"] == is_fraud], name].dropna()
    if name in ("distance_km", "amount_multiple"):
        mu, sigma = parameters[name]
        assert stats.kstest(np.log(values), stats.norm(mu, sigma).cdf).pvalue > 0.001
    else:
        assert abs(values.mean() - parameters[name]) < 5 * np.sqrt(values.var() / len(values))


def test_the_posterior_is_calibrated():
    _, truth = add_fraud(make_log(100_000), share=0.1, seed=4)
    odds = 0.1 / 0.9 * np.exp(truth["log_likelihood_ratio"])
    posterior = (odds / (1 + odds)).rename("posterior")
    bins = truth.assign(posterior=posterior).groupby(
        pd.cut(posterior, [0, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 1])
    )
    for _, group in bins:
        mean = group["posterior"].mean()
        assert len(group) > 100
        assert abs(group["is_fraud"].mean() - mean) < 4 * np.sqrt(mean * (1 - mean) / len(group)) + 1e-4


def test_only_logins_and_payments_carry_attributes_and_the_argument_is_untouched():
    log = make_log(500)
    before = log.copy()
    marked, truth = add_fraud(log.iloc[::-1], share=0.3, seed=5)
    pd.testing.assert_frame_equal(log, before)
    assert set(marked.loc[truth.index, "event_type"]) == {"login", "payment"}
    assert marked.loc[marked.index.difference(truth.index), list(DENSITIES)].isna().all(axis=None)
    assert (marked["failed_attempts"].notna() == (marked["event_type"] == "login")).all()
    assert (marked["amount_multiple"].notna() == (marked["event_type"] == "payment")).all()
    pd.testing.assert_frame_equal(add_fraud(log.iloc[::-1], share=0.3, seed=5)[0], marked)


def test_another_platform_may_have_other_densities():
    same = add_fraud(make_log(), 0.5, 1, fraudulent=incidents.LEGITIMATE)[1]
    assert (same["log_likelihood_ratio"].abs() < 1e-12).all()


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_fraud_needs_a_probability_and_events_to_defraud(share):
    with pytest.raises(ValueError, match=f"share is {share}"):
        add_fraud(make_log(50), share, 1)
    with pytest.raises(ValueError, match="no 'login'"):
        add_fraud(pd.DataFrame({"event_type": ["view"]}), 0.1, 1)


@pytest.fixture(scope="module")
def customers():
    return incidents.draw_customers(pd.DataFrame({"user_id": np.arange(40_000)}), seed=1)


def test_the_difference_of_the_arms_matches_the_known_average_effect(customers):
    campaign, truth = run_campaign(customers, seed=2)
    arms = campaign.groupby("treated")["bought"].agg(["mean", "var", "size"])
    error = np.sqrt((arms["var"] / arms["size"]).sum())
    assert abs(arms.loc[True, "mean"] - arms.loc[False, "mean"] - truth["effect"].mean()) < 4 * error
    assert abs(campaign["treated"].mean() - 0.5) < 0.01


def test_outcomes_are_those_of_the_own_arm_and_match_their_probabilities(customers):
    campaign, truth = run_campaign(customers, seed=3, treated=0.2)
    own = truth["bought_with"].where(campaign["treated"], truth["bought_without"])
    assert (campaign["bought"] == own).all() and abs(campaign["treated"].mean() - 0.2) < 0.01
    for arm in ("with", "without"):
        assert abs(truth[f"bought_{arm}"].mean() - truth[f"p_{arm}"].mean()) < 0.01


def test_treatment_is_independent_of_the_users(customers):
    campaign, truth = run_campaign(customers, seed=4)
    for values in (truth["p_without"], truth["effect"], truth["bought_without"]):
        assert abs(np.corrcoef(campaign["treated"], values)[0, 1]) < 4 / np.sqrt(len(campaign))


def test_some_users_are_moved_and_some_annoyed(customers):
    effect = run_campaign(customers, seed=1)[1]["effect"]
    assert (effect > 0.1).mean() > 0.1 and (effect < -0.05).mean() > 0.1


def test_campaign_refuses_what_is_no_probability(customers):
    with pytest.raises(ValueError, match="treated is 0"):
        run_campaign(customers, 1, treated=0)
    with pytest.raises(ValueError, match="p_with from 0 to 2"):
        run_campaign(
            customers, 1, response=lambda users: (np.zeros(len(users)), np.linspace(0, 2, len(users)))
        )
