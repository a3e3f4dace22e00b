"""The measurements of notebook 08 on real logs: a call gives one row of a table.

    eshop         clicks, from Poland to Czechia; the last 20 clicks of each test visit that have one before
    journey       grocery baskets, from five stores to a sixth, next category
    departments   grocery baskets, from the department GROCERY to DRUG GM of the same stores: no category in common
    retail        invoices of Online Retail, from the United Kingdom to Germany, next product of the 500 most sold

A seed draws the target's labels, the first weights and the order of the batches; the test visits stay.
"""

import sys
from functools import lru_cache

import numpy as np
import pandas as pd

from experiments import real_platforms as real
from helpers.data import attributes, datasets
from helpers.evaluation import baselines, evidence, metrics
from helpers.models import sequence, transfer

CODE = [sys.modules[__name__], *real.CODE]
WEIGHTS = np.linspace(0, 1, 11)  # of a mixture
SOURCE_SHARES = (0, 0.1, 1)  # how much a source's visit may count in the chain
ALL = 10**6  # as many visits as there are


@lru_cache
def log_of(name):
    """Read a log and split it by time."""
    own = {"departments": _departments, "retail": _retail}
    return own[name]() if name in own else real.log_of(name)


def _departments():
    events = datasets.complete_journey_events()
    events = events[events["platform"].isin(events["platform"].value_counts().index[:6])]
    products = datasets.load_complete_journey("products")
    department = products.value_counts(["product_category", "department"]).reset_index()
    department = department.drop_duplicates("product_category").set_index("product_category")["department"]
    events = events.assign(platform=events["item_id"].map(department))
    events = events[events["platform"].isin(["GROCERY", "DRUG GM"])]
    drawn = np.random.default_rng(0).random(len(events))  # lines of a basket have no order in the data
    events = events.iloc[np.lexsort((drawn, events["timestamp"], events["user_id"]))]
    return _log(events, "GROCERY", "DRUG GM", "2017-10-01")


def _retail():
    events = datasets.online_retail_events()
    events = events.assign(session_id=events["session_id"].astype("int64"))
    before = events["timestamp"] < pd.Timestamp("2011-10-01", tz="UTC")
    sold = events.loc[before & (events["platform"] == "United Kingdom"), "item_id"].value_counts().index[:500]
    events = events[events["item_id"].isin(sold) & events["platform"].isin(["United Kingdom", "Germany"])]
    return _log(events, "United Kingdom", "Germany", "2011-10-01", held_out=(1000, 60))


def _log(events, source, target, start, held_out=(1000, 300)):
    """Source and target of a log, with the usual price of an item as its only attribute."""
    catalogue = events.groupby("item_id", as_index=False)["price"].median()
    scaler = attributes.fit_attributes(catalogue, [], ["price"])
    tokens = sorted(catalogue["item_id"])
    parts = {}
    for role, platform, size in (("source", source, held_out[0]), ("target", target, held_out[1])):
        parts |= real._split(events, [platform], role, start, size)
    return real.Log(parts, tokens, attributes.extract_attributes(catalogue, scaler, tokens)[0])


def tested(name, log):
    """The windows of the target's test visits."""
    if name == "eshop":
        last = log.parts["target test"].groupby("session_id").tail(21)
        log = log._replace(parts={"target test": last})
    return real.windows_of(log, "target test")


@lru_cache(maxsize=2)
def source_model(name, seed):
    """Train the source's model of the next item."""
    log = log_of(name)
    model, train, held_out = real.build(log, seed), *(real.windows_of(log, f"source {p}") for p in ("train", "validation"))
    sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                   seed=seed, **real.SOURCE_BUDGET)
    return model


def measure(name, visits, seed, method, learning_rate):
    """Score a network, a Markov chain and their mixture; shares of the source and weights are chosen on validation."""
    log = log_of(name)
    train = real.windows_of(log, "target train", visits, seed)
    held_out = real.windows_of(log, "target validation", real.visits_to_validate(visits), seed)
    model = real.build(log, 100 + seed)
    if method != "scratch":
        model = transfer.fine_tuning(source_model(name, seed), model).model
    if method != "direct":
        batch = 32 if visits < 1000 else 128
        sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                       learning_rate=learning_rate, epochs=40, patience=5, batch_size=batch, seed=seed)
    test = tested(name, log)
    found = _mixed(model, log, train, held_out, test)
    return {key: round(float(value), 4) for key, value in found.items()}


def _mixed(model, log, train, held_out, test):
    chain = max((chain_of(log, train, share) for share in SOURCE_SHARES), key=lambda c: _hit_rate(_chain(c, held_out), held_out))
    own, other = ([probabilities(part) for part in (held_out, test)]
                  for probabilities in (lambda part: _network(model, part), lambda part: _chain(chain, part)))
    weight = max(WEIGHTS, key=lambda w: _hit_rate(w * own[0] + (1 - w) * other[0], held_out))
    mixed = weight * own[1] + (1 - weight) * other[1]
    hits = {kind: real.hits_of(scores, test) for kind, scores in (("test", own[1]), ("chain", other[1]), ("mixture", mixed))}
    groups = np.repeat(test.session, (test.next_item > 0).sum(axis=1))
    gap = evidence.group_difference(hits["mixture"], hits["chain"], groups, draws=500)
    return {
        "validation": _hit_rate(own[0], held_out), **{kind: hit.mean() for kind, hit in hits.items()},
        "weight": weight, "events": (held_out.next_item > 0).sum(), "tests": (test.next_item > 0).sum(),
        "test_mrr": _mrr(own[1], test), "chain_mrr": _mrr(other[1], test), "mixture_mrr": _mrr(mixed, test),
        "gap": gap.mean, "gap_low": gap.low, "gap_high": gap.high,
    }


def chain_of(log, train, share):
    """Fit a Markov chain on the target's visits and the source's, which count a share."""
    old = real.windows_of(log, "source train")
    items, following = (np.concatenate(pair) for pair in
                        ((train.inputs["items"], old.inputs["items"]), (train.next_item, old.next_item)))
    weights = np.repeat([1.0, share], [len(train.next_item), len(old.next_item)])
    kept = weights > 0
    return baselines.MarkovChain().fit(items[kept], following[kept], len(log.tokens) + 2, weights[kept])


def measure_popularity(name):
    """HR@10 and MRR of popularity from all the target's training visits."""
    log = log_of(name)
    train, test = real.windows_of(log, "target train"), tested(name, log)
    model = baselines.Popularity().fit(train.inputs["items"], train.next_item, len(log.tokens) + 2)
    scores = _chain(model, test)
    return {"visits": len(np.unique(train.session)), "test": round(_hit_rate(scores, test), 4),
            "mrr": round(float(_mrr(scores, test)), 4)}


def _network(model, part):
    logits = model.predict(part.inputs, batch_size=256, verbose=0)
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _chain(model, part):
    return model.scores(part.inputs["items"])


def _hit_rate(scores, part):
    return float(real.hits_of(scores, part).mean())


def _mrr(scores, part):
    return metrics.mrr(metrics.target_ranks(scores, part.next_item))
