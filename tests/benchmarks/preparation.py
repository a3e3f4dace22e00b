"""What does it cost to prepare a log: against bare NumPy, against plain pandas, and as the log grows?

    python -m tests.benchmarks.preparation

Prepared are cleaning, sessions, split, vocabulary and windows of items and next items, with the functions
of `helpers.data` as a reader calls them.

The log looks as `read_events` returns it from Parquet: int64 user_id, categorical platform, device and
event_type, datetime64[ms, UTC] timestamp, Int64 item_id and float64 price (both missing for search).
Sessions of many users overlap and the events arrive in order of time, half a percent of them up to five
minutes late. One percent arrives twice; some clocks, prices and items are wrong; a bot roams.

Bare NumPy does only what cannot be avoided, on arrays that are clean already: one sort by user and time,
one difference, one cumulative sum, one gather into windows. It neither cleans, splits, numbers the items
nor finds the next ones. Plain pandas does all of it, by user and by session with groupby-apply; its results
must be the same.

Every size runs in its own process. Times are processor time (all of it is one thread), the best of several
runs taken in turn. Memory is the log plus the peak of what `tracemalloc` sees allocated while the log is
prepared, results included, over the size of the log.
"""

import json
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd

from helpers.data.events import EVENT_TYPES, NEEDS_ITEM, clean_events
from helpers.data.sessions import session_windows, sessionize, take
from helpers.data.splits import temporal_split
from helpers.data.vocabulary import Vocabulary

SIZES = (100_000, 1_000_000, 10_000_000)
LENGTH, PAUSE, DAY = 20, 1_800_000, 86_400_000  # events in a window, milliseconds, milliseconds
START, END = pd.Timestamp("2026-03-01", tz="UTC"), pd.Timestamp("2026-06-01", tz="UTC")
LIMITS = {"earliest": START, "latest": END, "max_price": 10_000, "max_daily_events": 1000}


# -------------------------------------------------------------------------------------------------- log


def make_log(n, seed=0):
    """About n events in order of arrival."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.geometric(1 / 6, n // 6), 200)
    session = np.repeat(np.arange(len(sizes)), sizes)
    starts = rng.integers(0, (END - START).days * DAY - DAY, len(sizes))
    pauses = np.cumsum(rng.exponential(60_000, len(session)).astype("int64"))
    first = np.cumsum(sizes) - sizes
    times = starts[session] + pauses - pauses[first][session]
    users = rng.integers(0, n // 20, len(sizes))
    platforms = rng.choice(3, len(sizes), p=[.5, .4, .1]).astype("int8")
    columns = {"user": users[session], "platform": platforms[session], "time": times}
    columns |= _contents(rng, len(session))
    columns = {name: np.append(values, extra) for (name, values), extra in zip(columns.items(), _bot(rng, n))}
    return _arrive(rng, columns)


def _contents(rng, n):
    return {"event": rng.choice(4, n, p=[.68, .17, .1, .05]).astype("int8"),
            "item": (rng.pareto(1.2, n) * 40).astype("int64") % 20_000 + 100_000,
            "price": rng.lognormal(3, 1, n).round(2)}


def _bot(rng, n):
    """One user with 1,500 views within an hour; user, platform, time, event, item, price."""
    return (np.full(1500, n), np.zeros(1500, "int8"), 40 * DAY + np.sort(rng.integers(0, 3_600_000, 1500)),
            np.zeros(1500, "int8"), rng.integers(100_000, 120_000, 1500), np.full(1500, 9.9))


def _arrive(rng, columns):
    """Rows in order of arrival, with dirt, as a DataFrame."""
    n = len(columns["time"])
    delay = np.where(rng.random(n) < .005, rng.integers(0, 300_000, n), 0)
    order = np.repeat(np.argsort(columns["time"] + delay), np.where(rng.random(n) < .01, 2, 1))
    columns = {name: values[order] for name, values in columns.items()}
    draw = rng.random(len(order))
    columns["time"][draw < .001] = -START.value // 1_000_000  # a clock that was never set
    columns["price"][(draw > .1) & (draw < .101)] *= -1
    no_item = (columns["event"] == 1) | (draw > .998)
    columns["price"][no_item] = np.nan
    return pd.DataFrame({
        "user_id": columns["user"],
        "platform": pd.Categorical.from_codes(columns["platform"], ["mobile", "web", "kiosk"]),
        "device": pd.Categorical.from_codes(columns["platform"], ["phone", "desktop", "terminal"]),
        "timestamp": (columns["time"] + START.value // 1_000_000).astype("datetime64[ms]"),
        "event_type": pd.Categorical.from_codes(columns["event"], EVENT_TYPES),
        "item_id": pd.arrays.IntegerArray(columns["item"], no_item),
        "price": columns["price"],
    }).assign(timestamp=lambda log: log["timestamp"].dt.tz_localize("UTC"))


# ------------------------------------------------------------------------------------- three preparations


def with_helpers(log):
    """Windows of item numbers, of next item numbers, the part of every window, and the items."""
    events, _ = clean_events(log, **LIMITS)
    sessions = sessionize(events)
    masks = temporal_split(events, sessions)
    vocabulary = Vocabulary.fit(events["item_id"][masks["train"]])
    rows, next_rows = session_windows(sessions, LENGTH)
    numbers = vocabulary.encode(events["item_id"])
    parts = {name: mask[rows[:, 0]] for name, mask in masks.items()}
    return take(numbers, rows), take(numbers, next_rows), parts, vocabulary.items


def with_numpy(users, times, items):
    """Windows of items of clean arrays; what no preparation can do without."""
    order = np.lexsort((times, users))
    users, times, items = users[order], times[order], items[order]
    starts = np.concatenate([[True], (np.diff(users) != 0) | (np.diff(times) > PAUSE)])
    session = np.cumsum(starts) - 1
    first = np.append(np.flatnonzero(starts), len(users))
    windows = np.flatnonzero((np.arange(len(users)) - first[session]) % LENGTH == 0)
    rows = windows[:, None] + np.arange(LENGTH)
    rows[rows >= first[session[windows] + 1][:, None]] = -1
    return np.append(items, 0)[rows]


def with_pandas(log):
    """The same results as `with_helpers`, one user and one session after another."""
    events = _pandas_clean(log)
    by_user = events.groupby("user_id", group_keys=False)
    events["session"] = by_user.apply(_pandas_sessions)
    spans = events.groupby(["user_id", "session"])["timestamp"].agg(["min", "max"])
    ordered = spans["min"].sort_values(kind="stable")
    n, share = len(ordered), round(.15 * len(ordered))
    bounds = [ordered.iloc[n - 2 * share], ordered.iloc[n - share]]
    part = sum((spans["min"] >= bound).astype(int) for bound in bounds)
    straddles = sum((spans["max"] >= bound).astype(int) for bound in bounds) > part
    names = part.map(dict(enumerate(["train", "validation", "test"]))).mask(straddles, "straddling")
    events = events.join(names.rename("part"), on=["user_id", "session"])
    items = sorted(events.loc[events["part"] == "train", "item_id"].dropna().unique())
    numbers = {item: number for number, item in enumerate(items, start=2)}
    events["number"] = events["item_id"].map(numbers).fillna(1).astype(int)
    windows = events.groupby(["user_id", "session"])[["number", "part"]].apply(_pandas_windows)
    rows, next_rows, parts = (np.array(values) for values in zip(*windows.explode()))
    masks = {name: parts == name for name in ("train", "validation", "test", "straddling")}
    return rows, next_rows, masks, tuple(items)


def _pandas_clean(log):
    events = log[log["timestamp"].between(START, END)]
    events = events[~((events["price"] < 0) | (events["price"] > LIMITS["max_price"]))]
    events = events[~(events["item_id"].isna() & events["event_type"].isin(NEEDS_ITEM))]
    events = events.drop_duplicates(["user_id", "platform", "timestamp", "event_type", "item_id"])
    daily = events.groupby(["user_id", events["timestamp"].dt.date]).size()
    bots = daily[daily > LIMITS["max_daily_events"]].index.get_level_values("user_id")
    events = events[~events["user_id"].isin(bots)]
    return events.sort_values(["user_id", "timestamp"], kind="stable").reset_index(drop=True)


def _pandas_sessions(user):
    pause = user["timestamp"].diff() > pd.Timedelta(PAUSE, unit="ms")
    platform = user["platform"].astype(str)
    return (pause | (platform != platform.shift().fillna(platform))).cumsum()


def _pandas_windows(session):
    numbers = session["number"].tolist()
    following = [*numbers[1:], 0]
    padding = [0] * LENGTH
    return [((numbers[i:i + LENGTH] + padding)[:LENGTH], (following[i:i + LENGTH] + padding)[:LENGTH],
             session["part"].iloc[0]) for i in range(0, len(numbers), LENGTH)]


def assert_same(left, right):
    """Two preparations agree in every window, part and item."""
    np.testing.assert_array_equal(left[0], right[0])
    np.testing.assert_array_equal(left[1], right[1])
    assert left[2].keys() == right[2].keys() and left[3] == right[3]
    for name in left[2]:
        np.testing.assert_array_equal(left[2][name], right[2][name])


# -------------------------------------------------------------------------------------------- measuring


def measure(n):
    """Times in seconds and memory in logs, for a log of about n events."""
    log = make_log(n)
    events, _ = clean_events(log, **LIMITS)
    arrays = _as_they_arrived(events)
    n_clean = len(events)
    del events
    repeats = 15 if n <= 100_000 else 3
    numpy_time, helpers_time = _in_turn(repeats, lambda: with_numpy(*arrays), lambda: with_helpers(log))
    result = {"events": len(log), "clean": n_clean, "numpy": numpy_time, "helpers": helpers_time}
    if n == SIZES[0]:
        started = time.process_time()
        reference = with_pandas(log)
        result["pandas"] = time.process_time() - started
        assert_same(with_helpers(log), reference)
    del arrays
    return result | {"memory": _peak(log)}


def _as_they_arrived(events):
    order = np.argsort(events["timestamp"].to_numpy("datetime64[ms]"), kind="stable")
    times = events["timestamp"].to_numpy("datetime64[ms]").view("int64")
    items = events["item_id"].to_numpy("int64", na_value=1)
    return events["user_id"].to_numpy()[order], times[order], items[order]


def _in_turn(repeats, *functions):
    """Best time of each function."""
    best = [np.inf] * len(functions)
    for _ in range(repeats):
        for number, function in enumerate(functions):
            started = time.process_time()
            function()
            best[number] = min(best[number], time.process_time() - started)
    return best


def _peak(log):
    size = log.memory_usage(deep=True).sum()
    tracemalloc.start()
    with_helpers(log)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (size + peak) / size


def run(sizes=SIZES):
    """One result per size, each measured in a process of its own."""
    for n in sizes:
        command = [sys.executable, "-m", "tests.benchmarks.preparation", str(n)]
        yield json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    """Print the table."""
    results = list(run())
    print("    events    helpers  per event  bare NumPy  ratio  plain pandas  times faster  peak / log")
    for result in results:
        events, ours, plain = result["events"], result["helpers"], result.get("pandas")
        faster = f"{plain:12.2f} s {plain / ours:12.0f}" if plain else ""
        print(f"{events:10,} {ours:8.3f} s {1e9 * ours / events:7.0f} ns {result['numpy']:9.3f} s "
              f"{ours / result['numpy']:6.2f} {faster:27} {result['memory']:11.2f}")
    growth = [result["helpers"] / result["events"] for result in results]
    print(f"Time per event, largest log over smallest: {growth[-1] / growth[0]:.2f}")


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1])))) if len(sys.argv) > 1 else main()
