"""Sessions and windows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.sessions import last_position, session_windows, sessionize, take


def make_log(minutes, users=1, **columns):
    times = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(minutes, "min")
    return pd.DataFrame({"timestamp": times, "user_id": users, "platform": "web"} | columns)


def test_a_pause_longer_than_inactivity_starts_a_session():
    assert sessionize(make_log([0, 30, 61])).tolist() == [0, 0, 1]
    assert sessionize(make_log([0, 30, 61]), inactivity="1h").tolist() == [0, 0, 0]


@pytest.mark.parametrize("users", [[1, 1, 2], ["a", "a", "b"], pd.Categorical(["a", "a", "b"]),
                                   pd.array([1, 1, 2], "Int64"), [2, 2, 1]])
def test_every_user_starts_a_session(users):
    assert sessionize(make_log([0, 5, 0], users)).tolist() == [0, 0, 1]


def test_another_platform_starts_a_session_unless_told_otherwise():
    log = make_log([0, 1, 2], platform=["web", "mobile", "web"])
    assert sessionize(log).tolist() == [0, 1, 2]
    assert sessionize(log.drop(columns="platform"), platform=None).tolist() == [0, 0, 0]


def test_given_sessions_are_kept_apart_by_user():
    log = make_log([0, 1, 2, 0], [1, 1, 1, 2], session_id=["x", "y", "x", "x"])
    assert sessionize(log, session_id="session_id").tolist() == [0, 1, 0, 2]


def test_rows_without_a_given_session_form_one_per_user():
    log = make_log([0, 1, 2], [1, 1, 2], session_id=[None, None, None])
    assert sessionize(log, session_id="session_id").tolist() == [0, 0, 1]


def test_an_empty_log_has_no_session():
    log = make_log([0]).head(0)
    assert sessionize(log).shape == (0,) and sessionize(log, session_id="user_id").shape == (0,)


@pytest.mark.parametrize("log, message", [
    (make_log([5, 0]), "row 1 is earlier than the row before it: sort"),
    (make_log([0, 0, 5], [1, 2, 1]), "rows of user 1 are not together: sort"),
    (make_log([0, None]), "row 1 has no timestamp"),
])
def test_unsorted_rows_are_an_error_that_says_to_sort(log, message):
    with pytest.raises(ValueError, match=message):
        sessionize(log)


def test_bad_arguments_of_sessionize():
    with pytest.raises(ValueError, match="inactivity: found '0min'"):
        sessionize(make_log([0]), "0min")
    with pytest.raises(KeyError, match="no column 'who' in the event log: found timestamp"):
        sessionize(make_log([0]), user_id="who")


def test_windows_of_one_event_sessions():
    rows, next_rows = session_windows([0, 1, 2], length=3)
    assert rows.tolist() == [[0, -1, -1], [1, -1, -1], [2, -1, -1]] and (next_rows == -1).all()
    assert rows.dtype == next_rows.dtype == np.int64


def test_the_next_event_is_found_across_a_cut():
    rows, next_rows = session_windows([4] * 5, length=2)
    assert rows.tolist() == [[0, 1], [2, 3], [4, -1]]
    assert next_rows.tolist() == [[1, 2], [3, 4], [-1, -1]]


def test_sessions_whose_rows_interleave_are_put_together():
    rows, next_rows = session_windows([0, 1, 0, 1], length=2)
    assert rows.tolist() == [[0, 2], [1, 3]] and next_rows.tolist() == [[2, -1], [3, -1]]


def test_no_session_gives_no_window():
    rows, next_rows = session_windows([], length=4)
    assert rows.shape == next_rows.shape == (0, 4)


@pytest.mark.parametrize("ids, length, message", [
    ([0.5], 2, "found float64"), ([[1]], 2, "shape .1, 1."), (["a"], 2, "whole numbers"),
    ([1], 0, "length: found 0"),
])
def test_bad_arguments_of_session_windows(ids, length, message):
    with pytest.raises(ValueError, match=message):
        session_windows(ids, length)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 7), st.booleans())
def test_windows_agree_with_a_plain_loop(ids, length, ordered):
    ids = sorted(ids) if ordered else ids
    rows, next_rows = [], []
    for session in sorted(set(ids)):
        numbers = [row for row, value in enumerate(ids) if value == session]
        following = [*numbers[1:], -1]
        for start in range(0, len(numbers), length):
            rows.append((numbers[start:start + length] + [-1] * length)[:length])
            next_rows.append((following[start:start + length] + [-1] * length)[:length])
    found = session_windows(np.array(ids, "int64"), length)
    np.testing.assert_array_equal(found[0], np.reshape(rows, (-1, length)))
    np.testing.assert_array_equal(found[1], np.reshape(next_rows, (-1, length)))


def test_take_fills_padding_and_keeps_type_and_trailing_axes():
    features = np.arange(6, dtype="float32").reshape(3, 2)
    gathered = take(features, [[0, -1]])
    assert gathered.dtype == np.float32 and gathered.tolist() == [[[0, 1], [0, 0]]]
    assert take(np.array(["a"]), [0, -1], fill="").tolist() == ["a", ""]
    assert take(np.array([True]), [0, -1]).tolist() == [True, False]
    assert take([7], np.empty((0, 3), "int64")).shape == (0, 3)


@pytest.mark.parametrize("row", [-2, 3])
def test_take_refuses_rows_of_another_log(row):
    with pytest.raises(IndexError, match="expected -1 to 2"):
        take([1, 2, 3], [row])


def test_last_position_is_where_the_window_ends():
    rows, _ = session_windows([0, 0, 0, 1], length=2)
    assert last_position(rows).tolist() == [1, 0, 0]
