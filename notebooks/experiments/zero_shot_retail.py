"""The measurements of notebook 11 on Online Retail, a gift shop's invoices: a call gives one row of a table.

    match   products that the shop has sold under two names: does the second name find the first among all?
    zero    a model trained on invoices from the United Kingdom with half of the products, drawn by the seed, ranks the
            other half for customers in Germany and France, after 1 September 2011

The data set must be at hand (`helpers.data.datasets`).
"""

import sys
from functools import lru_cache

import numpy as np
import pandas as pd

from helpers.data import datasets, sessions
from helpers.evaluation import baselines, evidence, metrics
from helpers.models import minilm, sequence, text

CODE = [sys.modules[__name__], datasets, sessions, baselines, evidence, metrics, minilm, sequence, text]
BASELINES = {"popularity": baselines.Popularity, "Markov chain": baselines.MarkovChain, "item-kNN": baselines.ItemKNN}
ENCODERS = {
    "n-grams": lambda titles: text.ngram_vectors(titles, 256),
    "static": text.static_vectors,
    "sentence": lambda titles: np.stack([sentences()[title] for title in titles]),
}
TARGET, LENGTH = ("Germany", "France"), 20
START = pd.Timestamp("2011-09-01", tz="UTC")  # of the test
TUNING = pd.Timestamp("2011-07-01", tz="UTC")  # from here to START, labels for choosing
BUDGET = {"epochs": 4, "batch_size": 64, "learning_rate": 1e-2}  # chosen on the source's validation invoices
SOURCE_VISITS = 4000  # invoices from the United Kingdom, the last ones before the split


@lru_cache
def invoices():
    """Lines of invoices, each product of an invoice once; invoices are numbered by their start."""
    events = datasets.online_retail_events().drop_duplicates(["session_id", "item_id"])
    events = events.sort_values("timestamp", kind="stable")
    events = events.assign(session_id=pd.factorize(events["session_id"])[0])
    return events.sort_values("session_id", kind="stable")


@lru_cache
def titles():
    """The most frequent title of each product, by stock code."""
    counts = invoices().value_counts(["item_id", "title"]).reset_index()
    return counts.sort_values(["count", "title"], ascending=[False, True]).drop_duplicates("item_id").set_index(
        "item_id")["title"].sort_index()


def second_names():
    """Another title of each product that has one, by stock code; another spacing alone does not count."""
    known = titles()
    names = invoices()[["item_id", "title"]].drop_duplicates().sort_values(["item_id", "title"])
    plain = names["title"].str.replace(r"\W", "", regex=True)
    first = names["item_id"].map(known).str.replace(r"\W", "", regex=True)
    return names[(plain != first).to_numpy()].drop_duplicates("item_id").set_index("item_id")["title"]


@lru_cache
def sentences():
    """Each title and its vector by the published sentence encoder, which takes a minute for all of them."""
    every = sorted({*titles(), *second_names()})
    return dict(zip(every, minilm.sentence_vectors(every)))


def match_hits(encoder):
    """For each second name whether its nearest first name is that of the same product, (n,) of 0 and 1."""
    known, other = titles(), second_names()
    place = known.index.get_indexer(other.index)
    found = text.match_ranks(ENCODERS[encoder](other), ENCODERS[encoder](known), place)
    return (found == 1).astype(float)


def measure_match(encoder):
    """Share of second names whose nearest first name is right, and how far it is from that of n-grams."""
    hits = match_hits(encoder)
    gap = evidence.group_difference(hits, match_hits("n-grams"), np.arange(len(hits)), draws=1000)
    return {"score": round(float(hits.mean()), 4), "products": len(hits),
            "gap": round(gap.mean, 4), "gap_low": round(gap.low, 4), "gap_high": round(gap.high, 4)}


@lru_cache(maxsize=2)
def halves(seed):
    """Stock codes in two halves: those that the model sees, and those that it never sees."""
    codes = np.random.default_rng(seed).permutation(titles().index.to_numpy())
    return sorted(codes[::2]), sorted(codes[1::2])


def windows_of(events, tokens):
    """(items, next items) of the lines whose product is among the tokens, in windows."""
    events = events[events["item_id"].isin(tokens)]
    events = events[events.groupby("session_id")["item_id"].transform("size") > 1]
    rows, next_rows = sessions.session_windows(events["session_id"].to_numpy(), LENGTH)
    items = pd.Index(tokens).get_indexer(events["item_id"]) + 2
    return sessions.take(items, rows), sessions.take(items, next_rows)


def part(name, seed):
    """Windows of `source train`, `source validation`, `target fit`, `target validation`, `target train` or `target test`.

    The source's products are those seen; the target's are those never seen. `target train` is fit and validation.
    """
    role, use = name.split()
    events, (seen, unseen) = invoices(), halves(seed)
    abroad, when = events["platform"].isin(TARGET), events["timestamp"]
    if role == "target":
        first, end = {"fit": (when.min(), TUNING), "validation": (TUNING, START), "train": (when.min(), START),
                      "test": (START, when.max())}[use]
        return windows_of(events[abroad & (when >= first) & (when <= end)], unseen)
    events = events[(events["platform"] == "United Kingdom") & (when < START)]
    visits = events["session_id"].unique()[-SOURCE_VISITS:]
    chosen = visits[-500:] if use == "validation" else visits[:-500]
    return windows_of(events[events["session_id"].isin(chosen)], seen)


def vectors_of(codes, encoder):
    """Table of the vectors of products' titles."""
    return text.with_reserved(ENCODERS[encoder](titles().loc[list(codes)]))


def without_bought(scores, items):
    """Scores in which the products that the invoice holds already come last."""
    scores = np.array(scores)
    for position in range(items.shape[1]):
        rows = np.arange(len(items))
        for later in range(position, items.shape[1]):
            scores[rows, later, items[:, position]] = -1e9
    return scores


@lru_cache(maxsize=1)
def source_model(seed, encoder):
    """Train on invoices from the United Kingdom, with the products of one half."""
    (items, nexts), (items_v, nexts_v) = part("source train", seed), part("source validation", seed)
    model = text.build_next_item_from_vectors(vectors_of(halves(seed)[0], encoder), seed=seed)
    sequence.train(model, {"items": items}, nexts, ({"items": items_v}, nexts_v), seed=seed, **BUDGET)
    return model


def hits(scores, items, nexts):
    """HR@10 among the products that the invoice does not hold yet."""
    return round(metrics.hit_rate(metrics.target_ranks(without_bought(scores, items), nexts), 10), 4)


def measure_weight(seed, encoder, weight):
    """HR@10 on the target's validation invoices of the network, corrected at a prior of `weight` by those before."""
    (few, few_next), (items, nexts) = part("target fit", seed), part("target validation", seed)
    model = text.swap_catalogue(source_model(seed, encoder), vectors_of(halves(seed)[1], encoder))
    expected = model.predict({"items": few}, verbose=0)
    scores = text.correct_by_popularity(model.predict({"items": items}, verbose=0), expected, few_next, weight)
    return {"validation": hits(scores, items, nexts)}


def measure_zero(seed, encoder, method, weight):
    """HR@10 among products never seen: by the source's `network`, or by a baseline.

    `corrected` is the network with the popularity of the target's invoices before the split, at a prior of `weight`;
    `shuffled` has titles dealt out at random. Popularity, Markov chain and item-kNN learn from the same invoices;
    `content-kNN` learns from none.
    """
    (few, few_next), (items, nexts) = part("target train", seed), part("target test", seed)
    vectors = vectors_of(halves(seed)[1], encoder)
    if method == "content-kNN":
        every = np.arange(2, len(vectors))[None]  # each item once: no popularity
        scores = baselines.ContentKNN(vectors).fit(every, every, len(vectors)).scores(items)
    elif method in BASELINES:
        scores = BASELINES[method]().fit(few, few_next, len(vectors)).scores(items)
    else:
        if method == "shuffled":
            vectors[2:] = np.random.default_rng(seed).permutation(vectors[2:])
        model = text.swap_catalogue(source_model(seed, encoder), vectors)
        scores = model.predict({"items": items}, verbose=0)
        if method == "corrected":
            expected = model.predict({"items": few}, verbose=0)
            scores = text.correct_by_popularity(scores, expected, few_next, weight)
    return {"score": hits(scores, items, nexts), "items": len(vectors) - 2, "asked": int((nexts > 0).sum())}
