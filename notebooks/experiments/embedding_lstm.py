"""The measurements of notebook 07 on the simulated shop: a call gives one row of a table.

Every seed draws its own customers and visits, labels, first weights and order of the batches; the shop stays the reference one.
Visits are split by the time at which they start. The labels are drawn at random from the target's training visits,
since the first ones by time would be those of one morning, when one type of customer shops.
"""

import sys
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.data import attributes, sessions, simulator
from helpers.data.simulator import ACTIONS, REFERENCE
from helpers.evaluation import baselines, metrics, oracle
from helpers.models import sequence, transfer

CODE = [sys.modules[__name__], attributes, sessions, simulator, baselines, metrics, oracle, sequence, transfer]
LENGTH, HELD_OUT = 20, 1000  # events of a window; visits for validation, and as many for the test
SIZES = {"embedding": 32, "units": 64}
BUDGET = {"epochs": 40, "batch_size": 32, "patience": 5}  # the same for scratch and for transfer
SOURCE_BUDGET = {"epochs": 4, "batch_size": 128, "learning_rate": 1.2e-2}
BASELINES = {
    "popularity": lambda described: baselines.Popularity(),
    "Markov chain": lambda described: baselines.MarkovChain(),
    "item-kNN": lambda described: baselines.ItemKNN(),
    "content-kNN": lambda described: baselines.ContentKNN(described),
}
STRATEGIES = {
    "direct": transfer.direct_transfer,
    "frozen": transfer.feature_extraction,
    "fine-tuned": transfer.fine_tuning,
}


class Windows(NamedTuple):
    """Visits as padded windows: the inputs of a model, and what it is asked for."""

    inputs: dict  # items and actions, int (n, length)
    next_item: np.ndarray  # int (n, length), 0 where the next event is no view
    next_action: np.ndarray  # int (n, length), 0 at padding


def windows_of(events, tokens, length=LENGTH):
    """Make windows of events; items that are not among the tokens are 1, as is a search."""
    rows, next_rows = sessions.session_windows(events["session_id"], length)
    item = pd.Index(tokens).get_indexer(events["item_id"]) + 2
    item = np.where(item < 2, 1, item)
    action = pd.Index(ACTIONS).get_indexer(events["event_type"]) + 1
    following = np.where((rows >= 0) & (next_rows < 0), len(ACTIONS), sessions.take(action, next_rows))
    next_item = np.where(following == 1, sessions.take(item, next_rows), 0)
    return Windows({"items": sessions.take(item, rows), "actions": sessions.take(action, rows)}, next_item, following)


class Platform:
    """A platform's visits of one seed, split by time into training, validation and test."""

    def __init__(self, name, shift, seed, visits):
        self.truth = simulator.make_shop({"web": 0.0, "app": shift}, seed=REFERENCE["shop_seed"])[name]
        log = simulator.simulate(self.truth, visits + 2 * HELD_OUT, seed=seed)
        log = log[log["event_type"].isin(ACTIONS)].sort_values("timestamp", kind="stable")
        self.events = log.assign(session_id=pd.factorize(log["session_id"])[0])  # numbered by their start
        self.events = self.events.sort_values("session_id", kind="stable")
        self.tokens = list(self.truth.items["item_id"])
        self.visits, self.seed = visits, seed

    def part(self, name, count=None):
        """Windows of `train`, `validation` or `test`; of `count` visits drawn at random, or of all."""
        first = {"train": 0, "validation": self.visits, "test": self.visits + HELD_OUT}[name]
        size = self.visits if name == "train" else HELD_OUT
        chosen = first + np.random.default_rng(self.seed).permutation(size)[:count]
        return windows_of(self.events[self.events["session_id"].isin(chosen)], self.tokens)

    def with_history(self):
        """The test visits in one window each, as long as the longest: what the oracle reads."""
        events = self.events[self.events["session_id"] >= self.visits + HELD_OUT]
        return windows_of(events, self.tokens, int(events["session_id"].value_counts().max()))


@lru_cache(maxsize=4)
def platform_of(name, shift, seed):
    """Draw a platform: `web`, the source, or `app`, the target."""
    return Platform(name, shift, seed, REFERENCE["source_sessions" if name == "web" else "target_sessions"])


@lru_cache(maxsize=4)
def attributes_of(name, shift=0.0):
    """Category, tier, brand and price of a platform's items, described as the web site's catalogue is."""
    shop = simulator.make_shop({"web": 0.0, "app": shift}, seed=REFERENCE["shop_seed"])
    items = shop[name].items
    return attributes.extract_attributes(items, attributes.fit_attributes(shop["web"].items), items["item_id"])[0]


def build(described, seed, head=sequence.build_next_item):
    """Build an Embedding-LSTM that reads items and actions, and attributes unless `described` is None."""
    return head(REFERENCE["items"] + 2, len(ACTIONS) + 1, item_attributes=described, seed=seed, **SIZES)


@lru_cache(maxsize=4)
def source_model(seed, inputs="ids + attributes"):
    """Train the web site's model of the next item."""
    web = platform_of("web", 0.0, seed)
    model = build(attributes_of("web") if inputs == "ids + attributes" else None, seed)
    train, validation = web.part("train"), web.part("validation")
    sequence.train(model, train.inputs, train.next_item, (validation.inputs, validation.next_item),
                   seed=seed, **SOURCE_BUDGET)
    return model


def hit_rate_of(scores, windows, k=10):
    """HR@k against the whole catalogue, where the next event is a view."""
    return round(metrics.hit_rate(metrics.target_ranks(scores, windows.next_item), k), 4)


def measure_network(shift, visits, seed, method, inputs, learning_rate):
    """Train one network on some of the app's visits, from scratch or from the web site's model."""
    app = platform_of("app", shift, seed)
    model = build(attributes_of("app", shift) if inputs == "ids + attributes" else None, 100 + seed)
    if method != "scratch":
        web_tokens = platform_of("web", 0.0, seed).tokens
        model = STRATEGIES[method](source_model(seed, inputs), model, web_tokens, app.tokens).model
    train, validation = app.part("train", visits), app.part("validation", labels_to_validate(visits))
    if method != "direct":
        sequence.train(model, train.inputs, train.next_item, (validation.inputs, validation.next_item),
                       learning_rate=learning_rate, seed=seed, **BUDGET)
    return {part: hit_rate_of(model.predict(windows.inputs, verbose=0), windows)
            for part, windows in (("validation", validation), ("test", app.part("test")))}


def labels_to_validate(visits):
    """Visits with which rates, epochs and strategies are chosen: a quarter of the labels, at least 25."""
    return max(visits // 4, 25)


def measure_baseline(shift, visits, seed, method, source_weight):
    """Fit one baseline on some of the app's visits and, at `source_weight`, the web site's."""
    app, web = platform_of("app", shift, seed), platform_of("web", 0.0, seed)
    old = windows_of(web.events[web.events["session_id"] < web.visits], app.tokens)
    model = fit_on_both(BASELINES[method](attributes_of("app", shift)), app.part("train", visits), [old], source_weight,
                        len(app.tokens) + 2)
    parts = {"validation": app.part("validation", labels_to_validate(visits)), "test": app.part("test")}
    return {part: hit_rate_of(model.scores(windows.inputs["items"]), windows) for part, windows in parts.items()}


def fit_on_both(model, new, old, source_weight, size):
    """Fit a baseline on windows of the target and on a list of windows of sources, at some weight; 0 leaves them out."""
    items = np.concatenate([windows.inputs["items"] for windows in (new, *old)])
    next_items = np.concatenate([windows.next_item for windows in (new, *old)])
    weights = np.repeat([1.0, source_weight], [len(new.next_item), len(items) - len(new.next_item)])
    kept = weights > 0
    return model.fit(items[kept], next_items[kept], size, weights[kept])


def measure_limits(name, shift, seed):
    """Find floor and ceiling on the test visits: popularity from all training visits, and the oracle."""
    platform = platform_of(name, shift, seed)
    train, test, whole = platform.part("train"), platform.part("test"), platform.with_history()
    size = len(platform.tokens) + 2
    popularity = baselines.Popularity().fit(train.inputs["items"], train.next_item, size)
    actions, states = hidden_states(platform, whole)
    asked = whole.next_action > 0
    shares = np.bincount(train.next_action[train.next_action > 0], minlength=len(ACTIONS) + 1)[1:]
    likely = oracle.next_action_probabilities(platform.truth, states, actions)[asked]
    return {
        "item_floor": hit_rate_of(popularity.scores(test.inputs["items"]), test),
        "item_ceiling": hit_rate_of(true_next_items(platform, actions, states), whole),
        "action_floor": action_loss(np.broadcast_to(shares / shares.sum(), likely.shape), whole),
        "action_ceiling": action_loss(likely, whole),
    }


def true_next_items(platform, actions, states):
    """What the oracle knows of the next item, (n, length, tokens); nothing falls to padding and unknown."""
    return np.pad(oracle.next_item_probabilities(platform.truth, states, actions), ((0, 0), (0, 0), (2, 0)))


def hidden_states(platform, whole):
    """The actions of whole visits, and the oracle's belief about the customer's hidden state after each."""
    actions = whole.inputs["actions"] - 1
    return actions, oracle.filter_states(platform.truth, actions, whole.inputs["items"] - 2)[0]


def action_loss(probabilities, windows):
    """Log loss, in nats, of the probabilities (m, 5) of the next action, wherever there is one."""
    return round(float(metrics.log_loss(windows.next_action[windows.next_action > 0] - 1, probabilities)), 4)


def measure_on_web(seed, asks, method):
    """Score one method on the web site itself: HR@10 of the next `item`, or log loss of the next `action`."""
    web = platform_of("web", 0.0, seed)
    train, test = web.part("train"), web.part("test")
    if asks == "item" and method in BASELINES:
        model = BASELINES[method](attributes_of("web")).fit(train.inputs["items"], train.next_item, len(web.tokens) + 2)
        return {"score": hit_rate_of(model.scores(test.inputs["items"]), test)}
    if asks == "item":
        return {"score": hit_rate_of(source_model(seed, method).predict(test.inputs, verbose=0), test)}
    if method == "Markov chain":
        model = baselines.MarkovChain(first_token=1).fit(train.inputs["actions"], train.next_action, len(ACTIONS) + 1)
    elif method == "regression on counts":
        model = baselines.CountRegression().fit(train.inputs["actions"], train.next_action, len(ACTIONS) + 1)
    else:
        scores = action_model(seed, method).predict(test.inputs, verbose=0)
        return {"score": action_loss(softmax(scores[test.next_action > 0][:, 1:]), test)}
    return {"score": action_loss(model.scores(test.inputs["actions"])[test.next_action > 0][:, 1:], test)}


def action_model(seed, inputs):
    """Train the web site's model of the next action."""
    web = platform_of("web", 0.0, seed)
    model = build(attributes_of("web") if inputs == "ids + attributes" else None, seed, sequence.build_next_action)
    train, validation = web.part("train"), web.part("validation")
    sequence.train(model, train.inputs, train.next_action, (validation.inputs, validation.next_action),
                   seed=seed, **SOURCE_BUDGET)
    return model


def softmax(logits):
    """Probabilities from logits, along the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
