"""The measurements of notebook 09 on the simulated shop: a call gives one row of a table.

A row is a whole search, for a network that starts from the web site's model (`transfer`) or anew (`scratch`). Both
have four settings, as many trials and as many epochs. The search looks at validation visits alone; the score on the
test visits is kept beside each trial for the notebook's pictures, and chooses nothing.
"""

import sys
import tempfile
from functools import lru_cache

import numpy as np

from experiments import embedding_lstm as shop
from helpers.data.simulator import ACTIONS, REFERENCE
from helpers.models import sequence, transfer, tuning

CODE = [sys.modules[__name__], *shop.CODE, tuning]
SHIFT, VISITS = 0.2, 200
TRIALS, EPOCHS = 6, 15  # 90 epochs for each method; a sweep of Hyperband has 91
STRATEGIES = {
    "fine-tuned": lambda depth, *given: transfer.fine_tuning(*given, depth=depth),
    "starting point": lambda depth, *given: transfer.starting_point(*given),
}
DEFAULTS = {
    "transfer": {"strategy": "fine-tuned", "depth": 3, "learning_rate": 3e-3, "dropout": 0.0},
    "scratch": {"units": 64, "cell": "lstm", "learning_rate": 3e-3, "dropout": 0.0},
}


@lru_cache(maxsize=8)
def source_of(seed):
    """The web site's model of a seed, kept for the searches to come."""
    return shop.source_model(seed)


def space_of(start):
    """The function that declares the settings of a start, `transfer` or `scratch`."""
    return {"transfer": transfer_space, "scratch": scratch_space}[start]


def transfer_space(hp):
    """Strategy, depth of freezing, learning rate and dropout; the size is the web site's model's."""
    return {
        "strategy": hp.Choice("strategy", list(STRATEGIES)),
        "depth": hp.Int("depth", 1, 3, parent_name="strategy", parent_values=["fine-tuned"]),
        **training_space(hp),
    }


def scratch_space(hp):
    """Size, cell, learning rate and dropout."""
    return {"units": hp.Choice("units", [16, 32, 64, 128]), "cell": hp.Choice("cell", ["lstm", "gru"]),
            **training_space(hp)}


def training_space(hp):
    """What both starts choose."""
    return {"learning_rate": hp.Float("learning_rate", 3e-4, 3e-2, sampling="log"),
            "dropout": hp.Float("dropout", 0.0, 0.5, step=0.1)}


def build_for(seed):
    """The function that builds a network for some settings."""
    app, web = shop.platform_of("app", SHIFT, seed), shop.platform_of("web", 0.0, seed)

    def build(settings):
        units = settings.get("units", shop.SIZES["units"])
        model = sequence.build_next_item(
            REFERENCE["items"] + 2, len(ACTIONS) + 1, item_attributes=shop.attributes_of("app", SHIFT),
            embedding=units // 2, units=units, cell=settings.get("cell", "lstm"), dropout=settings["dropout"],
            seed=100 + seed)
        if "strategy" not in settings:
            return model
        start = STRATEGIES[settings["strategy"]]
        return start(settings["depth"], source_of(seed), model, web.tokens, app.tokens).model

    return build


def train_for(seed):
    """The function that trains a network and scores it."""
    app = shop.platform_of("app", SHIFT, seed)
    train, held_out = app.part("train", VISITS), app.part("validation", shop.labels_to_validate(VISITS))
    test = app.part("test")

    def fit(model, settings, epochs):
        sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item), seed=seed,
                       learning_rate=settings["learning_rate"], epochs=epochs, batch_size=32, patience=5)
        scores = {"validation": held_out, "test": test}
        return {name: shop.hit_rate_of(np.asarray(model(part.inputs)), part) for name, part in scores.items()}

    return fit


def run_search(seed, start, method, trials, folder):
    """Run one search and return its table of trials."""
    return tuning.search(space_of(start), build_for(seed), train_for(seed), folder, method=method, trials=trials,
                         epochs=EPOCHS, seed=seed, about={"shift": SHIFT, "visits": VISITS, "start": start})


def measure_search(seed, start, method, trials=TRIALS):
    """Search once, and report the winner and the scores of all trials in order."""
    with tempfile.TemporaryDirectory() as folder:
        table = run_search(seed, start, method, trials, folder)
    winner = table.loc[table["validation"].idxmax()]
    chosen = {name: winner[name] for name in DEFAULTS[start]}
    return {
        "validation": winner["validation"], "test": winner["test"], "epochs": int(table["epochs"].sum()),
        **{name: "" if value is None or value != value else value for name, value in chosen.items()},
        "all_validation": " ".join(f"{score:.4f}" for score in table["validation"]),
        "all_test": " ".join(f"{score:.4f}" for score in table["test"]),
    }


def measure_default(seed, start):
    """Train once with the settings that one would take without a search."""
    settings = DEFAULTS[start]
    return train_for(seed)(build_for(seed)(settings), settings, EPOCHS)


def measure_limits(seed):
    """Floor and ceiling of the test visits."""
    found = shop.measure_limits("app", SHIFT, seed)
    return {"floor": found["item_floor"], "ceiling": found["item_ceiling"]}


def measure_workers(seed, start, workers):
    """Run a random search in processes of their own, and report who took how many of its trials."""
    with tempfile.TemporaryDirectory() as folder:
        search = f"from experiments import tuning; tuning.run_search({seed}, {start!r}, 'random', {TRIALS}, {folder!r})"
        tuning.run_workers([sys.executable, "-c", search], workers)
        table = tuning.trials_in(folder)
    return {"trials": " + ".join(map(str, table["worker"].value_counts())),
            "all_validation": " ".join(f"{score:.4f}" for score in table["validation"])}
