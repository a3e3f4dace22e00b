"""Numbers that describe events."""

import numpy as np
import pandas as pd
import pytest

from helpers.data.features import FeatureScaler, extract_features, fit_features

SESSIONS = [0, 0, 1, 2]


def make_log():
    times = ["2026-03-02 06:00", "2026-03-02 06:10", "2026-03-02 18:10", "2026-03-03 00:00"]
    times = pd.to_datetime(times, utc=True)
    return pd.DataFrame({"user_id": [1, 1, 1, 2], "timestamp": times.as_unit("ms"),
                         "price": [1.0, np.nan, 3, 7], "device": ["phone", "tablet", "phone", None]})


def columns(log, scaler=None, sessions=SESSIONS, **settings):
    features, names = extract_features(log, scaler or fit_features(log, sessions), sessions, **settings)
    return {name: features[:, number].tolist() for number, name in enumerate(names)}


def test_features_have_one_row_per_event_and_no_gap():
    features, names = extract_features(make_log(), fit_features(make_log(), SESSIONS), SESSIONS)
    assert features.shape == (4, len(names)) and features.dtype == np.float32 and np.isfinite(features).all()
    assert names == ["price", "price_missing", "gap", "first_event", "recency", "first_session", "hour_sin",
                     "hour_cos", "weekday_sin", "weekday_cos", "device=phone", "device=tablet",
                     "device=other"]


def test_prices_are_scaled_logarithms_with_a_flag():
    found = columns(make_log())
    logs = np.log([2, 4, 8])
    expected = (logs - logs.mean()) / logs.std()
    np.testing.assert_allclose(found["price"], [expected[0], 0, *expected[1:]], rtol=1e-5)
    assert found["price_missing"] == [0, 1, 0, 0]


def test_gaps_and_recency_look_back_only():
    found = columns(make_log(), FeatureScaler())
    np.testing.assert_allclose(found["gap"], [0, np.log1p(600), 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found["recency"], [0, 0, np.log1p(12 * 3600), 0], rtol=1e-6)
    assert found["first_event"] == [1, 0, 1, 1] and found["first_session"] == [1, 1, 0, 1]


def test_the_future_changes_nothing():
    log, scaler = make_log(), FeatureScaler()
    whole, _ = extract_features(log, scaler, SESSIONS)
    for n in range(1, 4):
        part, _ = extract_features(log[:n], scaler, SESSIONS[:n])
        np.testing.assert_array_equal(part, whole[:n])


def test_hour_and_weekday_are_points_on_a_circle():
    found = columns(make_log())
    tokyo = columns(make_log(), timezone="Asia/Tokyo")
    hours, tuesday = np.array([6, 6 + 1/6, 18 + 1/6, 0]), np.cos(2 * np.pi / 7)
    np.testing.assert_allclose(found["hour_sin"], np.sin(np.pi * hours / 12), atol=1e-6)
    np.testing.assert_allclose(found["weekday_cos"], [1, 1, 1, tuesday], atol=1e-6)
    np.testing.assert_allclose(tokyo["hour_cos"][0], np.cos(2 * np.pi * 15 / 24), atol=1e-6)


def test_devices_that_training_did_not_see_are_other():
    scaler = fit_features(make_log()[:1], SESSIONS[:1])
    found = columns(make_log(), scaler)
    assert scaler.devices == ("phone",)
    assert found["device=phone"] == [1, 0, 1, 0] and found["device=other"] == [0, 1, 0, 1]


def test_price_and_device_may_be_absent():
    log = make_log().drop(columns=["price", "device"])
    found = columns(log)
    assert found["price"] == [0] * 4 and found["price_missing"] == found["device=other"] == [1] * 4
    assert fit_features(log, SESSIONS).price == (0.0, 1.0)


def test_equal_prices_are_not_divided_by_zero():
    assert columns(make_log().assign(price=2.0))["price"] == [0] * 4


def test_the_scaler_learns_from_training_alone():
    log = make_log()
    assert fit_features(log[:3], SESSIONS[:3]) != fit_features(log, SESSIONS)
    assert columns(log[:3], fit_features(log[3:], [0]), SESSIONS[:3])["device=other"] == [1] * 3


def test_interleaved_sessions_are_told_apart():
    times = pd.to_datetime(["2026-03-02 06:00", "2026-03-02 06:01", "2026-03-02 06:03"], utc=True)
    found = columns(pd.DataFrame({"user_id": 1, "timestamp": times}), FeatureScaler(), [0, 1, 0])
    np.testing.assert_allclose(found["gap"], [0, 0, np.log1p(180)], rtol=1e-6)
    assert found["first_event"] == [1, 1, 0]


def test_an_empty_log_gives_no_row():
    features, names = extract_features(make_log().head(0), FeatureScaler(), [])
    assert features.shape == (0, len(names))
    assert fit_features(make_log().head(0), []) == FeatureScaler()


def test_the_scaler_survives_json():
    scaler = fit_features(make_log(), SESSIONS)
    assert FeatureScaler.from_json(scaler.to_json()) == scaler


@pytest.mark.parametrize("text", ["", "[]", "3", '{"height": [1, 2]}', '{"price": 3}'])
def test_other_json_is_no_scaler(text):
    with pytest.raises(ValueError, match="no feature scaler"):
        FeatureScaler.from_json(text)


def test_bad_input_is_named():
    with pytest.raises(KeyError, match="no column 'who'"):
        fit_features(make_log(), SESSIONS, user_id="who")
    with pytest.raises(ValueError, match="session_ids: found shape .2,., expected .4,."):
        fit_features(make_log(), [0, 1])
    with pytest.raises(ValueError, match="not in order of time: sort"):
        fit_features(make_log()[::-1], [0] * 4)
