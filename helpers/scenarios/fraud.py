"""Which logins and payments should a person look at?

    session_features     what is known of a session at each of its events, and nothing later
    fit_logistic         a detector: weights pulled toward 0, or toward those of another platform
    accumulate           evidence against an account, added up over its events
    build_autoencoder    a detector without labels, for sequences; `reconstruction_errors` are its scores
    alerts_at_capacity   the events that are looked at, so many a day
    expected_cost        what checks and missed fraud cost; `cheapest_threshold` chooses where to cut
    detection_delay      how long an account is abused before its first alert

Scores are higher for more suspicious events. Labels are 1 (or True) for fraud.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize


class Threshold(NamedTuple):
    """A threshold, what it costs, and how many alerts it raises.

    Attributes:
        threshold: Events that score at least this are checked; infinity to check none.
        cost: Total cost on the events it was chosen on.
        alerts: Number of checks there.
    """

    threshold: float
    cost: float
    alerts: int


def session_features(events, *, session_id="session_id", user_id="user_id", timestamp="timestamp",
                     event_type="event_type", device="device", night=(0, 6)):
    """Describe every event by its session so far; nothing after the event is used.

    Args:
        events: DataFrame (n rows) in any order. Events of the same time count in the order of their rows.
        session_id, user_id, timestamp, event_type, device: Names of columns; device may be None.
        night: (first hour, first hour after) that count as night, in the hours of `timestamp`.

    Returns:
        DataFrame (n rows, index and order of `events`), floats: events (so far, this one included), count_<type>
        for each event type, seconds_since_previous (0 at the start), seconds_since_start, night (0 or 1) and,
        unless device is None, new_device: 1 where the user was seen before, and never with this device.

    Raises:
        KeyError: If a column is missing.
        ValueError: If there are no rows, or a session, user or time is missing in a row.

    Example:
        >>> log = pd.DataFrame({"session_id": 1, "user_id": "u", "event_type": ["login", "view", "payment"],
        ...     "timestamp": pd.to_datetime(["2026-03-01 03:00:00", "2026-03-01 03:00:20", "2026-03-01 03:00:25"])})
        >>> session_features(log, device=None)[["events", "seconds_since_previous", "night"]].to_numpy().tolist()
        [[1.0, 0.0, 1.0], [2.0, 20.0, 1.0], [3.0, 5.0, 1.0]]
    """
    _check_log(events, [session_id, user_id, timestamp, event_type] + ([device] if device else []), event_type, device)
    order = np.argsort(events[timestamp].to_numpy(), kind="stable")
    log = events.iloc[order].reset_index(drop=True)
    sessions, times = log.groupby(session_id, sort=False), log[timestamp]
    features = {"events": sessions.cumcount() + 1}
    for kind in sorted(log[event_type].dropna().unique()):
        features[f"count_{kind}"] = (log[event_type] == kind).groupby(log[session_id], sort=False).cumsum()
    features["seconds_since_previous"] = sessions[timestamp].diff().dt.total_seconds().fillna(0)
    features["seconds_since_start"] = (times - sessions[timestamp].transform("first")).dt.total_seconds()
    features["night"] = (times.dt.hour >= night[0]) & (times.dt.hour < night[1])
    if device:
        known = log.groupby(user_id, sort=False).cumcount() > 0
        features["new_device"] = known & ~log.duplicated([user_id, device])
    table = pd.DataFrame(features).astype(float)
    table.index = events.index[order]
    return table.iloc[np.argsort(order, kind="stable")]


def _check_log(events, columns, event_type, device):
    missing = [name for name in columns if name not in events]
    if missing:
        raise KeyError(f"the log lacks the columns {missing}; found {list(events.columns)}: rename them, or pass the "
                       "names as arguments")
    if events.empty:
        raise ValueError("the log has no rows: expected at least one event")
    for name in columns:
        holes = np.flatnonzero(events[name].isna())
        if name not in (event_type, device) and holes.size:
            raise ValueError(f"column {name!r} is missing in {holes.size} rows (first: row {holes[0]}): clean the log "
                             "first")


def fit_logistic(features, labels, prior=None, strength=1.0):
    """Fit a logistic regression whose weights are pulled toward 0, or toward those of another platform.

    It minimizes  sum of log losses + strength / 2 * |w - prior|^2. With a prior of None the weights are pulled
    toward 0 and the intercept is free; with a prior the intercept is pulled as well. Few labels leave the weights
    near the prior, many take them where the data are.

    Args:
        features: Floats (n, k), of similar scale: one strength serves all.
        labels: (n,) 0 or 1; both must occur, unless there is a prior.
        prior: Floats (k + 1,), intercept first, as this function returns them; or None.
        strength: How much the pull weighs, above 0.

    Returns:
        Weights (k + 1,), intercept first. `w[0] + features @ w[1:]` is the log-odds of fraud.

    Raises:
        ValueError: If shapes do not fit, a number is missing, labels are other than 0 and 1 or of one class without a
            prior, or strength is not positive.

    Source: a Gaussian prior with the source's weights as its mean, as in Chelba, C. & Acero, A. (2004), Adaptation
    of maximum entropy capitalizer: little data can help a lot, EMNLP.

    Example:
        >>> distance = np.array([[0.0], [0.5], [1.0], [3.0], [3.5], [4.0]])
        >>> web = fit_logistic(distance, [0, 0, 0, 1, 1, 1])
        >>> app = fit_logistic([[2.0]], [0], prior=web, strength=1.0)
        >>> bool(web[1] > 0), bool(app[0] + 2 * app[1] < web[0] + 2 * web[1])
        (True, True)
    """
    x, y = np.asarray(features, dtype=float), _labels(labels)
    if x.ndim != 2 or len(x) != len(y) or not np.isfinite(x).all():
        raise ValueError(f"features have shape {x.shape}, or a value is missing: expected finite numbers "
                         f"({len(y)}, k), one row a label")
    if not strength > 0:
        raise ValueError(f"strength is {strength}, expected a number above 0")
    if prior is None:
        _both_classes(y)
    x = np.column_stack([np.ones(len(x)), x])
    goal = np.zeros(x.shape[1]) if prior is None else np.asarray(prior, dtype=float)
    if goal.shape != (x.shape[1],):
        raise ValueError(f"prior has shape {goal.shape}, expected ({x.shape[1]},): the intercept, then one weight for "
                         "each feature")
    pull = np.full(x.shape[1], float(strength))
    pull[0] = 0 if prior is None else strength

    def loss(w):
        z, d = x @ w, w - goal
        value = np.logaddexp(0, z).sum() - y @ z + pull @ d**2 / 2
        return value, x.T @ (_sigmoid(z) - y) + pull * d

    start = goal.copy()
    if prior is None:
        start[0] = np.log(y.mean() / (1 - y.mean()))
    return minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-6 * max(len(y), 1)}).x


def _sigmoid(z):
    return 0.5 * (1 + np.tanh(z / 2))


def accumulate(log_ratios, accounts):
    """Add up the evidence against each account, and forget evidence in its favor below zero (CUSUM).

    After each event the account's sum is  max(0, sum so far + log_ratio).

    Args:
        log_ratios: Floats (n,), log p(event | fraud) - log p(event | legitimate), or a model's estimate; rows in
            order of time.
        accounts: (n,) the account of each event.

    Returns:
        Floats (n,), the account's sum after the event.

    Raises:
        ValueError: If there are no events, shapes differ or a number is missing.

    Source: Page, E. S. (1954), Continuous inspection schemes, Biometrika 41.

    Example:
        >>> accumulate([1.0, -3.0, 2.0, 2.0], ["a", "b", "a", "b"]).tolist()
        [1.0, 0.0, 3.0, 2.0]
    """
    ratios, names = _numbers(log_ratios, "log_ratios"), _column(accounts, "accounts")
    _same_length(log_ratios=ratios, accounts=names)
    sums, after = {}, np.empty(len(ratios))
    for row, (name, ratio) in enumerate(zip(names, ratios, strict=True)):
        after[row] = sums[name] = max(0.0, sums.get(name, 0.0) + ratio)
    return after


def alerts_at_capacity(scores, days, capacity):
    """Alert the most suspicious events of each day, as many as can be looked at.

    Args:
        scores: Floats (n,).
        days: (n,) the day of each event: dates, numbers or names.
        capacity: Alerts a day, at least 1. A day with fewer events alerts all of them. Of equal scores the first
            row is taken.

    Returns:
        Bool (n,).

    Raises:
        ValueError: If there are no events, shapes differ, a number is missing, capacity is no whole number from 1, or
            every day has so few events that nothing is chosen.

    Example:
        >>> alerts_at_capacity([0.1, 0.9, 0.5, 0.2], ["Mon", "Mon", "Mon", "Tue"], capacity=1).tolist()
        [False, True, False, True]
    """
    scores, days = _numbers(scores, "scores"), _column(days, "days")
    _same_length(scores=scores, days=days)
    if capacity != int(capacity) or capacity < 1:
        raise ValueError(f"capacity is {capacity}, expected a whole number of alerts a day, at least 1")
    numbers = pd.factorize(days)[0]
    busiest = np.bincount(numbers).max()
    if capacity >= busiest:
        raise ValueError(f"capacity is {capacity}, but the busiest day has {busiest} events: everything would be looked "
                         "at and nothing chosen. Lower the capacity")
    order = np.lexsort((np.arange(len(scores)), -scores, numbers))
    place = pd.Series(numbers[order]).groupby(numbers[order]).cumcount().to_numpy()
    alerts = np.zeros(len(scores), dtype=bool)
    alerts[order] = place < capacity
    return alerts


def expected_cost(labels, alerts, check, miss):
    """Cost of looking at the alerts, and of the fraud that was not looked at.

    Every alert costs `check`, true or false; a fraud that is checked is stopped, and costs nothing more.

    Args:
        labels: (n,) 0 or 1.
        alerts: (n,) bool.
        check: Cost of one check, not negative.
        miss: Cost of one missed fraud, not negative, in the same unit.

    Returns:
        Float, in the unit of the costs.

    Raises:
        ValueError: If a cost is negative, there are no events, shapes differ, or labels or alerts are not 0 or 1.

    Source: Elkan, C. (2001), The foundations of cost-sensitive learning, IJCAI.

    Example:
        >>> expected_cost([0, 0, 1, 1], [True, False, True, False], check=4, miss=80)
        88.0
    """
    labels, alerts = _labels(labels), _labels(alerts, "alerts").astype(bool)
    _same_length(labels=labels, alerts=alerts)
    _check_costs(check, miss)
    return float(check * alerts.sum() + miss * labels[~alerts].sum())


def cheapest_threshold(labels, scores, check, miss):
    """Find the threshold of the scores with the lowest cost on events whose labels are known.

    Args:
        labels: (n,) 0 or 1, both present.
        scores: Floats (n,), of any scale.
        check, miss: As in `expected_cost`.

    Returns:
        `Threshold`; of equal costs the one with the fewest alerts.

    Raises:
        ValueError: As `expected_cost`; also if labels are of one class.

    Example:
        >>> cheapest_threshold([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], check=4, miss=80)
        Threshold(threshold=0.4, cost=12.0, alerts=3)
    """
    labels, scores = _both_classes(_labels(labels)), _numbers(scores, "scores")
    _same_length(labels=labels, scores=scores)
    _check_costs(check, miss)
    order = np.argsort(-scores, kind="stable")
    caught, ordered = np.cumsum(labels[order]), scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # ties are alerted together
    alerts = np.append(0, ends + 1)
    costs = check * alerts + miss * (caught[-1] - np.append(0, caught[ends]))
    best = int(np.argmin(costs))
    return Threshold(float(np.append(np.inf, ordered[ends])[best]), float(costs[best]), int(alerts[best]))


def detection_delay(accounts, times, labels, alerts):
    """Measure how long each account was abused before its first true alert.

    Args:
        accounts: (n,) the account of each event.
        times: (n,) when it happened: datetimes, or numbers such as days.
        labels: (n,) 0 or 1.
        alerts: (n,) bool; only alerts on fraudulent events count.

    Returns:
        Series indexed by the accounts with fraud, sorted: time of the first alerted fraud minus time of the first
        fraud; missing (NaN or NaT) where no fraud of the account was alerted. Summarize with the missing in
        view: the mean of the others alone rewards a detector that misses the hard ones.

    Raises:
        ValueError: If there are no events, shapes differ, there is no fraud, or there is no alert.

    Example:
        >>> detection_delay(["a", "a", "a", "b"], [1.0, 2.0, 5.0, 3.0], [0, 1, 1, 1], [1, 0, 1, 0]).to_dict()
        {'a': 3.0, 'b': nan}
    """
    names, times = _column(accounts, "accounts"), _column(times, "times")
    labels, alerts = _labels(labels).astype(bool), _labels(alerts, "alerts").astype(bool)
    _same_length(accounts=names, times=times, labels=labels, alerts=alerts)
    if not labels.any():
        raise ValueError("labels hold no fraud: there is no delay to measure")
    if not alerts.any():
        raise ValueError("alerts are all False: nothing is ever detected. Lower the threshold or raise the capacity")
    table = pd.DataFrame({"account": names, "time": times})
    first = table[labels].groupby("account")["time"].min()
    return (table[labels & alerts].groupby("account")["time"].min().reindex(first.index) - first).rename("delay")


def build_autoencoder(n_tokens, length, embedding=8, units=16, learning_rate=0.01, seed=0):
    """Build an LSTM autoencoder: one LSTM reads a sequence into `units` numbers, another writes it out of them.

    Train it on `fit(sequences, sequences)`. What it has seen rarely it writes badly.

    Args:
        n_tokens: Number of distinct tokens, 1 to n_tokens; 0 is padding, on the right.
        length: Length of every sequence, padding included.
        embedding, units: Sizes; a smaller `units` lets less through.
        learning_rate: Of Adam.
        seed: Seed of the weights.

    Returns:
        Compiled `keras.Model` from int (n, length) to probabilities (n, length, n_tokens + 1).

    Raises:
        ValueError: If a size is below 1.

    Source: Malhotra, P. et al. (2016), LSTM-based encoder-decoder for multi-sensor anomaly detection, arXiv
    1607.00148; here with tokens for sensors and without feeding the output back.

    Example:
        >>> build_autoencoder(n_tokens=5, length=12).output_shape
        (None, 12, 6)
    """
    sizes = {"n_tokens": n_tokens, "length": length, "embedding": embedding, "units": units}
    wrong = {name: size for name, size in sizes.items() if size < 1}
    if wrong:
        raise ValueError(f"sizes must be at least 1; found {wrong}")
    import keras  # here, so that the rest of the file works without it

    start = (keras.initializers.GlorotUniform(seed=seed * 10 + number) for number in range(9))
    layers, inputs = keras.layers, keras.Input((length,), dtype="int32")
    x = layers.Embedding(n_tokens + 1, embedding, embeddings_initializer=next(start))(inputs)
    x = layers.LSTM(units, kernel_initializer=next(start), recurrent_initializer=next(start), name="encoder")(x)
    x = layers.RepeatVector(length)(x)
    x = layers.LSTM(units, return_sequences=True, kernel_initializer=next(start),
                    recurrent_initializer=next(start), name="decoder")(x)
    model = keras.Model(inputs, layers.Dense(n_tokens + 1, "softmax", kernel_initializer=next(start))(x))
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(ignore_class=0))
    return model


def reconstruction_errors(probabilities, sequences):
    """Score sequences by how badly they were written: mean of -log(probability of the true token).

    Args:
        probabilities: Floats (n, length, tokens + 1), what the autoencoder returns.
        sequences: Int (n, length), 0 for padding, which does not count.

    Returns:
        Floats (n,), in nats a token.

    Raises:
        ValueError: If shapes do not fit, or a sequence is nothing but padding.

    Example:
        >>> reconstruction_errors([[[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]], [[1, 0]]).round(3).tolist()
        [0.693]
    """
    probabilities, sequences = np.asarray(probabilities), np.asarray(sequences)
    if probabilities.ndim != 3 or probabilities.shape[:2] != sequences.shape:
        raise ValueError(f"probabilities have shape {probabilities.shape} and sequences {sequences.shape}: expected "
                         "(n, length, tokens + 1) and (n, length)")
    counts = (sequences > 0).sum(axis=1)
    if (counts == 0).any():
        raise ValueError(f"sequence {int(np.argmin(counts))} is nothing but padding: leave it out")
    own = np.take_along_axis(probabilities, sequences[..., None], axis=2)[..., 0]
    return np.where(sequences > 0, -np.log(np.maximum(own, 1e-7)), 0).sum(axis=1) / counts


def _column(values, name):
    values = np.asarray(values)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name} have shape {values.shape}: expected one value for each event, and at least one")
    if pd.isna(values).any():
        raise ValueError(f"{name} are missing in row {int(np.argmax(pd.isna(values)))}: expected a value in every row")
    return values


def _numbers(values, name):
    return _column(values, name).astype(float)


def _labels(values, name="labels"):
    values = _numbers(values, name)
    if not np.isin(values, (0, 1)).all():
        odd = values[~np.isin(values, (0, 1))][0]
        raise ValueError(f"{name} hold {odd:g}: expected 0 or 1 (False or True) only")
    return values


def _both_classes(labels):
    if labels.min() == labels.max():
        raise ValueError(f"all {len(labels)} labels are {labels[0]:g}: expected fraud (1) and legitimate events (0). Take "
                         "more labels, or a detector without labels")
    return labels


def _same_length(**columns):
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"lengths differ: {lengths}; expected one value for each event in all of them")


def _check_costs(check, miss):
    for name, cost in (("check", check), ("miss", miss)):
        if not 0 <= cost < np.inf:
            raise ValueError(f"{name} is {cost}, expected a finite cost that is not negative")
