"""What happens to a clean event log: dirt, fraud and a campaign, each with the truth beside it.

All three are generative models, stated in full in their docstrings, so that an answer can be compared with
the truth row by row. They take a seed, return new tables and leave their arguments alone.
"""

import numpy as np
import pandas as pd

NEEDS_ITEM = ("view", "add_to_cart", "purchase")

LEGITIMATE = {
    "distance_km": (1.0, 1.0),
    "new_device": 0.05,
    "failed_attempts": 0.2,
    "amount_multiple": (0.0, 0.5),
}
FRAUDULENT = {
    "distance_km": (3.0, 1.5),
    "new_device": 0.40,
    "failed_attempts": 1.0,
    "amount_multiple": (0.6, 0.8),
}
ATTRIBUTES = {
    "login": ("distance_km", "new_device", "failed_attempts"),
    "payment": ("distance_km", "new_device", "amount_multiple"),
}


def add_dirt(
    events,
    seed,
    duplicates=0.01,
    bots=2,
    clock_skew=0.005,
    missing_ids=0.005,
    impossible_prices=0.005,
    bot_events=1500,
):
    """Soil a clean log; no row gets two kinds of dirt.

    With n rows, disjoint sets of rows are drawn without replacement, each of `round(share * n)` rows:
    **duplicates** are sent twice, the copy equal in every column; **clock skew** dates half of its rows
    back to 1970 (a clock that was reset: the time since the log's first event counts from 1970-01-01) and
    half 20 years ahead; **missing ids** loses the user in half of its rows and the item in the other half,
    there only among rows whose event needs an item; **impossible prices** turns the price p into -p - 0.01,
    only in rows that have one. **Bots** are new users: each views `bot_events` items, drawn uniformly from
    the log's viewed rows, at times uniform over one UTC day of the log, in a session of its own.

    Args:
        events: clean log (n rows) with user_id, platform, timestamp (datetime64[ms, UTC]), event_type,
            item_id; session_id and price are used if they are there.
        seed: seed of the draw.
        duplicates, clock_skew, missing_ids, impossible_prices: shares of the n rows, 0 to 1 together.
        bots: number of bots.
        bot_events: events of each bot.

    Returns:
        The dirty log in the order of arrival (true time), rows numbered anew; and the truth, one row for
        each of its rows: `source` (row number in `events`, -1 for bots) and `dirt`: "clean", "duplicate",
        "clock skew", "missing user", "missing item", "impossible price" or "bot".

    Raises:
        ValueError: if a share is outside 0 to 1, or there are too few rows to soil.

    Example:
        >>> times = pd.date_range("2026-03-01", periods=100, freq="min", tz="UTC", unit="ms")
        >>> log = pd.DataFrame({"user_id": 7, "platform": "web", "timestamp": times, "event_type": "view",
        ...                     "item_id": 31, "price": 5.0})
        >>> dirty, truth = add_dirt(log, seed=1, duplicates=0.03, bots=1, bot_events=20)
        >>> truth["dirt"].value_counts()[["clean", "bot", "duplicate"]].tolist()
        [100, 20, 3]
    """
    shares = {"duplicates": duplicates, "clock_skew": clock_skew, "missing_ids": missing_ids,
              "impossible_prices": impossible_prices}  # fmt: skip
    rng = np.random.default_rng([seed, 1])
    chosen = _disjoint_rows(events, shares, rng)
    log = _soil(events.reset_index(drop=True), chosen)
    dirt = np.full(len(log), "clean", dtype=object)
    for kind in ("clock skew", "missing user", "missing item", "impossible price"):
        dirt[chosen[kind]] = kind
    parts = [
        log.assign(source=np.arange(len(log)), dirt=dirt, arrival=events["timestamp"].to_numpy()),
        *_copies(log, chosen["duplicate"]),
        *_bots(events, bots, bot_events, rng),
    ]
    dirty = pd.concat(parts).sort_values("arrival", kind="stable", ignore_index=True)
    return dirty[events.columns], dirty[["source", "dirt"]]


def add_fraud(events, share, seed, legitimate=LEGITIMATE, fraudulent=FRAUDULENT):
    """Let some logins and payments be fraudulent, with a known likelihood ratio for each.

    Each login and each payment is fraudulent with probability `share`, independently. Given that, its
    attributes are independent: `distance_km` from the usual place is log-normal (mu, sigma of its
    logarithm), `new_device` Bernoulli (probability), `failed_attempts` of a login Poisson (mean),
    `amount_multiple` of a payment (the amount over the user's usual one) log-normal (mu, sigma).

    The log-likelihood ratio is the sum over the event's attributes of log p(x | fraud) - log p(x |
    legitimate), so that, x given, P(fraud) = share * LR / (share * LR + 1 - share) exactly.

    Args:
        events: log with a column event_type and a unique index.
        share: probability of fraud, between 0 and 1.
        seed: seed of the draw.
        legitimate, fraudulent: parameters of the attributes, as in LEGITIMATE and FRAUDULENT.

    Returns:
        The log with the four columns, missing where an event has no such attribute; and the truth, indexed
        like the logins and payments: `is_fraud` (bool), `log_likelihood_ratio` (float, natural logarithm).

    Raises:
        ValueError: if `share` is not between 0 and 1, or the log has neither logins nor payments.

    Example:
        >>> log = pd.DataFrame({"event_type": ["login", "view", "payment"]})
        >>> marked, truth = add_fraud(log, share=0.5, seed=3)
        >>> truth.index.tolist(), marked["failed_attempts"].notna().tolist()
        ([0, 2], [True, False, False])
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}, expected a probability between 0 and 1, both excluded")
    checked = events["event_type"].isin(ATTRIBUTES).to_numpy()
    if not checked.any():
        raise ValueError("column 'event_type' holds no 'login' and no 'payment': there is nothing to defraud")
    rng = np.random.default_rng([seed, 2])
    kind = events.loc[checked, "event_type"].to_numpy()
    is_fraud = rng.random(len(kind)) < share
    ratio, marked = np.zeros(len(kind)), events.copy()
    for name in legitimate:
        has = np.isin(kind, [event for event, names in ATTRIBUTES.items() if name in names])
        values = np.where(is_fraud, _draw(name, fraudulent[name], len(kind), rng),
                          _draw(name, legitimate[name], len(kind), rng))  # fmt: skip
        ratio += np.where(has, log_ratio(name, values, fraudulent[name], legitimate[name]), 0)
        marked.loc[checked, name] = np.where(has, values, np.nan)
    return marked, pd.DataFrame(
        {"is_fraud": is_fraud, "log_likelihood_ratio": ratio}, index=events.index[checked]
    )


def log_ratio(name, values, fraudulent, legitimate):
    """Log-likelihood ratio of one attribute of `add_fraud`.

    Args:
        name: a key of LEGITIMATE.
        values: the attribute's values (n,).
        fraudulent, legitimate: its parameters under the two densities.

    Returns:
        log p(values | fraudulent) - log p(values | legitimate), float (n,).

    Example:
        >>> log_ratio("new_device", [1.0, 0.0], 0.6, 0.3).round(3).tolist()
        [0.693, -0.56]
    """
    values = np.asarray(values, dtype=float)
    if name == "new_device":
        return np.where(
            values == 1, np.log(fraudulent / legitimate), np.log((1 - fraudulent) / (1 - legitimate))
        )
    if name == "failed_attempts":
        return values * np.log(fraudulent / legitimate) - (fraudulent - legitimate)
    (mu1, sigma1), (mu0, sigma0), logs = fraudulent, legitimate, np.log(values)
    return ((logs - mu0) / sigma0) ** 2 / 2 - ((logs - mu1) / sigma1) ** 2 / 2 + np.log(sigma0 / sigma1)


def draw_customers(users, seed):
    """Give users the features on which `campaign_response` depends.

    Independently: `recency_days` since the last order, exponential with mean 30; `orders` in the last year,
    Poisson with mean 4; `mobile_share` of visits on the app, Beta(2, 2).

    Args:
        users: DataFrame with user_id (n rows).
        seed: seed of the draw.

    Returns:
        `users` with the three columns.

    Example:
        >>> draw_customers(pd.DataFrame({"user_id": ["a", "b"]}), seed=1).shape
        (2, 4)
    """
    rng = np.random.default_rng([seed, 3])
    return users.assign(
        recency_days=rng.exponential(30, len(users)),
        orders=rng.poisson(4, len(users)),
        mobile_share=rng.beta(2, 2, len(users)),
    )


def campaign_response(users):
    """Probability of buying without and with the campaign, given the features of `draw_customers`.

    The log-odds without it are -1.5 - 0.02 * recency_days + 0.25 * orders; the campaign adds
    1.6 * mobile_share - 0.15 * orders: it moves rare buyers with the app and annoys regulars without it.

    Returns:
        Two float arrays (n,).

    Example:
        >>> user = pd.DataFrame({"recency_days": [0.0], "orders": [8], "mobile_share": [0.75]})
        >>> [p.round(2).tolist() for p in campaign_response(user)]
        [[0.62], [0.62]]
    """
    log_odds = -1.5 - 0.02 * users["recency_days"].to_numpy() + 0.25 * users["orders"].to_numpy()
    added = 1.6 * users["mobile_share"].to_numpy() - 0.15 * users["orders"].to_numpy()
    return _sigmoid(log_odds), _sigmoid(log_odds + added)


def run_campaign(users, seed, treated=0.5, response=campaign_response):
    """Run a randomized campaign whose effect on each user is known.

    Each user is treated with probability `treated`, independently of everything. A uniform number u of the
    user decides both outcomes: it buys without the campaign if u < p_without, with it if u < p_with; only
    the outcome of its own arm is observed.

    Args:
        users: DataFrame (n rows) with the features that `response` reads.
        seed: seed of the draw.
        treated: probability of being treated, between 0 and 1.
        response: function of `users` to (p_without, p_with), each (n,) in 0 to 1.

    Returns:
        `users` with `treated` and `bought` (bool), what a shop sees; and the truth, indexed alike: p_without,
        p_with, effect (their difference), bought_without, bought_with.

    Raises:
        ValueError: if `treated` is not between 0 and 1, or a probability is outside 0 to 1.

    Source: potential outcomes as in D. B. Rubin (1974), Journal of Educational Psychology 66(5).

    Example:
        >>> users = draw_customers(pd.DataFrame({"user_id": range(1000)}), seed=1)
        >>> campaign, truth = run_campaign(users, seed=1)
        >>> list(campaign.columns[-2:]), bool((truth["effect"] < 0).any())
        (['treated', 'bought'], True)
    """
    if not 0 < treated < 1:
        raise ValueError(f"treated is {treated}, expected a probability between 0 and 1, both excluded")
    without, with_it = (np.asarray(p, dtype=float) for p in response(users))
    for name, p in (("without", without), ("with", with_it)):
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError(f"response gave p_{name} from {p.min():.3g} to {p.max():.3g}, expected 0 to 1")
    rng = np.random.default_rng([seed, 4])
    luck, arm = rng.random(len(users)), rng.random(len(users)) < treated
    outcomes = {"bought_without": luck < without, "bought_with": luck < with_it}
    bought = np.where(arm, outcomes["bought_with"], outcomes["bought_without"])
    truth = {"p_without": without, "p_with": with_it, "effect": with_it - without, **outcomes}
    return users.assign(treated=arm, bought=bought), pd.DataFrame(truth, index=users.index)


def _disjoint_rows(events, shares, rng):
    """Row numbers for each kind of dirt; none occurs twice."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}, expected a share from 0 to 1")
    counts = {name: round(share * len(events)) for name, share in shares.items()}
    skew, users = counts["clock_skew"], counts["missing_ids"] // 2
    has_item = (events["event_type"].isin(NEEDS_ITEM) & events["item_id"].notna()).to_numpy()
    has_price = events["price"].notna().to_numpy() if "price" in events else np.zeros(len(events), dtype=bool)
    everywhere = np.ones(len(events), dtype=bool)
    wanted = {  # the choosiest kinds first
        "impossible price": (counts["impossible_prices"] if "price" in events else 0, has_price),
        "missing item": (counts["missing_ids"] - users, has_item),
        "missing user": (users, everywhere),
        "clock skew": (skew, everywhere),
        "duplicate": (counts["duplicates"], everywhere),
    }
    free, chosen = everywhere.copy(), {}
    for kind, (count, suited) in wanted.items():
        rows = np.flatnonzero(free & suited)
        if count > len(rows):
            raise ValueError(
                f"{count} rows wanted for {kind!r}, but only {len(rows)} are left: lower the shares"
            )
        chosen[kind] = rng.choice(rows, size=count, replace=False)
        free[chosen[kind]] = False
    return chosen


def _soil(log, chosen):
    """Apply all dirt that changes a row in place."""
    back, ahead = np.array_split(chosen["clock skew"], 2)
    times = log["timestamp"].copy()
    times.iloc[back] = pd.Timestamp(0, tz="UTC") + (times.iloc[back] - log["timestamp"].min())
    times.iloc[ahead] = times.iloc[ahead] + pd.DateOffset(years=20)
    log = log.assign(timestamp=times.astype("datetime64[ms, UTC]"))
    for column, kind in (("user_id", "missing user"), ("item_id", "missing item")):
        lost = np.isin(np.arange(len(log)), chosen[kind])
        whole = pd.api.types.is_integer_dtype(log[column]) and lost.any()
        log[column] = (log[column].astype("Int64") if whole else log[column]).mask(lost)
    if len(chosen["impossible price"]):
        wrong = np.isin(np.arange(len(log)), chosen["impossible price"])
        log["price"] = log["price"].where(~wrong, -log["price"] - 0.01)
    return log


def _copies(log, rows):
    copied = log.iloc[rows]
    return (
        [copied.assign(source=rows, dirt="duplicate", arrival=copied["timestamp"].to_numpy())]
        if len(rows)
        else []
    )


def _bots(events, bots, bot_events, rng):
    """One table for each bot, its rows drawn from the log's views."""
    views = events[events["event_type"] == "view"]
    if bots and views.empty:
        raise ValueError("column 'event_type' holds no 'view' that a bot could repeat: set bots=0")
    tables = []
    for number in range(bots):
        rows = views.iloc[rng.integers(len(views), size=bot_events)]
        day = rows["timestamp"].iloc[0].floor("D")
        times = day + pd.to_timedelta(np.sort(rng.integers(86_400_000, size=bot_events)), unit="ms")
        new = {"user_id": _new_id(events["user_id"], "bot", number), "timestamp": times.as_unit("ms")}
        if "session_id" in events:
            new["session_id"] = _new_id(events["session_id"], "bot-session", number)
        tables.append(rows.assign(**new, source=-1, dirt="bot", arrival=times.as_unit("ms").to_numpy()))
    return tables


def _new_id(column, prefix, number):
    return column.max() + 1 + number if pd.api.types.is_integer_dtype(column) else f"{prefix}-{number}"


def _draw(name, parameters, count, rng):
    if name == "new_device":
        return (rng.random(count) < parameters).astype(float)
    if name == "failed_attempts":
        return rng.poisson(parameters, count).astype(float)
    return rng.lognormal(*parameters, count)


def _sigmoid(log_odds):
    return 1 / (1 + np.exp(-log_odds))
