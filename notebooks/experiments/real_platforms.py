"""The measurements of notebook 07 on real logs: a call gives one row of a table.

    eshop     clicks of the e-shop of 2008: from Poland to Czechia, the next clothing model, split at 15 July
    journey   baskets of The Complete Journey: from the five largest stores to the sixth, the next category of
              the basket, split at 1 October; lines of a basket have no order in the data, so it is drawn

A seed draws the target's labels, the first weights and the order of the batches; the test visits stay.
"""

import sys
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.data import attributes, datasets, sessions
from helpers.evaluation import baselines, evidence, metrics
from helpers.models import sequence, transfer

CODE = [sys.modules[__name__], attributes, datasets, sessions, baselines, evidence, metrics, sequence, transfer]
LENGTH = 20
SIZES = {"embedding": 32, "units": 64}
BUDGET = {"epochs": 40, "batch_size": 32, "patience": 5}  # the same for scratch and for transfer
SOURCE_BUDGET = {"epochs": 4, "batch_size": 128, "learning_rate": 8e-3}
BASELINES = {
    "popularity": baselines.Popularity,
    "Markov chain": baselines.MarkovChain,
    "item-kNN": baselines.ItemKNN,
}


class Windows(NamedTuple):
    """Visits as padded windows."""

    inputs: dict  # items, int (n, length)
    next_item: np.ndarray  # int (n, length), 0 at the end of a visit
    session: np.ndarray  # int (n,), the visit of each window


class Log(NamedTuple):
    """A source and a target platform, each with its visits numbered by their start."""

    parts: dict  # from `source train`, `target test` and so on to events
    tokens: list  # the catalogue, which both know
    described: np.ndarray  # (len(tokens) + 2, k) attributes


@lru_cache
def log_of(name):
    """Read a log and split it by time; `eshop` must be at hand, `journey` is installed with the course."""
    return {"eshop": _eshop, "journey": _journey}[name]()


def _eshop():
    events = datasets.eshop_events()
    catalogue = events.drop_duplicates("item_id")
    scaler = attributes.fit_attributes(catalogue, ["category"], ["price"])
    return _log(events, ["Poland"], ["Czechia"], "2008-07-15", catalogue, scaler)


def _journey():
    events = datasets.complete_journey_events()
    stores = events["platform"].value_counts().index[:6]
    events = events[events["platform"].isin(stores)]
    drawn = np.random.default_rng(0).random(len(events))
    events = events.iloc[np.lexsort((drawn, events["timestamp"], events["user_id"]))]
    products = datasets.load_complete_journey("products")
    department = products.value_counts(["product_category", "department"]).reset_index()
    department = department.drop_duplicates("product_category").set_index("product_category")["department"]
    catalogue = events.drop_duplicates("item_id")
    catalogue = catalogue.assign(department=catalogue["item_id"].map(department))
    scaler = attributes.fit_attributes(catalogue, ["department"], [])
    return _log(events, stores[:5], stores[5:], "2017-10-01", catalogue, scaler)


def _log(events, source, target, start, catalogue, scaler):
    tokens = sorted(catalogue["item_id"])
    parts = _split(events, source, "source", start, 1000) | _split(events, target, "target", start, 300)
    return Log(parts, tokens, attributes.extract_attributes(catalogue, scaler, tokens)[0])


def _split(events, platforms, role, start, held_out):
    """Events of visits before and after a day; the last `held_out` visits before it are for validation."""
    events = events[events["platform"].isin(platforms)]
    visits = events.groupby("session_id")["timestamp"].agg(["min", "size"])
    visits = visits[visits["size"] > 1].sort_values("min", kind="stable")
    before = visits["min"] < pd.Timestamp(start, tz="UTC")
    early, late = visits.index[before], visits.index[~before]
    chosen = {"train": early[:-held_out], "validation": early[-held_out:], "test": late}
    return {f"{role} {part}": events[events["session_id"].isin(ids)] for part, ids in chosen.items()}


def windows_of(log, part, count=None, seed=0):
    """Windows of a part of the log: of `count` visits drawn at random, or of all."""
    events = log.parts[part]
    if count is not None:
        visits = events["session_id"].unique()
        drawn = np.random.default_rng(seed).permutation(visits)[:count]
        events = events[events["session_id"].isin(drawn)]
    rows, next_rows = sessions.session_windows(events["session_id"], LENGTH)
    item = pd.Index(log.tokens).get_indexer(events["item_id"]) + 2
    return Windows({"items": sessions.take(item, rows)}, sessions.take(item, next_rows),
                   events["session_id"].to_numpy()[rows[:, 0]])


def build(log, seed):
    """Build an Embedding-LSTM that reads items and their attributes."""
    return sequence.build_next_item(len(log.tokens) + 2, item_attributes=log.described, seed=seed, **SIZES)


@lru_cache(maxsize=2)
def source_model(name, seed):
    """Train the source platform's model of the next item."""
    log = log_of(name)
    model, train, validation = build(log, seed), windows_of(log, "source train"), windows_of(log, "source validation")
    sequence.train(model, train.inputs, train.next_item, (validation.inputs, validation.next_item),
                   seed=seed, **SOURCE_BUDGET)
    return model


def hits_of(scores, windows, k=10):
    """HR@k against the whole catalogue at every event that has a next one, (m,) of 0 and 1."""
    return (metrics.target_ranks(scores, windows.next_item) <= k).astype(float)


def visits_to_validate(visits):
    """A quarter of the labels, at least 25."""
    return max(visits // 4, 25)


def measure_baseline(name, visits, seed, method, source_weight):
    """Fit one baseline on some of the target's visits and, at `source_weight`, the source's."""
    log = log_of(name)
    model = fitted_baseline(log, visits, seed, method, source_weight)
    parts = {"validation": windows_of(log, "target validation", visits_to_validate(visits), seed),
             "test": windows_of(log, "target test")}
    return {part: round(float(hits_of(model.scores(windows.inputs["items"]), windows).mean()), 4)
            for part, windows in parts.items()}


def fitted_baseline(log, visits, seed, method, source_weight):
    """One baseline, fitted."""
    train = windows_of(log, "target train", visits, seed)
    items, next_items, weights = train.inputs["items"], train.next_item, np.ones(len(train.next_item))
    if source_weight:
        old = windows_of(log, "source train")
        items, next_items = np.concatenate([items, old.inputs["items"]]), np.concatenate([next_items, old.next_item])
        weights = np.concatenate([weights, np.full(len(old.next_item), source_weight)])
    return BASELINES[method]().fit(items, next_items, len(log.tokens) + 2, weights)


def measure_network(name, visits, seed, method, learning_rate):
    """Train one network, and compare its hits with those of the pooled Markov chain over whole test visits."""
    log = log_of(name)
    train = windows_of(log, "target train", visits, seed)
    validation = windows_of(log, "target validation", visits_to_validate(visits), seed)
    model = build(log, 100 + seed)
    if method != "scratch":
        model = transfer.fine_tuning(source_model(name, seed), model).model
    if method != "direct":
        sequence.train(model, train.inputs, train.next_item, (validation.inputs, validation.next_item),
                       learning_rate=learning_rate, seed=seed, **BUDGET)
    test = windows_of(log, "target test")
    chain = fitted_baseline(log, visits, seed, "Markov chain", 1)
    hits = hits_of(model.predict(test.inputs, batch_size=256, verbose=0), test)
    groups = np.repeat(test.session, (test.next_item > 0).sum(axis=1))
    gap = evidence.group_difference(hits, hits_of(chain.scores(test.inputs["items"]), test), groups, draws=500)
    chosen = hits_of(model.predict(validation.inputs, batch_size=256, verbose=0), validation).mean()
    return {"validation": round(float(chosen), 4), "test": round(float(hits.mean()), 4),
            "gap": round(gap.mean, 4), "gap_low": round(gap.low, 4), "gap_high": round(gap.high, 4)}
