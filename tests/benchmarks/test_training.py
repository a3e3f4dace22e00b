"""The benchmark measures what it says: a model that learns, an epoch without its start."""

import pytest

from tests.benchmarks import training


def test_the_model_learns_from_the_data():
    data = training.make_data(256)
    assert training.train(data, 3) < training.train(data, 1)


def test_an_epoch_is_the_long_training_less_the_short_one():
    short, long = training.EPOCHS
    found = training.summary([(5.7, 3.0, 8.0), (5.7, 2.0, 8.5)], sequences=10)
    epoch = 5.0 / (long - short)
    assert found == pytest.approx({"loss": 5.7, "speed": 10 / epoch, "start": 2.0 - epoch})
