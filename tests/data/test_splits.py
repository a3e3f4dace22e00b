"""Splits and leakage."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.splits import LeakageError, check_leakage, temporal_split, user_split


def make_log(days, users=None):
    times = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(days, "D")
    numbers = range(len(days))
    return pd.DataFrame({"timestamp": times.as_unit("ms"), "user_id": numbers if users is None else users,
                         "item_id": numbers})


def rows(masks):
    return {name: np.flatnonzero(mask).tolist() for name, mask in masks.items()}


def test_the_latest_sessions_are_test_then_validation():
    log = make_log([0, 1, 2, 3, 4, 5, 6, 7, 9, 8])
    assert rows(temporal_split(log, validation=.2, test=.1)) == {
        "train": [0, 1, 2, 3, 4, 5, 6], "validation": [7, 9], "test": [8], "straddling": []}


def test_a_session_that_crosses_a_boundary_is_in_no_part_but_counted():
    log = make_log([0, 1, 4, 6, 6, 9])
    masks = temporal_split(log, [0, 1, 1, 2, 3, 4], "2026-03-05", pd.Timestamp("2026-03-08", tz="UTC"))
    assert rows(masks) == {"train": [0], "validation": [3, 4], "test": [5], "straddling": [1, 2]}


def test_a_session_across_both_boundaries_is_straddling():
    log = make_log([0, 0, 9, 5, 9])
    masks = temporal_split(log, [0, 1, 1, 2, 3], "2026-03-05", "2026-03-08")
    assert rows(masks)["straddling"] == [1, 2]


def test_interleaved_sessions_stay_whole():
    log = make_log([0, 1, 0, 1, 5, 9])
    masks = temporal_split(log, [7, 3, 7, 3, 1, 2], "2026-03-05", "2026-03-08")
    assert rows(masks)["train"] == [0, 1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 50)), min_size=8, max_size=60,
                unique_by=lambda event: event[1]))
def test_every_row_is_in_one_mask_and_the_split_does_not_leak(events):
    sessions, days = zip(*events)
    log = make_log(list(days))
    try:
        masks = temporal_split(log, sessions, .2, .2)
    except ValueError as error:
        assert "no event is left" in str(error) or "to start first" in str(error)
        return
    assert (np.sum(list(masks.values()), axis=0) == 1).all()
    check_leakage(log, masks, session_ids=sessions)


@pytest.mark.parametrize("validation, test, message", [
    (.5, .5, "shares above 0"), (0, .1, "shares above 0"),
    ("2026-03-05", "2026-03-02", "validation to start first"),
    ("2026-03-05", "2027-03-02", "no event is left for test"), (.1, .1, "validation to start first"),
])
def test_parts_may_not_be_empty(validation, test, message):
    with pytest.raises(ValueError, match=message):
        temporal_split(make_log([0, 2, 4]), validation=validation, test=test)


def test_bad_logs_are_refused():
    with pytest.raises(ValueError, match="holds no event"):
        temporal_split(make_log([0]).head(0))
    with pytest.raises(ValueError, match="holds no event"):
        temporal_split(make_log([0]).head(0))
    with pytest.raises(KeyError, match="no column 'when'"):
        temporal_split(make_log([0, 1]), timestamp="when")
    with pytest.raises(ValueError, match="missing in row 1"):
        temporal_split(make_log([0, None, 1]))
    with pytest.raises(ValueError, match="session_ids: found shape .2,., expected .3,."):
        temporal_split(make_log([0, 1, 2]), [0, 1])
    with pytest.raises(ValueError, match="no event is left for validation and test"):
        user_split(make_log([0]))
    with pytest.raises(ValueError, match="'user_id' is missing in row 1"):
        user_split(make_log([0, 1, 2], ["a", None, "b"]))


def test_user_split_keeps_users_whole_and_depends_on_the_seed_alone():
    log = make_log(range(200), np.repeat(range(40), 5))
    masks = user_split(log, .25, .25, seed=1)
    assert {name: mask.sum() for name, mask in masks.items()} == {"train": 100, "validation": 50, "test": 50}
    assert check_leakage(log, masks, by="user")["new_users"].tolist() == [10, 10]
    shuffled = log.iloc[::-1]
    assert (user_split(shuffled, .25, .25, seed=1)["test"][::-1] == masks["test"]).all()
    assert (user_split(log, .25, .25, seed=2)["test"] != masks["test"]).any()


# leakage

LOG = make_log([0, 1, 2, 3], [1, 2, 3, 1])
TRAIN, TEST = np.array([True, True, False, False]), np.array([False, False, True, True])


def test_a_clean_split_reports_what_is_new():
    log = LOG.assign(item_id=pd.array([1, 2, 3, None], "Int64"))
    report = check_leakage(log, {"train": TRAIN, "test": TEST, "straddling": ~TRAIN})
    assert report.to_dict("records") == [
        {"part": "test", "rows": 2, "new_users": 1, "new_items": 1, "rows_with_new_items": 1}]


@pytest.mark.parametrize("masks, settings, message", [
    ({"train": TRAIN, "test": ~TRAIN | TRAIN}, {}, "2 rows are in two parts .train, test."),
    ({"train": TEST, "test": TRAIN}, {}, "2 events of train are not before test starts .2026-03-01"),
    ({"train": TRAIN, "validation": TEST & [0, 0, 0, 1] > 0, "test": TEST & [0, 0, 1, 0] > 0}, {},
     "1 events of validation are not before test"),
    ({"train": TRAIN, "test": TEST}, {"by": "user"}, "1 users are in two parts .train, test., for example 1"),
    ({"train": TRAIN, "test": TEST}, {"session_ids": [5, 6, 6, 7]}, "1 sessions are in two parts"),
    ({"train": TRAIN, "test": TEST}, {"fitted": {"mean": (lambda part: part["item_id"].mean(), 1.5)}},
     "'mean' was fitted on more than training"),
])
def test_leakage_is_an_error_that_names_what_leaked(masks, settings, message):
    with pytest.raises(LeakageError, match=message):
        check_leakage(LOG, masks, **settings)


def test_what_was_fitted_on_training_passes():
    fitted = {"items": (lambda part: set(part["item_id"]), {0, 1})}
    check_leakage(LOG, {"train": TRAIN, "test": TEST}, fitted=fitted)


def test_an_empty_part_cannot_leak():
    check_leakage(LOG, {"train": TRAIN, "validation": np.zeros(4, bool), "test": TEST})


@pytest.mark.parametrize("masks, settings, message", [
    ({"train": TRAIN}, {}, "masks.'test'.: found object"),
    ({"train": TRAIN, "test": [0, 0, 1, 1]}, {}, "expected booleans"),
    ({"train": TRAIN, "test": TEST[:3]}, {}, "of shape .3,., expected booleans of shape .4,."),
    ({"train": TRAIN, "test": TEST}, {"by": "luck"}, "by: found 'luck'"),
])
def test_masks_must_be_booleans_of_all_rows(masks, settings, message):
    with pytest.raises(ValueError, match=message):
        check_leakage(LOG, masks, **settings)
