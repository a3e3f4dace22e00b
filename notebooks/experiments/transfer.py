"""The measurements of notebook 08 on the simulated shop: a call gives one row of a table.

Platforms, windows and the source's model are those of notebook 07. Strategies that train get the same budget; the
pooled network trains on the visits of both platforms at once, for as many epochs as the source's model did.
"""

import sys
from functools import lru_cache

import numpy as np
import pandas as pd

from experiments import embedding_lstm as shop
from helpers.data import attributes, simulator
from helpers.data.simulator import ACTIONS, REFERENCE
from helpers.evaluation import baselines
from helpers.models import sequence, transfer

CODE = [sys.modules[__name__], *shop.CODE]
GRID = np.linspace(0, 1, 11)  # weights of a mixture
STRATEGIES = {
    "direct": transfer.direct_transfer,
    "frozen": transfer.feature_extraction,
    "top two": lambda *given: transfer.fine_tuning(*given, depth=2),
    "fine-tuned": transfer.fine_tuning,
    "starting point": transfer.starting_point,
    "layerwise rates": transfer.layerwise_rates,
    "low rank": transfer.low_rank,
}


def budget_of(visits):
    """Epochs, patience and size of a batch: the same for every method with as many visits."""
    return {"epochs": 40, "patience": 5, "batch_size": 32 if visits < 1000 else 128}


def fit(model, app, visits, learning_rate, seed):
    """Train a model on some of the app's visits; stop by as many validation visits as a quarter of them."""
    train, held_out = app.part("train", visits), app.part("validation", shop.labels_to_validate(visits))
    sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                   learning_rate=learning_rate, seed=seed, **budget_of(visits))


def network(shift, visits, seed, method, learning_rate):
    """Make and train the network of one row."""
    app, web = shop.platform_of("app", shift, seed), shop.platform_of("web", 0.0, seed)
    fresh = shop.build(shop.attributes_of("app", shift), 100 + seed)
    given = shop.source_model(seed), fresh
    tokens = web.tokens, app.tokens
    if method == "scratch":
        model = fresh
    elif method == "pooled":
        return pooled(fresh, app, web, visits, learning_rate, seed)
    elif method == "gradual":
        return transfer.gradual_unfreezing(
            *given, lambda model, depth: fit(model, app, visits, learning_rate, seed), *tokens).model
    else:
        model = STRATEGIES[method](*given, *tokens).model
    if method != "direct":
        fit(model, app, visits, learning_rate, seed)
    return model


def pooled(model, app, web, visits, learning_rate, seed):
    """Train on the visits of both platforms at once; what the app does not sell is no target."""
    train, held_out = app.part("train", visits), app.part("validation", shop.labels_to_validate(visits))
    old = shop.windows_of(web.events[web.events["session_id"] < web.visits], app.tokens)
    inputs = {name: np.concatenate([rows, old.inputs[name]]) for name, rows in train.inputs.items()}
    asked = np.concatenate([train.next_item, np.where(old.next_item > 1, old.next_item, 0)])
    budget = {**shop.SOURCE_BUDGET, "learning_rate": learning_rate}
    sequence.train(model, inputs, asked, (held_out.inputs, held_out.next_item), seed=seed, **budget)
    return model


def measure_network(shift, visits, seed, method, learning_rate):
    """Score one network, and its mixture with a Markov chain of both platforms."""
    model = network(shift, visits, seed, method, learning_rate)
    return scores_of(model, shop.platform_of("app", shift, seed), visits, chain_of(shift, visits, seed))


def scores_of(model, app, visits, chain):
    """HR@10 of a network, of a chain and of their mixture, whose weight is chosen on validation visits."""
    parts = {"validation": app.part("validation", shop.labels_to_validate(visits)), "test": app.part("test")}
    own = {name: shop.softmax(model.predict(part.inputs, batch_size=256, verbose=0)) for name, part in parts.items()}
    other = {name: chain.scores(part.inputs["items"]) for name, part in parts.items()}

    def hits(part, weight):
        return shop.hit_rate_of(weight * own[part] + (1 - weight) * other[part], parts[part])

    weight = max(GRID, key=lambda weight: hits("validation", weight))
    return {"validation": hits("validation", 1), "test": hits("test", 1), "chain": hits("test", 0),
            "weight": round(float(weight), 1), "mixture": hits("test", weight),
            "events": int((parts["validation"].next_item > 0).sum()),
            "learnt": sum(int(np.prod(v.shape)) for v in model.trainable_variables)}


@lru_cache(maxsize=8)
def chain_of(shift, visits, seed):
    """Fit the Markov chain on the app's visits and the web site's, which count a tenth."""
    app, web = shop.platform_of("app", shift, seed), shop.platform_of("web", 0.0, seed)
    train = app.part("train", visits)
    old = shop.windows_of(web.events[web.events["session_id"] < web.visits], app.tokens)
    return baselines.MarkovChain().fit(
        np.concatenate([train.inputs["items"], old.inputs["items"]]),
        np.concatenate([train.next_item, old.next_item]), len(app.tokens) + 2,
        np.repeat([1, 0.1], [len(train.next_item), len(old.next_item)]))


def measure_control(visits, seed, source, learning_rate):
    """Fine-tune from a source that should not help: `shuffled` weights, or an `unrelated` shop's model."""
    app, web = shop.platform_of("app", 0.2, seed), shop.platform_of("web", 0.0, seed)
    fresh = shop.build(shop.attributes_of("app", 0.2), 100 + seed)
    old = shuffled(shop.source_model(seed), seed) if source == "shuffled" else unrelated(seed)
    known = web.tokens if source == "shuffled" else [f"elsewhere {token}" for token in web.tokens]
    model = transfer.fine_tuning(old, fresh, known, app.tokens).model
    fit(model, app, visits, learning_rate, seed)
    return scores_of(model, app, visits, chain_of(0.2, visits, seed))


def shuffled(model, seed):
    """The same numbers in every layer, in another order."""
    random = np.random.default_rng(seed)
    mixed = shop.build(shop.attributes_of("web"), seed)
    for layer in mixed.layers:
        if layer.weights and layer.trainable:
            tables = model.get_layer(layer.name).get_weights()
            layer.set_weights([random.permutation(table.ravel()).reshape(table.shape) for table in tables])
    return mixed


class Drawn(shop.Platform):
    """Visits of one seed on any platform of any shop."""

    def __init__(self, truth, seed, visits):
        log = simulator.simulate(truth, visits + 2 * shop.HELD_OUT, seed=seed)
        log = log[log["event_type"].isin(ACTIONS)].sort_values("timestamp", kind="stable")
        self.events = log.assign(session_id=pd.factorize(log["session_id"])[0]).sort_values("session_id", kind="stable")
        self.truth, self.tokens, self.visits, self.seed = truth, list(truth.items["item_id"]), visits, seed


@lru_cache(maxsize=2)
def unrelated(seed):
    """Train a source's model on another shop: its own catalogue, customers and habits."""
    strange = simulator.make_shop({"elsewhere": 0.0}, seed=REFERENCE["shop_seed"] + 1)["elsewhere"]
    visits = Drawn(strange, seed, REFERENCE["source_sessions"])
    model = shop.build(described_as_on_web(strange.items), seed)
    train, held_out = visits.part("train"), visits.part("validation")
    sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                   seed=seed, **shop.SOURCE_BUDGET)
    return model


def described_as_on_web(items):
    """Attributes of any catalogue, in the columns of the web site's."""
    web = simulator.make_shop({"web": 0.0}, seed=REFERENCE["shop_seed"])["web"]
    return attributes.extract_attributes(items, attributes.fit_attributes(web.items), items["item_id"])[0]


def measure_layers(visits, seed, count, frozen, learning_rate):
    """Copy the first layers only, from the input on."""
    app, web = shop.platform_of("app", 0.2, seed), shop.platform_of("web", 0.0, seed)
    fresh = shop.build(shop.attributes_of("app", 0.2), 100 + seed)
    model = transfer.first_layers(shop.source_model(seed), fresh, count, web.tokens, app.tokens, frozen).model
    fit(model, app, visits, learning_rate, seed)
    return scores_of(model, app, visits, chain_of(0.2, visits, seed))
