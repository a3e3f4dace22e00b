"""The benchmark measures what it says: a model that learns, an epoch once training runs."""

import pytest

from tests.benchmarks import training


def test_the_model_learns_from_the_data_and_each_epoch_is_timed():
    data = training.make_data(256)
    one, three = training.train(data, 1), training.train(data, 3)
    assert three[0] < one[0]
    assert len(three[1]) == 3 and min(three[1]) > 0


def test_the_speed_is_that_of_the_fastest_epoch_after_the_first():
    found = training.summary([(5.7, [3.0, 0.5, 0.8]), (5.7, [0.2, 0.7, 0.6])], sequences=10)
    assert found == pytest.approx({"loss": 5.7, "speed": 20.0, "start": -0.3})
