"""Sessions: number them, and lay them out as padded windows of row numbers.

A window is a row of a matrix of row numbers, so every input of a model is a gather:

    rows, next_rows = session_windows(session_ids)
    items, next_items = take(item_codes, rows), take(item_codes, next_rows)

A split selects windows by their first event: `rows[masks["train"][rows[:, 0]]]`.
"""

import numpy as np
import pandas as pd

_HINT = "for example with clean_events"


def sessionize(events, inactivity="30min", *, session_id=None, user_id="user_id", platform="platform",
               timestamp="timestamp"):
    """Number the sessions of a log sorted by user and time.

    A session ends when its user pauses for longer than `inactivity`, or goes on on another platform.

    Args:
        events: DataFrame (n rows), the rows of a user together and in order of time (see `clean_events`).
        inactivity: longest pause within a session, anything that `pd.Timedelta` reads.
        session_id: name of a column that already tells the sessions of a user apart; `inactivity` and
            `platform` are then ignored. Rows without a value form one session per user.
        user_id, timestamp: names of columns.
        platform: name of a column, or None to let a session span platforms.

    Returns:
        int64 array (n,), session numbers from 0 in order of first appearance, aligned with the rows.

    Raises:
        KeyError: a column is missing.
        ValueError: rows are not sorted, a timestamp is missing, or `inactivity` is not positive.

    Example:
        >>> times = pd.to_datetime(["2026-03-01 10:00", "2026-03-01 10:05", "2026-03-01 12:00"], utc=True)
        >>> log = pd.DataFrame({"user_id": 7, "platform": "web", "timestamp": times})
        >>> sessionize(log).tolist()
        [0, 0, 1]
    """
    if session_id is not None:
        return _numbers(_column(events, user_id), _column(events, session_id))
    pause = pd.Timedelta(inactivity) // pd.Timedelta("1ms")
    if pause <= 0:
        raise ValueError(f"inactivity: found {inactivity!r}, expected a positive time such as '30min'")
    times = _column(events, timestamp).to_numpy("datetime64[ms]").view("int64")
    new_user = _changes(_column(events, user_id))
    gaps = np.diff(times)
    _check_order(events[user_id], new_user, gaps, times)
    starts = new_user | (gaps > pause)
    if platform is not None:
        starts |= _changes(_column(events, platform))
    return np.cumsum(np.concatenate([[False], starts])[:len(events)])


def session_windows(session_ids, length=20):
    """Lay sessions out as windows of row numbers, padded on the right with -1.

    A session longer than `length` is cut into consecutive windows; no event is lost.

    Args:
        session_ids: int array (events,), rows of a session in order of time, usually together.
        length: events in a window.

    Returns:
        rows: int64 array (windows, length), row numbers of the events, -1 = padding.
        next_rows: the same shape, row number of the next event of the session, also where that is in the next
            window; -1 = the session ends here, or padding.

    Raises:
        ValueError: `session_ids` is not a vector of whole numbers, or `length` is below 1.

    Example:
        >>> rows, next_rows = session_windows([5, 5, 5, 8], length=2)
        >>> rows.tolist(), next_rows.tolist()
        ([[0, 1], [2, -1], [3, -1]], [[1, 2], [-1, -1], [-1, -1]])
    """
    ids = np.asarray(session_ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(f"session_ids: found {ids.dtype} of shape {ids.shape}, expected a vector of whole "
                         "numbers; use sessionize")
    if length < 1:
        raise ValueError(f"length: found {length}, expected at least 1")
    order = np.argsort(ids, kind="stable")  # linear where sessions are in order
    places, ends, n_windows = _places(ids[order], length)
    rows, next_rows = np.full((2, n_windows * length), -1)
    rows[places] = order
    next_rows[places[:-1]] = order[1:]
    next_rows[places[ends]] = -1
    return rows.reshape(-1, length), next_rows.reshape(-1, length)


def take(values, rows, fill=0):
    """Gather values at row numbers; -1 gathers `fill`.

    Args:
        values: array (events, ...), any dtype that can hold `fill`.
        rows: int array of any shape, -1 = padding.
        fill: value at padding.

    Returns:
        Array of shape `rows.shape + values.shape[1:]` and the dtype of `values`.

    Raises:
        IndexError: a row number is not in the log.

    Example:
        >>> take([10, 20], [[0, 1], [1, -1]]).tolist()
        [[10, 20], [20, 0]]
    """
    values = np.asarray(values)
    padded = np.concatenate([values, np.full((1, *values.shape[1:]), fill, values.dtype)])
    rows = np.asarray(rows)
    if rows.size and (rows.min() < -1 or rows.max() >= len(values)):
        raise IndexError(f"rows: found {rows.min()} to {rows.max()}, expected -1 to {len(values) - 1}; "
                         "take values of the log that the windows were made of")
    return padded[rows]


def last_position(rows):
    """Position of the last event of every window.

    Args:
        rows: int array (windows, length) from `session_windows`.

    Returns:
        int64 array (windows,).

    Example:
        >>> last_position([[0, 1], [2, -1]]).tolist()
        [1, 0]
    """
    return np.count_nonzero(np.asarray(rows) >= 0, axis=1) - 1


def _column(events, name):
    if name not in events:
        raise KeyError(f"no column {name!r} in the event log: found {', '.join(map(str, events.columns))}")
    return events[name]


def _codes(values):
    """Equal numbers for equal values, in order of appearance; whole numbers stand for themselves."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy()
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        return values.to_numpy()
    return pd.factorize(values)[0]


def _changes(values):
    codes = _codes(values)
    return codes[1:] != codes[:-1]


def _check_order(users, new_user, gaps, times):
    if times.size and times.min() == np.iinfo("int64").min:
        raise ValueError(f"row {times.argmin()} has no timestamp: remove such rows, {_HINT}")
    backwards = (gaps < 0) & ~new_user
    if backwards.any():
        raise ValueError(f"row {backwards.argmax() + 1} is earlier than the row before it: sort the log by "
                         f"user and time, {_HINT}")
    if users.is_monotonic_increasing:
        return
    blocks = users[np.concatenate([[True], new_user])[:len(users)]]
    if blocks.duplicated().any():
        raise ValueError(f"the rows of user {blocks[blocks.duplicated()].tolist()[0]!r} are not together: "
                         f"sort the log by user and time, {_HINT}")


def _numbers(users, sessions):
    """Numbers of (user, session) pairs in order of first appearance."""
    users, sessions = pd.factorize(users)[0], pd.factorize(sessions)[0]
    pairs = users * (sessions.max(initial=0) + 2) + sessions + 1
    return pd.factorize(pairs)[0].astype("int64")


def _places(ids, length):
    """Lay windows one after another: place of every event, last event of every session, number of windows."""
    ends = np.flatnonzero(np.concatenate([ids[1:] != ids[:-1], [True]])[:len(ids)])
    sizes = np.diff(ends, prepend=-1)
    windows = -(-sizes // length)
    shifts = length * (np.cumsum(windows) - windows) - (ends + 1 - sizes)
    return np.arange(len(ids)) + np.repeat(shifts, sizes), ends, windows.sum()
