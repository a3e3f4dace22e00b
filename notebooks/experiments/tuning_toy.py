"""A stand-in for a training: a formula that says at once how good a network would be.

Its only weight counts the epochs, so that a training can go on. Run as a script, it is one process of a search.
"""

import math
import sys
import time

import keras
import numpy as np

from helpers.models import tuning


def space(hp):
    """Depth of freezing and learning rate."""
    return {"depth": hp.Int("depth", 1, 3), "learning_rate": hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")}


def build(settings):
    """A model of one weight, the number of epochs."""
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])


def quality(settings, epochs):
    """The score that a training comes to: best at depth 3 and rate 0.003, and half of the way after 3 epochs."""
    best = 0.42 - 0.02 * (3 - settings["depth"]) - 0.04 * math.log10(settings["learning_rate"] / 0.003) ** 2
    return best * (1 - 0.5 * 2 ** (-epochs / 3))


def train(model, settings, epochs, pause=0.0):
    """Go on for some epochs; the validation score is the quality and the luck of a small validation set."""
    (weight,) = model.get_weights()
    model.set_weights([weight + epochs])
    time.sleep(pause)
    true = quality(settings, float(weight[0, 0]) + epochs)
    luck = np.random.default_rng(int(1e9 * settings["learning_rate"])).normal(0, 0.01)
    return {"validation": true + luck, "true": true}


def slowly(model, settings, epochs):
    """As `train`, in half a second."""
    return train(model, settings, epochs, pause=0.5)


if __name__ == "__main__":
    tuning.search(space, build, slowly, sys.argv[1], trials=8, epochs=15, seed=0)
