"""Split a log into training, validation and test, and prove that nothing leaks from one to another."""

import numpy as np
import pandas as pd

PARTS = ("train", "validation", "test")


class LeakageError(ValueError):
    """Training has seen what it must not see."""


def temporal_split(events, session_ids=None, validation=0.15, test=0.15, *, timestamp="timestamp"):
    """Split whole sessions at two moments that hold for all users and platforms.

    A session belongs to the part in which it starts. One that goes on past a boundary would carry the
    future into an earlier part, so it goes to the mask "straddling" and to no part.

    Args:
        events: DataFrame (n rows) in any order.
        session_ids: int array (n,); None takes every event for itself.
        validation, test: shares of the sessions, the latest ones; or for both the moment at which they start.
        timestamp: name of the column.

    Returns:
        dict of boolean masks (n,): train, validation, test, straddling; every row is in exactly one.

    Raises:
        KeyError: there is no column of timestamps.
        ValueError: no event, shares or moments that leave a part empty, a missing timestamp, `session_ids` of
            another length.

    Example:
        >>> log = pd.DataFrame({"timestamp": pd.date_range("2026-03-01", periods=10, tz="UTC")})
        >>> {name: int(mask.sum()) for name, mask in temporal_split(log, validation=0.2, test=0.2).items()}
        {'train': 6, 'validation': 2, 'test': 2, 'straddling': 0}
    """
    times = _times(events, timestamp)
    order, firsts, sizes = _blocks(_sessions(session_ids, len(times)))
    times = times[order].view("int64")  # NumPy is several times slower on datetimes
    starts, ends = np.minimum.reduceat(times, firsts), np.maximum.reduceat(times, firsts)
    boundaries = _boundaries(starts, validation, test)
    part, last_part = (sum((moments >= boundary).astype("int8") for boundary in boundaries)
                       for moments in (starts, ends))
    part[last_part > part] = len(PARTS)
    parts = np.empty(len(times), "int8")
    parts[order] = np.repeat(part, sizes)
    return _masks(parts, (*PARTS, "straddling"), f"validation={validation!r} and test={test!r}")


def user_split(events, validation=0.15, test=0.15, *, seed=0, user_id="user_id"):
    """Split at random by user: all events of a user are in one part.

    Args:
        events: DataFrame (n rows).
        validation, test: shares of the users.
        seed: of the draw.
        user_id: name of the column.

    Returns:
        dict of boolean masks (n,): train, validation, test.

    Raises:
        ValueError: a user is missing, or the shares leave a part empty.

    Example:
        >>> masks = user_split(pd.DataFrame({"user_id": [1, 1, 2, 2, 3, 3]}), validation=1 / 3, test=1 / 3)
        >>> {name: int(mask.sum()) for name, mask in masks.items()}
        {'train': 2, 'validation': 2, 'test': 2}
    """
    _check_shares(validation, test)
    users, distinct = pd.factorize(_column(events, user_id), sort=True)
    if (users < 0).any():
        raise ValueError(f"column {user_id!r} is missing in row {users.argmin()}: remove such rows first")
    n_users = len(distinct)
    sizes = [n_users - round(validation * n_users) - round(test * n_users), round(validation * n_users)]
    part = np.searchsorted(np.cumsum(sizes), np.arange(n_users), side="right")
    part = np.random.default_rng(seed).permutation(part)
    return _masks(part[users], PARTS, f"{n_users} users with validation={validation!r} and test={test!r}")


def check_leakage(events, masks, *, by="time", session_ids=None, fitted=None, user_id="user_id",
                  item_id="item_id", timestamp="timestamp"):
    """Fail if training has seen validation or test; tell what these hold that training never saw.

    Args:
        events: DataFrame (n rows).
        masks: dict of boolean masks (n,), train and test, perhaps validation; other names are not checked.
        by: "time" (every part ends before the next one starts) or "user" (no user is in two parts).
        session_ids: int array (n,); no session may be in two parts.
        fitted: dict of name to (fit, result): `fit(training events)` must equal `result`, be it a vocabulary,
            a scaler or anything else that was fitted. Otherwise it was fitted on more than training.
        user_id, item_id, timestamp: names of the columns.

    Returns:
        DataFrame with a row per later part: part, rows, new_users, new_items (distinct ones that training
        lacks), rows_with_new_items (they become the unknown token).

    Raises:
        LeakageError: which check failed, in which part, on how many rows.
        ValueError: a mask is no boolean vector of n rows, or `by` is unknown.

    Example:
        >>> log = pd.DataFrame({"user_id": [1, 2], "item_id": [31, 32],
        ...                     "timestamp": pd.date_range("2026-03-01", periods=2, tz="UTC")})
        >>> masks = {"train": np.array([True, False]), "test": np.array([False, True])}
        >>> check_leakage(log, masks)["new_items"].tolist()
        [1]
        >>> check_leakage(log, masks, fitted={"items": (lambda part: set(part["item_id"]), {31, 32})}
        ...               )  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        helpers.data.splits.LeakageError: 'items' was fitted on more than training: fit again on events[train]
    """
    parts = {name: _mask(masks, name, len(events)) for name in PARTS if name in masks or name != "validation"}
    if by not in ("time", "user"):
        raise ValueError(f"by: found {by!r}, expected 'time' or 'user'")
    _check_disjoint(np.arange(len(events)), parts, "rows")
    if session_ids is not None:
        _check_disjoint(_sessions(session_ids, len(events)), parts, "sessions")
    if by == "user":
        _check_disjoint(_column(events, user_id), parts, "users")
    else:
        _check_times(_times(events, timestamp), parts)
    for name, (fit, result) in (fitted or {}).items():
        if fit(events[parts["train"]]) != result:
            raise LeakageError(f"{name!r} was fitted on more than training: fit again on events[train]")
    later = [name for name in parts if name != "train"]
    return pd.DataFrame([_news(events, parts, name, user_id, item_id) for name in later])


def _column(events, name):
    if name not in events:
        raise KeyError(f"no column {name!r} in the event log: found {', '.join(map(str, events.columns))}")
    return events[name]


def _times(events, timestamp):
    times = _column(events, timestamp).to_numpy("datetime64[ms]")
    if not len(times):
        raise ValueError("the event log holds no event: expected at least one row")
    missing = np.isnat(times)
    if missing.any():
        raise ValueError(f"column {timestamp!r} is missing in row {missing.argmax()}: remove such rows first")
    return times


def _sessions(session_ids, n):
    ids = np.arange(n) if session_ids is None else np.asarray(session_ids)
    if ids.shape != (n,):
        raise ValueError(f"session_ids: found shape {ids.shape}, expected ({n},), one number per event")
    return ids


def _blocks(ids):
    """An order of the rows that keeps sessions together; first positions and sizes of the sessions in it."""
    order = slice(None)
    if (ids[1:] < ids[:-1]).any():
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
    firsts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])[:len(ids)])
    return order, firsts, np.diff(np.append(firsts, len(ids)))


def _boundaries(starts, validation, test):
    """Milliseconds since 1970 at which validation and test start."""
    if not isinstance(validation, (int, float)):
        boundaries = np.array([_milliseconds(validation), _milliseconds(test)])
    else:
        _check_shares(validation, test)
        n = len(starts)
        ranks = np.minimum([n - round(n * test) - round(n * validation), n - round(n * test)], n - 1)
        boundaries = np.partition(starts, ranks)[ranks]
    if boundaries[0] >= boundaries[1]:
        first, second = boundaries.view("datetime64[ms]")
        raise ValueError(f"validation={validation!r} would start at {first}, test={test!r} at {second}: "
                         "expected validation to start first")
    return boundaries


def _milliseconds(time):
    time = pd.Timestamp(time)
    time = time.tz_localize("UTC") if time.tz is None else time
    return time.as_unit("ms").asm8.astype("int64")


def _check_shares(validation, test):
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise ValueError(f"found validation={validation} and test={test}, expected shares above 0 that leave "
                         "a part for training")


def _masks(part, names, asked):
    masks = {name: part == number for number, name in enumerate(names)}
    empty = [name for name in PARTS if not masks[name].any()]
    if empty:
        raise ValueError(f"no event is left for {' and '.join(empty)}: found {asked}, expected all parts to "
                         "hold some")
    return masks


def _mask(masks, name, n):
    mask = np.asarray(masks.get(name))
    if mask.shape != (n,) or mask.dtype != bool:
        raise ValueError(f"masks[{name!r}]: found {mask.dtype} of shape {mask.shape}, expected booleans of "
                         f"shape ({n},)")
    return mask


def _check_disjoint(values, parts, what):
    """No value may be in two parts."""
    seen = pd.concat([pd.Series(pd.unique(values[mask])).rename(name) for name, mask in parts.items()],
                     keys=parts, names=["part", None])
    twice = seen[seen.duplicated(keep=False)]
    if len(twice):
        where = ", ".join(twice.index.unique("part"))
        raise LeakageError(f"{twice.nunique():,} {what} are in two parts ({where}), for example "
                           f"{twice.tolist()[0]!r}: split again, each of the {what} in one part")


def _check_times(times, parts):
    names = list(parts)
    for earlier, later in zip(names, names[1:]):
        if not (parts[earlier].any() and parts[later].any()):
            continue
        start = times[parts[later]].min()
        late = int((times[parts[earlier]] >= start).sum())
        if late:
            raise LeakageError(f"{late:,} events of {earlier} are not before {later} starts ({start} UTC): "
                               "split by time, whole sessions, with temporal_split")


def _news(events, parts, name, user_id, item_id):
    train, part = events[parts["train"]], events[parts[name]]
    items, users = _column(part, item_id).dropna(), _column(part, user_id)
    new_items = items[~items.isin(train[item_id])]
    return {"part": name, "rows": len(part), "new_users": users[~users.isin(train[user_id])].nunique(),
            "new_items": new_items.nunique(), "rows_with_new_items": len(new_items)}
