"""Whom a campaign should reach: the effect on each customer, its test, the budget, and the value of customers.

    balance, assert_balanced                      was the treatment given at random?
    average_effect                                what did the campaign add, on average?
    s_learner, t_learner, x_learner,              what does it add for a customer with these features?
    transformed_outcome
    calibrate                                     a known effect, corrected with few new labels
    qini_curve, uplift_curve, qini, auuc,         does the order of customers find those it moves?
    interval
    spend_budget, profit                          who is contacted, and what does that earn?
    rfm, fit_bg_nbd, probability_alive,           who will buy again, how often, for how much?
    expected_orders, fit_gamma_gamma,
    expected_amount

A campaign is three aligned things: `features` (n, n_features), `treated` (n,) and `outcome` (n,), the last two 0 or 1.
An effect (uplift) is P(outcome | features, treated) - P(outcome | features, not treated). A learner returns a function
of new features, so that it can be kept, moved to another platform and asked there.
"""

import numpy as np
import pandas as pd
from scipy import optimize, special
from sklearn.base import clone

# Was it an experiment? --------------------------------------------------------------------------------------


def balance(features, treated):
    """Compare the two groups feature by feature.

    Args:
        features: DataFrame (n, n_features) of numbers known before the campaign.
        treated: (n,) 0 or 1 (or bool).

    Returns:
        DataFrame indexed by feature: `treated` and `control` (means), `difference`: that of the means, divided by
        the root of the mean of the two variances; 0 for a feature that never varies.

    Raises:
        ValueError: If a group is missing, or the lengths differ.

    Source: Austin, P. C. (2009), Statistics in Medicine 28(25), 3083-3107 (standardized differences).

    Example:
        >>> balance(pd.DataFrame({"orders": [1, 3, 2, 4]}), [0, 0, 1, 1]).round(2).to_dict("records")
        [{'treated': 3.0, 'control': 2.0, 'difference': 0.71}]
    """
    features = pd.DataFrame(features)
    treated = _groups(treated, len(features))
    means = [features[treated == arm].mean() for arm in (1, 0)]
    spread = np.sqrt(sum(features[treated == arm].var() for arm in (1, 0)) / 2)
    difference = ((means[0] - means[1]) / spread.where(spread > 0)).fillna(0)
    return pd.DataFrame({"treated": means[0], "control": means[1], "difference": difference})


def assert_balanced(features, treated, limit=0.1):
    """Refuse a treatment that was not given at random, as far as the features show.

    A feature fails where its standardized difference is past `limit` and past four standard errors of such a
    difference between random groups, sqrt(1 / n_treated + 1 / n_control). Passing proves nothing about what was not
    recorded.

    Args:
        features, treated: As for `balance`.
        limit: Largest standardized difference that is let pass in groups of any size.

    Raises:
        ValueError: If a group is missing, the lengths differ, or a feature fails; names the worst.

    Example:
        >>> assert_balanced(pd.DataFrame({"orders": range(2000)}), [0] * 1000 + [1] * 1000)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: column 'orders' differs by 3.46 standard deviations between treated and control...
    """
    table = balance(features, treated)
    treated = _groups(treated, len(features))
    allowed = max(limit, 4 * np.sqrt(1 / treated.sum() + 1 / (treated == 0).sum()))
    worst = table["difference"].abs().idxmax()
    if abs(table.loc[worst, "difference"]) > allowed:
        row = table.loc[worst]
        raise ValueError(
            f"column {worst!r} differs by {row['difference']:.2f} standard deviations between treated and control "
            f"(means {row['treated']:.3g} and {row['control']:.3g}; up to {allowed:.2f} is luck): the treatment was "
            "not given at random. Compare with a randomized control group, or say which features decided who was "
            "treated and pass their propensity")


def average_effect(outcome, treated, propensity=None):
    """What the campaign added to the mean outcome, by weighting each customer with 1 / P(its group).

    Weights are normalized within each group, so with a constant propensity this is the difference of the means.

    Args:
        outcome: (n,) numbers.
        treated: (n,) 0 or 1.
        propensity: (n,) or a number: probability of being treated; the treated share if None.

    Returns:
        The effect, a float in the unit of the outcome.

    Raises:
        ValueError: If a group is missing, the lengths differ, or a propensity is 0 or 1.

    Source: Hirano, K., Imbens, G. & Ridder, G. (2003), Econometrica 71(4), 1161-1189.

    Example:
        >>> average_effect([1, 0, 1, 1], treated=[0, 0, 1, 1])
        0.5
    """
    outcome = np.asarray(outcome, dtype=float)
    treated = _groups(treated, len(outcome))
    chance = _propensity(propensity, treated)
    return float(np.average(outcome, weights=treated / chance)
                 - np.average(outcome, weights=(1 - treated) / (1 - chance)))


# The effect on each customer --------------------------------------------------------------------------------


def s_learner(estimator, features, treated, outcome):
    """One model of the outcome, with the treatment as one more feature (S for single).

    A model without interactions, such as a plain logistic regression, gives everybody the same added log-odds.

    Args:
        estimator: scikit-learn classifier (its probability of 1 is used) or regressor; cloned, not changed.
        features: DataFrame or array (n, n_features).
        treated: (n,) 0 or 1.
        outcome: (n,) 0 or 1; any number for a regressor.

    Returns:
        Function of new features (m, n_features) to effects, float (m,).

    Raises:
        ValueError: If a group is missing, lengths differ, or a classifier would see a single class.

    Source: Künzel, S. R. et al. (2019), PNAS 116(10), 4156-4165.

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> s_learner(DecisionTreeRegressor(), [[0], [0], [1], [1]], [0, 1, 0, 1], [0, 1, 1, 1])([[0], [1]]).tolist()
        [1.0, 0.0]
    """
    features, treated, outcome = _campaign(estimator, features, treated, outcome)
    model = clone(estimator).fit(np.column_stack([features, treated]), outcome)

    def effect(new):
        new = np.asarray(new, dtype=float)
        return np.subtract(*(_predicted(model, np.column_stack([new, np.full(len(new), arm)])) for arm in (1, 0)))

    return effect


def t_learner(estimator, features, treated, outcome):
    """Two models of the outcome, one to each group (T for two); the effect is their difference.

    Args, returns, raises, source: as `s_learner`.

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> t_learner(DecisionTreeRegressor(), [[0], [0], [1], [1]], [0, 1, 0, 1], [0, 1, 1, 1])([[0], [1]]).tolist()
        [1.0, 0.0]
    """
    control, with_it = _models(estimator, *_campaign(estimator, features, treated, outcome))
    return lambda new: _predicted(with_it, _numbers(new)) - _predicted(control, _numbers(new))


def x_learner(estimator, regressor, features, treated, outcome, propensity=None):
    """Two models of the outcome, each used to fill in what the other group did not live (X for crossed).

    A treated customer's effect is its outcome minus what the control model expects of it; for a control customer it
    is what the treated model expects minus its outcome. `regressor` learns both from the features; the answer is
    their mean, the control's weighted with the propensity. Made for groups of unequal size.

    Args:
        estimator, features, treated, outcome: as for `s_learner`.
        regressor: scikit-learn regressor of the filled-in effects.
        propensity: probability of being treated, a number; the treated share if None.

    Returns, raises, source: as `s_learner`; ValueError too if the propensity is 0 or 1.

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> tree = DecisionTreeRegressor()
        >>> x_learner(tree, tree, [[0], [0], [1], [1]], [0, 1, 0, 1], [0, 1, 1, 1])([[0], [1]]).tolist()
        [1.0, 0.0]
    """
    features, treated, outcome = _campaign(estimator, features, treated, outcome)
    chance = _propensity(propensity, treated).mean()
    control, with_it = _models(estimator, features, treated, outcome)
    rows = treated == 1
    of_treated = clone(regressor).fit(features[rows], outcome[rows] - _predicted(control, features[rows]))
    of_control = clone(regressor).fit(features[~rows], _predicted(with_it, features[~rows]) - outcome[~rows])
    return lambda new: (chance * of_control.predict(_numbers(new)) + (1 - chance) * of_treated.predict(_numbers(new)))


def transformed_outcome(regressor, features, treated, outcome, propensity=None):
    """One regression of a number whose mean, given the features, is the effect.

    With w treated, y the outcome and e the propensity, that number is y (w - e) / (e (1 - e)).

    Args:
        regressor: scikit-learn regressor.
        features, treated, outcome: as for `s_learner`.
        propensity: (n,) or a number: the probability of being treated; the treated share if None.

    Returns, raises: as `s_learner`; ValueError too if a propensity is 0 or 1.

    Source: Athey, S. & Imbens, G. (2016), Recursive partitioning for heterogeneous causal effects, PNAS 113(27).

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> effect = transformed_outcome(DecisionTreeRegressor(), [[0], [0], [1], [1]], [0, 1, 0, 1], [0, 1, 1, 1])
        >>> effect([[0], [1]]).tolist()
        [1.0, 0.0]
    """
    features, treated, outcome = _campaign(regressor, features, treated, outcome)
    model = clone(regressor).fit(features, _transformed(treated, outcome, propensity))
    return lambda new: model.predict(_numbers(new))


def calibrate(effect, treated, outcome, propensity=None, prior=0.0):
    """Correct a known effect with a line, from a new campaign: true effect = intercept + slope * effect.

    Least squares of the transformed outcome on the effect. Slope 1 and intercept 0: the effect holds as it is; slope
    0: it says nothing about the new platform; a negative slope: it points the wrong way.

    Args:
        effect: (n,) what another model says of these customers; must vary.
        treated, outcome: (n,) 0 or 1, the new campaign.
        propensity: (n,) or a number; the treated share if None.
        prior: Number of imagined customers that confirm the effect as it is, at least 0. They weigh against slopes
            and intercepts that few real customers suggest.

    Returns:
        (intercept, slope), floats.

    Raises:
        ValueError: If a group is missing, lengths differ, a propensity is 0 or 1, or the effect never varies.

    Source: best linear predictor of the effect: Chernozhukov, V. et al. (2018), arXiv 1712.04802.

    Example:
        >>> calibrate([0.5, 0.5, 0.0, 0.0], treated=[0, 1, 0, 1], outcome=[0, 1, 1, 1])
        (0.0, 2.0)
    """
    effect = np.asarray(effect, dtype=float)
    treated = _groups(treated, len(effect))
    outcome = _outcome(outcome, treated)
    if np.ptp(effect) == 0:
        raise ValueError(f"the effect is {effect[0]:.3g} for every customer: a line needs effects that differ")
    number = _transformed(treated, outcome, propensity)
    slopes = np.column_stack([np.ones(len(effect)), effect])
    strength = prior * np.diag([1.0, effect.var()])
    line = np.linalg.solve(slopes.T @ slopes + strength, slopes.T @ number + strength @ [0, 1])
    return tuple(float(value) for value in np.round(line, 12))


# Does the order find those who are moved? -------------------------------------------------------------------


def qini_curve(outcome, treated, score):
    """Extra buyers among the k customers of highest score, counted in treated customers, for every k.

    At k the curve is buyers among the treated - buyers among the control * n_treated / n_control, all among the
    first k. Customers of equal score enter together.

    Args:
        outcome: (n,) 0 or 1.
        treated: (n,) 0 or 1, at random.
        score: (n,) numbers, highest first.

    Returns:
        (k, extra buyers): int and float arrays from (0, 0) to n.

    Raises:
        ValueError: If a group is missing, lengths differ, the outcome is not 0 or 1, or has a single class.

    Source: Radcliffe, N. J. (2007), Using control groups to target on predicted lift, Direct Marketing Analytics
    Journal, 14-21.

    Example:
        >>> [values.tolist() for values in qini_curve([1, 0, 1, 1], [1, 0, 1, 0], [4, 3, 2, 1])]
        [[0, 1, 2, 3, 4], [0.0, 1.0, 1.0, 2.0, 1.0]]
    """
    size, bought, group = _counts(outcome, treated, score)
    return size, bought[1] - bought[0] * _ratio(group[1], group[0])


def uplift_curve(outcome, treated, score):
    """Extra buyers if the first k customers were all treated: k times the difference of the groups' buying rates.

    Args, returns, raises: as `qini_curve`.

    Source: Devriendt, F., Guns, T. & Verbeke, W. (2020), arXiv 2002.05897.

    Example:
        >>> [values.tolist() for values in uplift_curve([1, 0, 1, 1], [1, 0, 1, 0], [4, 3, 2, 1])]
        [[0, 1, 2, 3, 4], [0.0, 1.0, 2.0, 3.0, 2.0]]
    """
    size, bought, group = _counts(outcome, treated, score)
    return size, size * (_ratio(bought[1], group[1]) - _ratio(bought[0], group[0]))


def qini(outcome, treated, score):
    """Area between the Qini curve and the line of a random order, over that of the best order of these outcomes.

    0 is luck. 1 needs the future: the best order puts treated buyers first and control buyers last.

    Args, raises: as `qini_curve`.

    Returns:
        Qini coefficient, a float up to 1.

    Example:
        >>> round(qini([1, 0, 1, 1], [1, 0, 1, 0], [4, 3, 2, 1]), 2)
        0.71
    """
    best = np.asarray(outcome) * np.where(_groups(treated, len(outcome)), 1, -1)
    return _share_of_best(qini_curve, outcome, treated, score, best)


def auuc(outcome, treated, score):
    """Area between the uplift curve and the line of a random order, over that of the best order.

    Args, raises: as `qini_curve`.

    Returns:
        Normalized area under the uplift curve, a float up to 1; 0 is luck.

    Source: as `uplift_curve`; the best order is that of scikit-uplift 0.5.1, `perfect_uplift_curve`.

    Example:
        >>> round(auuc([1, 0, 1, 1], [1, 0, 1, 0], [4, 3, 2, 1]), 2)
        1.0
    """
    bought, arm = np.asarray(outcome, dtype=int), _groups(treated, len(outcome))
    many = ((bought == 1) & (arm == 0)).sum() > ((bought == 0) & (arm == 1)).sum()
    best = 2 * (bought == arm) + (bought if many else arm)
    return _share_of_best(uplift_curve, outcome, treated, score, best)


def interval(metric, outcome, treated, score, confidence=0.95, draws=200, seed=0):
    """Bootstrap interval of a metric over customers: what another sample of customers might have shown.

    Customers are drawn with replacement within each group, so that both keep their size. It is the uncertainty of
    the test alone: the scores are taken as given.

    Args:
        metric: function of (outcome, treated, score) to a number, such as `qini`.
        outcome, treated, score: as for `qini_curve`.
        confidence: In (0, 1).
        draws: Number of samples.
        seed: Of the draw.

    Returns:
        (value, low, high), floats.

    Raises:
        ValueError: As the metric.

    Source: Efron, B. & Tibshirani, R. (1993), An Introduction to the Bootstrap.

    Example:
        >>> interval(lambda y, w, s: y.mean(), [1, 1, 1, 1], [1, 0, 1, 0], [4, 3, 2, 1], draws=9)
        (1.0, 1.0, 1.0)
    """
    outcome, score = np.asarray(outcome), np.asarray(score)
    treated = _groups(treated, len(outcome))
    arms, rng = [np.flatnonzero(treated == arm) for arm in (0, 1)], np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        rows = np.concatenate([rng.choice(arm, len(arm)) for arm in arms])
        values.append(metric(outcome[rows], treated[rows], score[rows]))
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(metric(outcome, treated, score)), float(low), float(high)


# The budget -------------------------------------------------------------------------------------------------


def spend_budget(score, budget, cost=1.0, least=-np.inf):
    """Choose whom to contact: highest score for its cost first, until the money is spent.

    Args:
        score: (n,) expected gain of a contact, or anything that orders customers.
        budget: Money to spend, at least 0.
        cost: Cost of a contact, a number or (n,), above 0.
        least: Customers whose score is not above this are left alone, though money may be left over.

    Returns:
        bool (n,): who is contacted. Of equal scores, the customer who stands first in the table comes first.

    Raises:
        ValueError: If a score is missing, a cost is not above 0, or the budget is negative.

    Example:
        >>> spend_budget([0.3, -0.1, 0.2], budget=5).tolist(), spend_budget([3, 1, 2], 2, least=2).tolist()
        ([True, True, True], [True, False, False])
    """
    score = np.asarray(score, dtype=float)
    cost = np.broadcast_to(np.asarray(cost, dtype=float), score.shape)
    if np.isnan(score).any():
        row = np.flatnonzero(np.isnan(score))[0]
        raise ValueError(f"score is missing in row {row}: expected a number for everyone")
    if not (cost > 0).all() or budget < 0:
        raise ValueError(f"cost goes down to {cost.min():g} and the budget is {budget:g}: expected costs above 0 and "
                         "a budget of at least 0")
    order = np.argsort(-score / cost, kind="stable")
    order = order[score[order] > least]
    chosen = np.zeros(len(score), dtype=bool)
    chosen[order[np.cumsum(cost[order]) <= budget + 1e-9]] = True
    return chosen


def profit(contacted, effect, margin, cost=1.0):
    """What a campaign earns: the buyers that it adds, times what one is worth, less the cost of all contacts.

    Args:
        contacted: bool (n,).
        effect: (n,) the effect on each customer, known or estimated.
        margin: Money that one added buyer brings, a number or (n,).
        cost: Cost of a contact, a number or (n,).

    Returns:
        Money, a float.

    Example:
        >>> profit([True, True, False], effect=[0.25, -0.125, 0.5], margin=20, cost=1)
        0.5
    """
    gain = margin * np.asarray(effect, dtype=float) - cost
    return float(gain[np.asarray(contacted, dtype=bool)].sum())


# The value of customers -------------------------------------------------------------------------------------


def rfm(orders, now, customer="user_id", time="timestamp", amount="price", levels=5):
    """Recency, frequency and monetary value of each customer, each with a score.

    Args:
        orders: DataFrame, one row to each order.
        now: Timestamp, not before the last order.
        customer, time, amount: Names of its columns; `amount` in money.
        levels: Number of score levels of equal size

    Returns:
        DataFrame indexed by customer: recency (days from the last order to now), frequency (orders), monetary (sum);
        `r`, `f`, `m`: 1 to `levels`, `levels` the best; `score`: their sum. Equal values share a level.

    Raises:
        KeyError: If a column is missing.
        ValueError: If an order is later than `now`.

    Source: Hughes, A. M. (1994), Strategic Database Marketing.

    Example:
        >>> day = pd.Timestamp("2026-03-01")
        >>> orders = pd.DataFrame({"user_id": ["a", "a", "b"], "timestamp": [day] * 3, "price": [4.0, 2.0, 5.0]})
        >>> rfm(orders, day + pd.Timedelta(days=7), levels=2)[["recency", "frequency", "monetary", "m"]].values.tolist()
        [[7.0, 2.0, 6.0, 2.0], [7.0, 1.0, 5.0, 1.0]]
    """
    if missing := [name for name in (customer, time, amount) if name not in orders]:
        raise KeyError(f"orders lack the column {missing[0]!r}; found {list(orders.columns)}: rename it, or name "
                       "yours")
    if (orders[time] > now).any():
        raise ValueError(f"column {time!r} holds an order of {orders[time].max()}, later than now = {now}: leave "
                         "out what lies in the future")
    groups = orders.groupby(customer)
    table = pd.DataFrame({"recency": (now - groups[time].max()) / pd.Timedelta(days=1), "frequency": groups.size(),
                          "monetary": groups[amount].sum()})
    for name, letter, sign in (("recency", "r", -1), ("frequency", "f", 1), ("monetary", "m", 1)):
        table[letter] = np.ceil((sign * table[name]).rank(pct=True) * levels).astype(int)
    return table.assign(score=table["r"] + table["f"] + table["m"])


def fit_bg_nbd(repeats, last, age):
    """Fit the BG/NBD model of repeat orders by maximum likelihood.

    An active customer orders at a rate of its own, which is gamma distributed over customers (shape r, rate alpha).
    After each order it leaves for good with a probability of its own, beta distributed (a, b).

    Args:
        repeats: (n,) orders after the first, whole numbers of at least 0.
        last: (n,) time from the first to the last order; 0 without repeats.
        age: (n,) time from the first order to now, in the same unit, at least `last`.

    Returns:
        Dict with r, alpha (in the unit of time), a, b.

    Raises:
        ValueError: If a row breaks these rules, nobody repeats, or the search does not end.

    Source: Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005), "Counting Your Customers" the Easy Way, Marketing
    Science 24(2), 275-284.

    Example:
        >>> found = fit_bg_nbd([0, 1, 3, 0, 2, 5], [0, 20, 30, 0, 9, 38], [39, 39, 39, 39, 39, 39])
        >>> sorted(found)
        ['a', 'alpha', 'b', 'r']
    """
    x, last, age = _histories(repeats, last, age)
    unit = age.mean()

    def loss(logs):
        r, alpha, a, b = np.exp(logs)
        stays = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + special.betaln(a, b + x)
        here = -(r + x) * np.log(alpha + age / unit)
        gone = np.log(a) - np.log(np.maximum(b + x - 1, 1e-12)) - (r + x) * np.log(alpha + last / unit)
        both = np.where(x > 0, np.logaddexp(here, gone), here)
        return -np.mean(stays - special.betaln(a, b) + both)

    found = optimize.minimize(loss, np.zeros(4), method="L-BFGS-B", bounds=[(-7, 7)] * 4)
    if not found.success:
        raise ValueError(f"the likelihood has no clear maximum ({found.message}): pass more customers, or longer "
                         "histories")
    r, alpha, a, b = np.exp(found.x)
    return {"r": float(r), "alpha": float(alpha * unit), "a": float(a), "b": float(b)}


def probability_alive(parameters, repeats, last, age):
    """Probability that a customer will ever order again, under BG/NBD.

    Args:
        parameters: As from `fit_bg_nbd`.
        repeats, last, age: As there.

    Returns:
        float (n,); 1 for a customer without repeats, who had no occasion to leave.

    Raises:
        ValueError: As `fit_bg_nbd`.

    Source: as `fit_bg_nbd`; Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2008), Computing P(alive) using the BG/NBD
    model.

    Example:
        >>> known = {"r": 1.0, "alpha": 5.0, "a": 1.5, "b": 2.5}
        >>> probability_alive(known, [4, 4], [10, 38], [39, 39]).round(2).tolist()
        [0.02, 0.77]
    """
    x, last, age = _histories(repeats, last, age)
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    gone = np.log(a / np.maximum(b + x - 1, 1e-12)) + (r + x) * np.log((alpha + age) / (alpha + last))
    return np.where(x > 0, special.expit(-gone), 1.0)


def expected_orders(parameters, repeats, last, age, horizon):
    """Orders to expect of each customer within a time to come, under BG/NBD.

    Args:
        parameters, repeats, last, age: As for `probability_alive`.
        horizon: Length of that time, in the same unit.

    Returns:
        float (n,).

    Raises:
        ValueError: As `fit_bg_nbd`.

    Source: as `fit_bg_nbd`, the conditional expectation; its hypergeometric function is put in the form that does
    not overflow (Euler's transformation).

    Example:
        >>> known = {"r": 1.0, "alpha": 5.0, "a": 1.5, "b": 2.5}
        >>> expected_orders(known, [4, 4], [10, 38], [39, 39], horizon=13).round(2).tolist()
        [0.02, 0.97]
    """
    alive = probability_alive(parameters, repeats, last, age)
    x, _, age = _histories(repeats, last, age)
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    a = a if abs(a - 1) > 1e-6 else 1 + 1e-6  # a removable gap of the formula
    z = horizon / (alpha + age + horizon)
    lost = (1 - z) ** (a - 1) * special.hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
    return alive * (a + b + x - 1) / (a - 1) * (1 - lost)


def fit_gamma_gamma(orders, mean_amount):
    """Fit the Gamma-Gamma model of the amount of an order by maximum likelihood.

    Amounts of a customer are gamma distributed (shape p, a rate of its own); rates are gamma distributed over
    customers (shape q, rate gamma). The amount must not depend on how often a customer orders.

    Args:
        orders: (n,) number of orders whose mean is given, at least 1.
        mean_amount: (n,) mean amount of an order, above 0, in money.

    Returns:
        Dict with p, q, gamma (in money).

    Raises:
        ValueError: If a row breaks these rules, or the search does not end.

    Source: Fader, P. S. & Hardie, B. G. S. (2013), The Gamma-Gamma Model of Monetary Value.

    Example:
        >>> sorted(fit_gamma_gamma([2, 3, 5, 2, 8], [10.0, 14.0, 30.0, 21.0, 16.0]))
        ['gamma', 'p', 'q']
    """
    x, amount = np.asarray(orders, dtype=float), np.asarray(mean_amount, dtype=float)
    if x.shape != amount.shape or not (x >= 1).all() or not (amount > 0).all():
        raise ValueError(f"orders go down to {x.min():g} and amounts to {amount.min():g}: expected as many of each, "
                         "orders of at least 1 and amounts above 0. Leave out customers without a paid order")
    unit = amount.mean()

    def loss(logs):
        p, q, gamma = np.exp(logs)
        m = amount / unit
        return -np.mean(q * np.log(gamma) - special.betaln(p * x, q) - np.log(m) + p * x * np.log(x * m)
                        - (p * x + q) * np.log(gamma + x * m))

    found = optimize.minimize(loss, np.ones(3), method="L-BFGS-B", bounds=[(-7, 7)] * 3)
    if not found.success:
        raise ValueError(f"the likelihood has no clear maximum ({found.message}): pass more customers")
    p, q, gamma = np.exp(found.x)
    return {"p": float(p), "q": float(q), "gamma": float(gamma * unit)}


def expected_amount(parameters, orders, mean_amount):
    """Mean amount of a customer's orders to come: between its own mean and that of all, by how much is known.

    Args:
        parameters: As from `fit_gamma_gamma`, with q above 1.
        orders, mean_amount: (n,) As there.

    Returns:
        float (n,), money.

    Raises:
        ValueError: If q is not above 1: the mean over customers is then infinite.

    Source: as `fit_gamma_gamma`.

    Example:
        >>> expected_amount({"p": 2.0, "q": 3.0, "gamma": 20.0}, [1, 9], [40.0, 40.0]).tolist()
        [30.0, 38.0]
    """
    p, q, gamma = (parameters[name] for name in ("p", "q", "gamma"))
    if q <= 1:
        raise ValueError(f"q is {q:.3g}, expected above 1: the mean amount is infinite. Cap the amounts, or use their "
                         "mean")
    x, amount = np.asarray(orders, dtype=float), np.asarray(mean_amount, dtype=float)
    return p * (gamma + x * amount) / (p * x + q - 1)


# Checks and small parts -------------------------------------------------------------------------------------


def _groups(treated, n):
    """The treatment as 0 and 1 (n,), both present."""
    values = np.asarray(treated)
    if values.shape != (n,):
        raise ValueError(f"treated has shape {values.shape}, expected ({n},): one value to each customer")
    found = np.unique(values)
    if not np.isin(found, (0, 1)).all():
        raise ValueError(f"treated holds {found[:4].tolist()}, expected 0 (control) and 1 (treated)")
    if len(found) < 2:
        group = "control" if found[0] else "treated"
        raise ValueError(f"treated is {int(found[0])} for all {n} customers: the {group} group is missing, and nothing "
                         "says what would have happened otherwise. Keep a random part of the customers out of the "
                         "campaign")
    return values.astype(int)


def _campaign(estimator, features, treated, outcome):
    """Features, treatment and outcome as arrays that fit together; both classes in both groups."""
    features = _numbers(features)
    treated = _groups(treated, len(features))
    outcome = _outcome(outcome, treated)
    if hasattr(estimator, "predict_proba"):
        _binary(outcome)
        for arm, name in ((0, "control"), (1, "treated")):
            seen = np.unique(outcome[treated == arm])
            if len(seen) < 2:
                raise ValueError(f"the {name} group has the single class {seen[0]:g} in outcome: a classifier "
                                 "needs both. Wait for more outcomes, or pass a regressor")
    return features, treated, outcome


def _outcome(outcome, treated):
    outcome = np.asarray(outcome, dtype=float)
    if outcome.shape != treated.shape:
        raise ValueError(f"outcome has shape {outcome.shape}, expected {treated.shape}: one value to each customer")
    return outcome


def _binary(outcome):
    wrong = np.flatnonzero(~np.isin(outcome, (0, 1)))
    if len(wrong):
        raise ValueError(f"outcome is {outcome[wrong[0]]:g} in row {wrong[0]}, expected 0 or 1")


def _numbers(features):
    features = np.asarray(features, dtype=float)
    if features.ndim != 2:
        raise ValueError(f"features have shape {features.shape}, expected (customers, features): a table")
    return features


def _propensity(propensity, treated):
    chance = np.broadcast_to(treated.mean() if propensity is None else propensity, treated.shape).astype(float)
    wrong = np.flatnonzero(~((chance > 0) & (chance < 1)))
    if len(wrong):
        raise ValueError(f"the propensity of row {wrong[0]} is {chance[wrong[0]]:g}, expected between 0 and 1, both "
                         "excluded: who is never (or always) treated has no counterpart. Leave such customers out, and "
                         "say that the answer does not hold for them")
    return chance


def _transformed(treated, outcome, propensity):
    chance = _propensity(propensity, treated)
    return outcome * (treated - chance) / (chance * (1 - chance))


def _models(estimator, features, treated, outcome):
    return [clone(estimator).fit(features[treated == arm], outcome[treated == arm]) for arm in (0, 1)]


def _predicted(model, features):
    return model.predict_proba(features)[:, 1] if hasattr(model, "predict_proba") else model.predict(features)


def _counts(outcome, treated, score):
    """How many customers, and by group how many buyers and customers, lie above each distinct score."""
    bought, score = np.asarray(outcome, dtype=float), np.asarray(score, dtype=float)
    treated = _groups(treated, len(bought))
    if score.shape != bought.shape or np.isnan(score).any():
        raise ValueError(f"score has shape {score.shape} or a missing value, expected {bought.shape} numbers")
    _binary(bought)
    if np.ptp(bought) == 0:
        raise ValueError(f"outcome is {bought[0]:g} for everybody, a single class: no order can be better than "
                         "another")
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    size = np.append(0, ends + 1)
    arms = [np.append(0, np.cumsum(treated[order] == arm)[ends]) for arm in (0, 1)]
    buyers = [np.append(0, np.cumsum(bought[order] * (treated[order] == arm))[ends]) for arm in (0, 1)]
    return size, buyers, arms


def _ratio(above, below):
    return np.divide(above, below, out=np.zeros(len(above)), where=np.asarray(below) != 0)


def _share_of_best(curve, outcome, treated, score, best):
    areas = []
    for order in (score, best):
        size, extra = curve(outcome, treated, order)
        areas.append(np.trapezoid(extra, size) - size[-1] * extra[-1] / 2)
    return float(areas[0] / areas[1])


def _histories(repeats, last, age):
    x, last, age = (np.asarray(values, dtype=float) for values in (repeats, last, age))
    if not x.shape == last.shape == age.shape:
        raise ValueError(f"repeats, last and age have shapes {x.shape}, {last.shape}, {age.shape}: expected one of "
                         "each for every customer")
    wrong = np.flatnonzero(~((x >= 0) & (x == np.floor(x)) & (0 <= last) & (last <= age) & (age > 0)
                             & ((x > 0) == (last > 0))))
    if len(wrong):
        row = wrong[0]
        raise ValueError(f"row {row} has repeats {x[row]:g}, last {last[row]:g}, age {age[row]:g}: expected whole "
                         "repeats of at least 0, 0 <= last <= age, and last above 0 exactly where there are repeats")
    return x, last, age
