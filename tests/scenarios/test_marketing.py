import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor
from sklift import metrics as library

from helpers.data import incidents
from helpers.scenarios import marketing

FEATURES = ["recency_days", "orders", "mobile_share"]
LOGISTIC = LogisticRegression(C=1000, max_iter=1000)


@pytest.fixture(scope="module")
def campaign():
    users = incidents.draw_customers(pd.DataFrame({"user_id": range(20_000)}), seed=1)
    return incidents.run_campaign(users, seed=1)


def learn(name, campaign, outcome="bought"):
    shop, _ = campaign
    given = shop[FEATURES] / [30, 4, 1], shop["treated"], shop[outcome]
    learners = {
        "s": lambda: marketing.s_learner(LOGISTIC, *given),
        "t": lambda: marketing.t_learner(LOGISTIC, *given),
        "x": lambda: marketing.x_learner(LOGISTIC, LinearRegression(), *given),
        "z": lambda: marketing.transformed_outcome(LinearRegression(), *given, propensity=0.5),
    }
    return learners[name]()(given[0])


# Was it an experiment?


def test_a_randomized_campaign_is_balanced_and_a_targeted_one_is_refused(campaign):
    shop, truth = campaign
    marketing.assert_balanced(shop[FEATURES], shop["treated"])
    assert marketing.balance(shop[FEATURES], shop["treated"])["difference"].abs().max() < 0.05
    loyal = shop["orders"] > 4
    with pytest.raises(ValueError, match="column 'orders' differs by .* not given at random"):
        marketing.assert_balanced(shop[FEATURES], loyal)


def test_small_groups_may_differ_by_luck_and_a_constant_column_is_balanced():
    features = pd.DataFrame({"orders": [1.0, 2.0, 3.0, 4.0], "one": 1.0})
    marketing.assert_balanced(features, [0, 0, 1, 1])
    assert marketing.balance(features, [0, 1, 0, 1]).loc["one", "difference"] == 0


def test_the_propensity_mends_a_targeted_campaign_if_it_is_known(campaign):
    shop, truth = campaign
    chance = 1 / (1 + np.exp(2 - 0.5 * shop["orders"].to_numpy()))
    treated = np.random.default_rng(3).random(len(shop)) < chance
    bought = np.where(treated, truth["bought_with"], truth["bought_without"])
    real = (truth["bought_with"].astype(int) - truth["bought_without"]).mean()
    assert marketing.average_effect(bought, treated) > real + 0.05
    assert abs(marketing.average_effect(bought, treated, chance) - real) < 0.03


# Learners


def test_learners_find_the_known_effect(campaign):
    effect = campaign[1]["effect"]
    found = {name: learn(name, campaign) for name in "stxz"}
    correlation = {name: np.corrcoef(effect, values)[0, 1] for name, values in found.items()}
    assert correlation["t"] > 0.95 and correlation["x"] > 0.9 and correlation["z"] > 0.8
    assert correlation["s"] < correlation["z"]  # without interactions it knows one added log-odds
    assert all(abs(values.mean() - effect.mean()) < 0.01 for values in found.values())
    assert np.abs(found["t"] - effect).mean() < 0.02


def test_learners_take_a_regressor_and_an_array_and_leave_it_unfitted(campaign):
    shop, truth = campaign
    tree = DecisionTreeRegressor(max_depth=4, min_samples_leaf=500)
    effect = marketing.t_learner(tree, shop[FEATURES].to_numpy(), shop["treated"], 10 * shop["bought"])(shop[FEATURES])
    assert np.corrcoef(effect, truth["effect"])[0, 1] > 0.5 and not hasattr(tree, "tree_")


def test_the_transformed_outcome_averages_to_the_effect_under_unequal_propensities(campaign):
    shop, truth = campaign
    chance = np.where(shop["orders"] > 4, 0.8, 0.3)
    treated = np.random.default_rng(4).random(len(shop)) < chance
    bought = np.where(treated, truth["bought_with"], truth["bought_without"])
    effect = marketing.transformed_outcome(LinearRegression(), shop[FEATURES], treated, bought, chance)(shop[FEATURES])
    assert abs(effect.mean() - truth["effect"].mean()) < 0.03


def test_a_line_recovers_how_an_effect_was_stretched(campaign):
    shop, truth = campaign
    intercept, slope = marketing.calibrate(2 * truth["effect"] + 0.1, shop["treated"], shop["bought"])
    assert abs(slope - 0.5) < 0.15 and abs(intercept + 0.05) < 0.03
    kept = marketing.calibrate(2 * truth["effect"] + 0.1, shop["treated"], shop["bought"], prior=1e9)
    assert np.allclose(kept, (0, 1), atol=1e-3)
    with pytest.raises(ValueError, match="the effect is 0.2 for every customer"):
        marketing.calibrate(np.full(len(shop), 0.2), shop["treated"], shop["bought"])


@pytest.mark.parametrize(("treated", "outcome", "message"), [
    ([1, 1, 1, 1], [0, 1, 0, 1], "the control group is missing"),
    ([0, 0, 0, 0], [0, 1, 0, 1], "the treated group is missing"),
    ([0, 1, 2, 1], [0, 1, 0, 1], r"treated holds \[0, 1, 2\]"),
    ([0, 1], [0, 1, 0, 1], r"treated has shape \(2,\), expected \(4,\)"),
    ([0, 0, 1, 1], [0, 1, 0], r"outcome has shape \(3,\)"),
    ([0, 0, 1, 1], [0, 0, 0, 1], "the control group has the single class 0"),
    ([0, 0, 1, 1], [0, 1, 1, 1], "the treated group has the single class 1"),
    ([0, 0, 1, 1], [0, 2, 0, 1], "outcome is 2 in row 1"),
])  # fmt: skip
def test_a_bad_campaign_is_refused(treated, outcome, message):
    with pytest.raises(ValueError, match=message):
        marketing.s_learner(LOGISTIC, [[0], [1], [2], [3]], treated, outcome)


def test_features_must_be_a_table():
    with pytest.raises(ValueError, match=r"features have shape \(4,\)"):
        marketing.t_learner(LOGISTIC, [0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 0, 1])


@pytest.mark.parametrize("propensity", [0, 1, [0.5, 0.5, 1.0, 0.5]])
def test_a_propensity_of_0_or_1_is_refused(propensity):
    with pytest.raises(ValueError, match="has no counterpart"):
        marketing.transformed_outcome(LinearRegression(), [[0], [1], [2], [3]], [0, 0, 1, 1], [0, 1, 0, 1], propensity)


# Metrics


def test_curves_and_areas_are_those_of_scikit_uplift(campaign):
    shop, truth = campaign
    shop, truth = shop[:3000], truth[:3000]
    y, w = shop["bought"].astype(int).to_numpy(), shop["treated"].astype(int).to_numpy()
    for score in (truth["effect"].to_numpy(), truth["effect"].round(1).to_numpy(), -shop["orders"].to_numpy()):
        for ours, theirs in ((marketing.qini_curve, library.qini_curve), (marketing.uplift_curve, library.uplift_curve)):
            for a, b in zip(ours(y, w, score), theirs(y, score, w), strict=True):
                assert np.allclose(a, b)
        assert np.isclose(marketing.qini(y, w, score), library.qini_auc_score(y, score, w))
        assert np.isclose(marketing.auuc(y, w, score), library.uplift_auc_score(y, score, w))


def test_the_best_order_of_auuc_follows_the_library_for_rare_and_for_frequent_buyers():
    rng = np.random.default_rng(0)
    w, score = rng.integers(0, 2, 400), rng.random(400)
    for share in (0.1, 0.9):
        y = (rng.random(400) < share).astype(int)
        assert np.isclose(marketing.auuc(y, w, score), library.uplift_auc_score(y, score, w))


def test_the_true_effect_ranks_best_and_luck_gets_nothing(campaign):
    shop, truth = campaign
    y, w = shop["bought"].astype(int), shop["treated"].astype(int)
    best, low, high = marketing.interval(marketing.qini, y, w, truth["effect"], draws=50)
    assert low < best < high and low > 0
    assert best > marketing.qini(y, w, truth["p_with"])
    assert abs(marketing.qini(y, w, np.random.default_rng(0).random(len(y)))) < low


@pytest.mark.parametrize(("outcome", "score", "message"), [
    ([1, 1, 1, 1], [4, 3, 2, 1], "outcome is 1 for everybody, a single class"),
    ([0, 1, 5, 1], [4, 3, 2, 1], "outcome is 5 in row 2"),
    ([0, 1, 0, 1], [4, 3, 2], r"score has shape \(3,\)"),
    ([0, 1, 0, 1], [4, 3, np.nan, 1], "missing value"),
])  # fmt: skip
def test_a_curve_refuses_what_it_cannot_rank(outcome, score, message):
    with pytest.raises(ValueError, match=message):
        marketing.qini_curve(outcome, [0, 1, 0, 1], score)


# Budget


def test_a_budget_goes_to_the_best_for_its_cost():
    assert marketing.spend_budget([9, 8, 7, 0], budget=2).tolist() == [True, True, False, False]
    assert marketing.spend_budget([9, 8, 7, 0], budget=3, cost=[3, 2, 1, 1]).tolist() == [False, True, True, False]
    assert marketing.spend_budget([1, 1, 1], budget=0.3, cost=0.1).all()
    assert marketing.spend_budget([9, -1], budget=2, least=0).tolist() == [True, False]


def test_profit_follows_the_known_effect(campaign):
    truth = campaign[1]
    everyone = np.ones(len(truth), dtype=bool)
    worth_it = marketing.spend_budget(truth["effect"], budget=len(truth), least=1 / 20)
    assert marketing.profit(worth_it, truth["effect"], margin=20) > marketing.profit(everyone, truth["effect"], margin=20)


@pytest.mark.parametrize(("score", "budget", "cost", "message"), [
    ([1, np.nan], 1, 1, "score is missing in row 1"),
    ([1, 2], 1, 0, "cost goes down to 0"),
    ([1, 2], -1, 1, "the budget is -1"),
])  # fmt: skip
def test_a_budget_that_makes_no_sense_is_refused(score, budget, cost, message):
    with pytest.raises(ValueError, match=message):
        marketing.spend_budget(score, budget, cost)


# The value of customers


def orders_of(times, amounts=None):
    day = pd.Timestamp("2026-01-01")
    rows = [(user, day + pd.Timedelta(days=t), 10.0) for user, days in times.items() for t in days]
    return pd.DataFrame(rows, columns=["user_id", "timestamp", "price"])


def test_rfm_counts_and_scores():
    orders = orders_of({"old": [0], "new": [90], "loyal": [0, 30, 60, 95]})
    table = marketing.rfm(orders, pd.Timestamp("2026-01-01") + pd.Timedelta(days=100), levels=3)
    assert table["recency"].to_dict() == {"loyal": 5, "new": 10, "old": 100}
    assert table.loc["loyal", ["r", "f", "m"]].tolist() == [3, 3, 3] and table["score"].idxmax() == "loyal"
    with pytest.raises(KeyError, match="orders lack the column 'spent'"):
        marketing.rfm(orders, pd.Timestamp("2027-01-01"), amount="spent")
    with pytest.raises(ValueError, match="later than now"):
        marketing.rfm(orders, pd.Timestamp("2026-02-01"))


TRUE = {"r": 0.8, "alpha": 6.0, "a": 1.2, "b": 2.5}


def live(n, age, horizon, seed, true=TRUE):
    """Repeats, last and later orders of customers that live by BG/NBD."""
    rng = np.random.default_rng(seed)
    rate, leave = rng.gamma(true["r"], 1 / true["alpha"], n), rng.beta(true["a"], true["b"], n)
    x, last, later = np.zeros(n), np.zeros(n), np.zeros(n)
    clock, here = np.zeros(n), np.ones(n, dtype=bool)
    while here.any():
        clock += np.where(here, rng.exponential(1 / np.maximum(rate, 1e-12)), 0)
        here &= clock < age + horizon
        early = here & (clock < age)
        x += early
        last = np.where(early, clock, last)
        later += here & (clock >= age)
        here &= rng.random(n) >= leave
    return x, last, later


def test_bg_nbd_recovers_its_parameters_and_expects_what_happens():
    x, last, later = live(20_000, 39, 13, seed=0)
    found = marketing.fit_bg_nbd(x, last, np.full(len(x), 39.0))
    assert all(abs(found[name] / TRUE[name] - 1) < 0.2 for name in TRUE)
    expected = marketing.expected_orders(TRUE, x, last, np.full(len(x), 39.0), 13)
    assert abs(expected.mean() / later.mean() - 1) < 0.05
    for count in (0, 1, 4):
        rows = x == count
        assert abs(expected[rows].mean() / later[rows].mean() - 1) < 0.15
    silent = (x == 4) & (last < 20)
    assert abs(expected[silent].mean() - later[silent].mean()) < 0.1


def test_who_lives_orders_on_and_the_form_is_that_of_the_source():
    from scipy.special import hyp2f1

    assert marketing.probability_alive(TRUE, [0], [0], [39]).tolist() == [1.0]
    r, alpha, a, b = TRUE.values()
    x, last, age, t = 3, 20, 39, 13
    top = (a + b + x - 1) / (a - 1) * (1 - ((alpha + age) / (alpha + age + t)) ** (r + x)
                                       * hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t)))  # fmt: skip
    bottom = 1 + a / (b + x - 1) * ((alpha + age) / (alpha + last)) ** (r + x)
    assert np.isclose(marketing.expected_orders(TRUE, [x], [last], [age], t)[0], top / bottom)
    near_one, one = ({**TRUE, "a": a} for a in (1.001, 1.0))
    pair = [marketing.expected_orders(p, [x], [last], [age], t)[0] for p in (near_one, one)]
    assert abs(pair[0] - pair[1]) < 0.01


@pytest.mark.parametrize(("x", "last", "age", "message"), [
    ([1, 2], [3, 4], [9], "expected one of each"),
    ([1, 0], [3, 4], [9, 9], "row 1 has repeats 0, last 4"),
    ([1, 1.5], [3, 4], [9, 9], "row 1 has repeats 1.5"),
    ([1, 1], [3, 10], [9, 9], "row 1 has repeats 1, last 10, age 9"),
])  # fmt: skip
def test_an_impossible_history_is_refused(x, last, age, message):
    with pytest.raises(ValueError, match=message):
        marketing.fit_bg_nbd(x, last, age)


def test_gamma_gamma_recovers_its_parameters_and_shrinks():
    rng = np.random.default_rng(0)
    orders = rng.integers(1, 9, 20_000)
    rate = rng.gamma(4.0, 1 / 15.0, len(orders))
    mean_amount = rng.gamma(6.0 * orders, 1 / rate) / orders
    found = marketing.fit_gamma_gamma(orders, mean_amount)
    assert abs(found["p"] / 6 - 1) < 0.2 and abs(found["q"] / 4 - 1) < 0.2
    once, often = marketing.expected_amount(found, [1, 100], [90.0, 90.0])
    assert mean_amount.mean() < once < often < 90
    future = rng.gamma(6.0, 1 / rate)
    high = mean_amount > 60
    assert abs(marketing.expected_amount(found, orders, mean_amount)[high].mean() / future[high].mean() - 1) < 0.05


def test_gamma_gamma_refuses_what_has_no_mean():
    with pytest.raises(ValueError, match="amounts to 0"):
        marketing.fit_gamma_gamma([1, 2], [3.0, 0.0])
    with pytest.raises(ValueError, match="q is 0.9, expected above 1"):
        marketing.expected_amount({"p": 1.0, "q": 0.9, "gamma": 1.0}, [1], [3.0])


def test_a_search_that_does_not_end_is_said(monkeypatch):
    class Failed:
        success, message = False, "too many steps"

    monkeypatch.setattr(marketing.optimize, "minimize", lambda *_, **__: Failed)
    for fit in (lambda: marketing.fit_bg_nbd([1], [2], [3]), lambda: marketing.fit_gamma_gamma([1], [2])):
        with pytest.raises(ValueError, match="too many steps"):
            fit()
