"""Numbers that describe every event: price, pauses, time of day and week, device.

There is one row per event, so that the same gather as for the items lines them up with the windows:
`take(features, rows)` has the shape (windows, length, features).
"""

import json
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class FeatureScaler:
    """What was learnt from the training events; plain numbers.

    Attributes:
        price, gap, recency: (mean, standard deviation) of log(1 + price), of log(1 + seconds since the
            session's previous event), and of log(1 + seconds since the user's previous session).
        devices: tuple of the devices seen in training.
    """

    price: tuple = (0.0, 1.0)
    gap: tuple = (0.0, 1.0)
    recency: tuple = (0.0, 1.0)
    devices: tuple = ()

    def to_json(self):
        """The scaler as a JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text):
        """The scaler that `to_json` wrote.

        Raises:
            ValueError: the text is no such scaler.
        """
        try:
            return cls(**{name: tuple(values) for name, values in json.loads(text).items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"no feature scaler ({error}): expected the text that to_json wrote") from error


def fit_features(train_events, session_ids, *, user_id="user_id", timestamp="timestamp", price="price",
                 device="device"):
    """Learn scales and devices from the training events.

    Args:
        train_events: DataFrame (n rows), sorted by user and time; price and device are optional.
        session_ids: int array (n,).
        user_id, timestamp, price, device: names of the columns.

    Returns:
        FeatureScaler; where training holds no number to learn from, the mean is 0 and the deviation 1.

    Raises:
        ValueError: as in `extract_features`.

    Example:
        >>> times = pd.to_datetime(["2026-03-01 10:00", "2026-03-01 10:05"], utc=True)
        >>> log = pd.DataFrame({"user_id": 7, "timestamp": times, "device": ["phone", "tablet"]})
        >>> fit_features(log, [0, 0]).devices
        ('phone', 'tablet')
    """
    gaps, recency = _pauses(train_events, session_ids, user_id, timestamp)
    devices = train_events[device].dropna().unique() if device in train_events else ()
    return FeatureScaler(price=_scale(_log(_prices(train_events, price))), gap=_scale(_log(gaps)),
                         recency=_scale(_log(recency)), devices=tuple(sorted(map(str, devices))))


def extract_features(events, scaler, session_ids, *, timezone="UTC", user_id="user_id", timestamp="timestamp",
                     price="price", device="device"):
    """Describe every event by numbers that are known when it happens.

    Args:
        events: DataFrame (n rows), sorted by user and time; without a price all prices are missing, without a
            device all devices are "other".
        scaler: FeatureScaler from `fit_features`.
        session_ids: int array (n,), aligned with the rows.
        timezone: where hour and weekday are read, e.g. "Europe/Paris".
        user_id, timestamp, price, device: names of the columns.

    Returns:
        float32 array (n, F) without missing values, and the list of the F names: price, gap and recency are
        scaled logarithms, 0 where missing, each with a flag (price_missing, first_event, first_session); hour
        and weekday are points on a circle; devices are one-hot, the last for those that training did not see.

    Raises:
        KeyError: the user or the time is missing.
        ValueError: `session_ids` is not of length n, or the rows of a session are not in order of time.

    Example:
        >>> times = pd.to_datetime(["2026-03-01 06:00", "2026-03-01 06:05"], utc=True)
        >>> log = pd.DataFrame({"user_id": 7, "timestamp": times})
        >>> features, names = extract_features(log, FeatureScaler(), [0, 0])
        >>> names[:4], features[:, names.index("hour_sin")].round(2).tolist()
        (['price', 'price_missing', 'gap', 'first_event'], [1.0, 1.0])
    """
    gaps, recency = _pauses(events, session_ids, user_id, timestamp)
    columns = (_scaled("price", "price_missing", _prices(events, price), scaler.price)
               | _scaled("gap", "first_event", gaps, scaler.gap)
               | _scaled("recency", "first_session", recency, scaler.recency)
               | _clock(events[timestamp], timezone)
               | _one_hot(events.get(device), len(events), scaler.devices))
    features = np.empty((len(events), len(columns)), "float32")
    for number, values in enumerate(columns.values()):
        features[:, number] = values
    return features, list(columns)


def _prices(events, price):
    if price not in events:
        return np.full(len(events), np.nan)
    return events[price].to_numpy("float64", na_value=np.nan)


def _pauses(events, session_ids, user_id, timestamp):
    """Seconds since the session's previous event and since the user's previous session, NaN if none."""
    missing = [name for name in (user_id, timestamp) if name not in events]
    if missing:
        found = ", ".join(map(str, events.columns))
        raise KeyError(f"no column {missing[0]!r} in the event log: found {found}")
    ids, n = np.asarray(session_ids), len(events)
    if ids.shape != (n,):
        raise ValueError(f"session_ids: found shape {ids.shape}, expected ({n},), one number per event")
    order = np.argsort(ids, kind="stable")  # linear where sessions are in order
    seconds = events[timestamp].to_numpy("datetime64[ms]").view("int64")[order] / 1000
    first = np.concatenate([[True], np.diff(ids[order]) != 0])[:n]
    pauses = np.diff(seconds, prepend=np.nan)
    if (pauses[~first] < 0).any():
        raise ValueError("a session is not in order of time: sort the log by user and time, for example with "
                         "clean_events")
    users = pd.factorize(events[user_id])[0][order]
    same_user = np.concatenate([[False], users[1:] == users[:-1]])[:n]
    recency = np.where(same_user, pauses, np.nan)[first].clip(0)  # sessions side by side: no pause
    gaps = np.where(first, np.nan, pauses)
    recency = np.repeat(recency, np.diff(np.append(np.flatnonzero(first), n)))
    back = np.empty(n, "int64")
    back[order] = np.arange(n)
    return gaps[back], recency[back]


def _log(values):
    return np.log1p(values)


def _scale(values):
    """Mean and standard deviation of the values that are there."""
    values = values[~np.isnan(values)]
    mean, deviation = (float(values.mean()), float(values.std())) if values.size else (0.0, 1.0)
    return mean, deviation if deviation > 1e-9 else 1.0


def _scaled(name, flag, values, scale):
    mean, deviation = scale
    missing = np.isnan(values)
    return {name: np.where(missing, 0, (_log(values) - mean) / deviation), flag: missing}


def _clock(times, timezone):
    local = times.dt.tz_convert(timezone).dt.tz_localize(None).to_numpy("datetime64[ms]").view("int64")
    hour = local / 3_600_000 % 24
    weekday = (local // 86_400_000 + 3) % 7  # the first of January 1970 was a Thursday
    angles = {"hour": 2 * np.pi * hour / 24, "weekday": 2 * np.pi * weekday / 7}
    return {f"{name}_{wave.__name__}": wave(angle)
            for name, angle in angles.items() for wave in (np.sin, np.cos)}


def _one_hot(values, n, devices):
    values = np.full(n, None) if values is None else values.astype(object).to_numpy()
    flags = {f"device={name}": values == name for name in devices}
    return flags | {"device=other": ~np.any([np.zeros(n, bool), *flags.values()], axis=0)}
