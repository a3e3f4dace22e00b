"""The measurements of notebook 16 that take too long for it, or need a download: a call gives one row of a table.

    sequences       visits whose pages come in an order that no customer walks, while the counts of the pages agree
    cancellations   orders of Online Retail of which something is sent back within 30 days: a stand-in for fraud

A seed draws the visits and the first weights; of the cancellations, the labels of the target.
"""

import sys
from functools import lru_cache

import keras
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from helpers.data import datasets
from helpers.evaluation import metrics
from helpers.scenarios import fraud

CODE = [sys.modules[__name__], datasets, metrics, fraud]
PAGES = ("home", "search", "item", "reviews", "cart", "account")
LENGTH, SHARE = 20, 0.02
STRENGTHS = (0.1, 0.5, 3, 20, 100)


def page_chain():
    """P(next page | page) of customers: 0.60 one page on, 0.10 the same, 0.15 one back, 0.05 each of the others."""
    steps = [0.10, 0.60, 0.05, 0.05, 0.05, 0.15]  # by how many pages on, in a circle
    return np.stack([np.roll(steps, page) for page in range(len(PAGES))])


def draw_visits(count, seed):
    """Draw visits of 10 to 20 pages; a thief's script walks the customers' chain backward.

    All columns of the chain sum to 1, so both visit every page equally often, and the thief's chain is the transpose.

    Returns:
        (int pages from 1, 0 for padding (count, 20); bool is_fraud (count,); log-likelihood ratio (count,)).
    """
    rng = np.random.default_rng([seed, 16])
    is_fraud, chain = rng.random(count) < SHARE, page_chain()
    pages = np.empty((count, LENGTH), dtype=int)
    pages[:, 0] = rng.integers(len(PAGES), size=count)
    for step in range(1, LENGTH):
        before = pages[:, step - 1]
        total = np.cumsum(np.where(is_fraud[:, None], chain.T[before], chain[before]), axis=1)
        pages[:, step] = np.minimum((rng.random(count)[:, None] > total).sum(axis=1), len(PAGES) - 1)
    inside = np.arange(LENGTH) < rng.integers(10, LENGTH + 1, size=count)[:, None]
    walked = np.log(chain.T[pages[:, :-1], pages[:, 1:]] / chain[pages[:, :-1], pages[:, 1:]])
    return np.where(inside, pages + 1, 0), is_fraud, (walked * inside[:, 1:]).sum(axis=1)


def counts_of(visits):
    """Share of each page in a visit, and its length."""
    counts = np.stack([(visits == page).sum(axis=1) for page in range(1, len(PAGES) + 1)], axis=1)
    return np.column_stack([counts / counts.sum(axis=1, keepdims=True), counts.sum(axis=1)])


def chain_surprise(train, test):
    """Mean -log P(page | page before) under transitions counted on `train`."""
    counts = np.ones((len(PAGES) + 1,) * 2)
    both = (train[:, :-1] > 0) & (train[:, 1:] > 0)
    np.add.at(counts, (train[:, :-1][both], train[:, 1:][both]), 1)
    surprise = -np.log(counts / counts[:, 1:].sum(axis=1, keepdims=True))
    inside = test[:, 1:] > 0
    return (surprise[test[:, :-1], test[:, 1:]] * inside).sum(axis=1) / inside.sum(axis=1)


def train_autoencoder(visits, seed, epochs=15):
    """Train the LSTM autoencoder on visits whose labels nobody knows."""
    keras.utils.set_random_seed(seed)
    model = fraud.build_autoencoder(len(PAGES), LENGTH, units=16, seed=seed)
    model.fit(visits, visits, epochs=epochs, batch_size=64, verbose=0)
    return model


def measure_sequences(seed, method):
    """PR-AUC of one detector without labels on visits of which 2 % are a script's."""
    train, test = draw_visits(4000, seed)[0], draw_visits(4000, 100 + seed)
    visits, is_fraud, ratio = test
    if method == "oracle":
        scores = ratio
    elif method == "Markov chain":
        scores = chain_surprise(train, visits)
    elif method == "LSTM autoencoder":
        model = train_autoencoder(train, seed)
        scores = fraud.reconstruction_errors(model.predict(visits, batch_size=500, verbose=0), visits)
    else:
        forest = IsolationForest(n_estimators=200, random_state=seed).fit(counts_of(train))
        scores = -forest.score_samples(counts_of(visits))
    value, prevalence = metrics.pr_auc(is_fraud, scores)
    return {"pr_auc": round(value, 4), "prevalence": round(prevalence, 4)}


@lru_cache
def orders():
    """Orders of registered customers with what was known when they came, and whether a line came back.

    A cancellation belongs to the customer's last order of the article in the 30 days before it. Orders of the last 30
    days of the log are left out: it is not known yet what comes back.
    """
    lines = datasets.load_online_retail()
    lines = lines[lines["CustomerID"].notna()]
    lines = lines.assign(user=lines["CustomerID"].astype("int64"), value=lines["Quantity"] * lines["UnitPrice"])
    bought = lines[lines["InvoiceNo"].str.isdigit() & (lines["Quantity"] > 0) & (lines["UnitPrice"] > 0)]
    back = lines[lines["InvoiceNo"].str.startswith("C") & (lines["Quantity"] < 0)]
    keys = ["user", "StockCode", "InvoiceDate"]
    found = pd.merge_asof(back[keys].sort_values("InvoiceDate"), bought[[*keys, "InvoiceNo"]].sort_values("InvoiceDate"),
                          on="InvoiceDate", by=keys[:2], tolerance=pd.Timedelta("30D"), allow_exact_matches=False)
    table = bought.groupby("InvoiceNo").agg(
        user=("user", "first"), country=("Country", "first"), time=("InvoiceDate", "min"), lines=("value", "size"),
        value=("value", "sum"), largest=("value", "max"), units=("Quantity", "max"))
    table = table.sort_values("time", kind="stable")
    table["returned"] = table.index.isin(found["InvoiceNo"].dropna())
    mine = table.groupby("user")
    table["past"] = mine.cumcount()
    table["days"] = mine["time"].diff().dt.days.fillna(400)
    usual = (mine["value"].cumsum() - table["value"]) / table["past"].clip(lower=1)
    table["multiple"] = np.where(table["past"] > 0, table["value"] / usual.clip(lower=1), 1)
    return table[table["time"] < table["time"].max() - pd.Timedelta("30D")]


@lru_cache
def cancellation_data():
    """Features, labels, and the parts: training before June 2011 (its labels are known by July), test from July."""
    table = orders()
    logs = np.log(table[["lines", "value", "largest", "units", "multiple"]])
    features = np.column_stack([logs, np.log1p(table[["past", "days"]]), table["past"] == 0])
    home = (table["country"] == "United Kingdom").to_numpy()
    train, test = (table["time"] < "2011-06-01").to_numpy(), (table["time"] >= "2011-07-01").to_numpy()
    scale = features[home & train]
    features = (features - scale.mean(axis=0)) / scale.std(axis=0)
    return features, table["returned"].to_numpy(dtype=int), home & train, ~home & train, ~home & test


def fit_validated(features, labels, prior, seed):
    """Fit with the strength of the pull that has the least log loss in a cross-validation on these labels alone."""
    folds = np.random.default_rng(seed).permutation(np.arange(len(labels)) % 5)

    def loss_of(strength):
        log_odds = np.empty(len(labels))
        for fold in range(5):
            weights = fraud.fit_logistic(features[folds != fold], labels[folds != fold], prior, strength)
            log_odds[folds == fold] = weights[0] + features[folds == fold] @ weights[1:]
        return np.logaddexp(0, np.where(labels == 1, -log_odds, log_odds)).mean()

    return fraud.fit_logistic(features, labels, prior, min(STRENGTHS, key=loss_of))


def measure_cancellations(labels, seed, method):
    """PR-AUC abroad of a detector with some labels from abroad, alone or pulled toward the British weights."""
    features, returned, british, abroad, test = cancellation_data()
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(abroad))[:labels]
    weights = fraud.fit_logistic(features[british], returned[british])
    if method == "order value":
        scores = features[test, 1]
    elif method == "isolation forest":
        forest = IsolationForest(n_estimators=200, random_state=seed).fit(features[abroad])
        scores = -forest.score_samples(features[test])
    else:
        if method != "direct":
            weights = fit_validated(features[chosen], returned[chosen], weights if method == "adapted" else None, seed)
        scores = weights[0] + features[test] @ weights[1:]
    value, prevalence = metrics.pr_auc(returned[test], scores)
    return {"pr_auc": round(value, 4), "prevalence": round(prevalence, 4), "orders": int(test.sum())}
