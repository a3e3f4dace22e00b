"""The measurements of notebook 13: a call gives one row of a table.

The shop and its networks are those of notebook 07. The visits of the app's test period are cut in two: the first
`PHONE` events happened on a phone, what follows on a PC. A list of ten is scored by the probability, exact in the
simulator, that the next item viewed stands in it, given the whole visit.
"""

import sys
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from experiments import embedding_lstm as shop
from helpers.data import datasets
from helpers.data.simulator import REFERENCE
from helpers.evaluation import baselines, evidence, oracle
from helpers.models import sequence, transfer
from helpers.scenarios import recommendation

CODE = [sys.modules[__name__], *shop.CODE, recommendation, datasets, evidence]
PHONE, LATER = 4, 4  # events on the phone; events on the PC that a visit has at least
K, NEW, VISITS = 10, 30, 200  # length of a list; items that arrive after training; labeled visits to the app
RATES = {"scratch": {0.2: 1e-2, 0.8: 1e-3}, "fine-tuned": {0.2: 1e-3, 0.8: 1e-3}}  # chosen in 07, on validation


class Returns(NamedTuple):
    """Visits that were begun on a phone and go on on a PC."""

    items: np.ndarray  # int (n, PHONE + LATER), as tokens
    actions: np.ndarray  # int (n, PHONE + LATER), 1 to 4
    truth: np.ndarray  # (n, LATER + 1, tokens) probabilities of the next item after 0 to LATER events on the PC


@lru_cache(maxsize=4)
def returns_of(shift, seed):
    """Cut the test visits that are long enough and viewed an item on the phone; add the truth."""
    app = shop.platform_of("app", shift, seed)
    whole = app.with_history()
    items, actions = whole.inputs["items"], whole.inputs["actions"]
    fits = (actions[:, PHONE + LATER - 1] > 0) & (actions[:, :PHONE] == 1).any(axis=1)
    items, actions = items[fits, : PHONE + LATER], actions[fits, : PHONE + LATER]
    states, _ = oracle.filter_states(app.truth, actions - 1, items - 2)
    truth = oracle.next_item_probabilities(app.truth, states[:, PHONE - 1 :], actions[:, PHONE - 1 :] - 1)
    return Returns(items, actions, np.pad(truth, ((0, 0), (0, 0), (2, 0))))


@lru_cache(maxsize=4)
def new_items(shift):
    """Tokens of items that only the app sells and that arrive after training: nobody has viewed them yet."""
    app, web = shop.platform_of("app", shift, 0), set(shop.platform_of("web", 0.0, 0).tokens)
    own = [token for token, item in enumerate(app.tokens, 2) if item not in web]
    return np.sort(np.random.default_rng(13).choice(own, NEW, replace=False))


def before_arrival(windows, new):
    """Return inputs and targets in which the new items do not occur."""
    items, targets = windows.inputs["items"], windows.next_item
    return ({"items": np.where(np.isin(items, new), 1, items), "actions": windows.inputs["actions"]},
            np.where(np.isin(targets, new), 0, targets))


@lru_cache(maxsize=4)
def training_of(shift, seed):
    """The app's labels, before the new items arrive: `VISITS` visits, and a quarter as many to validate."""
    app = shop.platform_of("app", shift, seed)
    return [before_arrival(app.part(part, count), new_items(shift))
            for part, count in (("train", VISITS), ("validation", shop.labels_to_validate(VISITS)))]


@lru_cache(maxsize=4)
def network(shift, seed, method):
    """Train the app's network, `scratch` or `fine-tuned` from the web site's."""
    app, web = shop.platform_of("app", shift, seed), shop.platform_of("web", 0.0, seed)
    model = shop.build(shop.attributes_of("app", shift), 100 + seed)
    if method == "fine-tuned":
        model = transfer.fine_tuning(shop.source_model(seed), model, web.tokens, app.tokens).model
    train, validation = training_of(shift, seed)
    sequence.train(model, *train, validation, learning_rate=RATES[method][shift], seed=seed, **shop.BUDGET)
    return model


@lru_cache(maxsize=8)
def baseline(shift, seed, method):
    """Fit a baseline on the same visits; `item-kNN, both` on the web site's visits too."""
    described = shop.attributes_of("app", shift)
    made = {"popularity": baselines.Popularity(), "item-kNN": baselines.ItemKNN(),
            "item-kNN, both": baselines.ItemKNN(), "content-kNN": baselines.ContentKNN(described, popularity=0.1),
            "content alone": baselines.ContentKNN(described)}[method]
    inputs, targets = training_of(shift, seed)[0]
    items = inputs["items"]
    if method == "item-kNN, both":
        web, app = shop.platform_of("web", 0.0, seed), shop.platform_of("app", shift, seed)
        old = shop.windows_of(web.events[web.events["session_id"] < web.visits], app.tokens)
        items, targets = np.concatenate([items, old.inputs["items"]]), np.concatenate([targets, old.next_item])
    return made.fit(items, targets, REFERENCE["items"] + 2)


def scores_of(method, shift, seed, items, actions):
    """(n, tokens) scores of the next item after events (n, length), probabilities where the method has them."""
    if items.shape[1] == 0 or method == "popularity":
        shares = baseline(shift, seed, "popularity").probabilities
        scores = np.broadcast_to(shares, (len(items), len(shares)))
    elif method in RATES:
        last = min(items.shape[1], shop.LENGTH) - 1
        windows = {"items": padded(items), "actions": padded(actions)}  # of one length: the model is compiled once
        scores = shop.softmax(network(shift, seed, method).predict(windows, verbose=0)[:, last])
    else:
        scores = baseline(shift, seed, method).scores(items)[:, -1]
    return np.array(scores, np.float64)


def padded(events):
    """The last events, padded on the right to the length of a window."""
    events = events[:, -shop.LENGTH :]
    return np.pad(events, ((0, 0), (0, shop.LENGTH - events.shape[1])))


def lists_of(scores, k=K):
    """(n, k) tokens of the best items."""
    return np.argsort(-scores[:, 2:], axis=1, kind="stable")[:, :k] + 2


def expected_hits(lists, truth):
    """(n,) probability that the next item viewed stands in the list."""
    return np.take_along_axis(truth, lists, axis=1).sum(axis=1)


def histories(returns, seen):
    """Events by what is known of the phone after `seen` events on the PC: known, unknown, wrong (another's)."""
    here = slice(PHONE, PHONE + seen)
    others = np.roll(np.arange(len(returns.items)), 1)
    found = {}
    for name, rows in (("known", slice(None)), ("wrong", others)):
        found[name] = [np.hstack([events[rows, :PHONE], events[:, here]])
                       for events in (returns.items, returns.actions)]
    return found | {"unknown": [returns.items[:, here], returns.actions[:, here]]}


@lru_cache(maxsize=4)
def similarity_of(shift):
    """(items, items) cosine of the attributes; its rows start with the first item, token 2."""
    described = shop.attributes_of("app", shift)[2:]
    directions = described / np.linalg.norm(described, axis=1, keepdims=True)
    return directions @ directions.T


@lru_cache(maxsize=4)
def views_of(shift, seed):
    """(items,) how often each item is viewed in all the training visits to the app, which no method here sees."""
    return np.bincount(shop.platform_of("app", shift, seed).part("train").next_item.ravel(), minlength=302)[2:]


def character(lists, shift, seed):
    """Diversity, coverage and popularity of lists of tokens."""
    return {"diversity": round(float(recommendation.intra_list_diversity(lists - 2, similarity_of(shift)).mean()), 4),
            "coverage": round(recommendation.coverage(lists - 2, REFERENCE["items"]), 4),
            "popularity": round(recommendation.average_popularity(lists - 2, views_of(shift, seed)), 4)}


def measure_method(shift, seed, method):
    """Expected HR@10 by what is known of the phone, the share of the new items' views caught, the lists' character."""
    returns, row = returns_of(shift, seed), {}
    for seen in range(LATER + 1):
        for knowledge, events in histories(returns, seen).items():
            lists = lists_of(scores_of(method, shift, seed, *events))
            row[f"{knowledge}_{seen}"] = round(float(expected_hits(lists, returns.truth[:, seen]).mean()), 4)
            if (knowledge, seen) == ("known", 0):
                row["new"] = round(share_of_new(lists, returns.truth[:, 0], new_items(shift)), 4)
                row |= character(lists, shift, seed)
    return row


def share_of_new(lists, truth, new):
    """Of the views that new items will get next, the share that the lists catch."""
    return float((np.take_along_axis(truth, lists, axis=1) * np.isin(lists, new)).sum() / truth[:, new].sum())


def measure_limits(shift, seed):
    """Find the oracle's expected HR@10 by events on the PC, and that of the best list that is the same for all.

    At the return: the character of the oracle's lists, the share of the new items' views that they catch (`new`), and
    the popularity of what is really viewed next (`views`).
    """
    truth = returns_of(shift, seed).truth
    same = np.tile(lists_of(truth[:, 0].mean(axis=0)[None]), (len(truth), 1))
    oracle_hits = {f"known_{seen}": round(float(expected_hits(lists_of(truth[:, seen]), truth[:, seen]).mean()), 4)
                   for seen in range(LATER + 1)}
    views = views_of(shift, seed)
    really = float((truth[:, 0, 2:] @ views).mean() / views.mean())
    best = lists_of(truth[:, 0])
    return oracle_hits | character(best, shift, seed) | {
        "new": round(share_of_new(best, truth[:, 0], new_items(shift)), 4),
        "same_for_all": round(float(expected_hits(same, truth[:, 0]).mean()), 4), "views": round(really, 4)}


def reranked(scores, shift, trade_off, pool=50):
    """(n, K) tokens chosen by MMR among each row's best `pool`, its scores divided by its best one."""
    candidates = lists_of(scores, pool)
    similarity, lists = similarity_of(shift), []
    for row, tokens in zip(scores, candidates):
        chosen = recommendation.mmr(row[tokens] / row[tokens].max(), similarity[np.ix_(tokens - 2, tokens - 2)],
                                    K, trade_off)
        lists.append(tokens[chosen])
    return np.array(lists)


def measure_trade_off(seed, trade_off, shift=0.2):
    """Re-rank the fine-tuned network's lists of the returns whose phone is known."""
    returns = returns_of(shift, seed)
    lists = reranked(scores_of("fine-tuned", shift, seed, *histories(returns, 0)["known"]), shift, trade_off)
    hits = float(expected_hits(lists, returns.truth[:, 0]).mean())
    return {"hit_rate": round(hits, 4)} | character(lists, shift, seed)


CLUES = {"network": 40, "city": 12, "language": 4}  # values of each clue, all equally frequent
KEEPS = {"network": 0.6, "city": 0.85, "language": 0.95}  # chance that a clue is the same on both devices
LOGS_IN, KNOWN_BEFORE, USE_FROM = 0.2, 0.6, 0.25


def rates_of_clues():
    """m and u of each clue: agreement of one person's two visits, and by chance of two persons'."""
    return {clue: (KEEPS[clue] + (1 - KEEPS[clue]) / n, 1 / n) for clue, n in CLUES.items()}


def draw_clues(n, seed):
    """Draw the phone's and the PC's side of n visitors; the first `KNOWN_BEFORE` of them left a phone visit behind."""
    rng = np.random.default_rng([seed, 13])
    phone = pd.DataFrame({clue: rng.integers(k, size=n) for clue, k in CLUES.items()})
    pc = pd.DataFrame({clue: np.where(rng.random(n) < KEEPS[clue], phone[clue], rng.integers(k, size=n))
                       for clue, k in CLUES.items()})
    logged_in = rng.random(n) < LOGS_IN
    for visits in (phone, pc):
        visits["account"] = pd.Series([f"customer {i}" if known else None for i, known in enumerate(logged_in)])
    return phone[: round(KNOWN_BEFORE * n)], pc


def links_of(n, seed):
    """Link n PC visits to the phone visits."""
    phone, pc = draw_clues(n, seed)
    return recommendation.link_identities(phone, pc, rates_of_clues(), len(phone) / n, USE_FROM)


def measure_links(seed, shift=0.2, method="fine-tuned"):
    """Expected HR@10 at the return, by what is done with a link that is not certain."""
    returns = returns_of(shift, seed)
    n = len(returns.items)
    links = links_of(n, seed)
    linked = links["earlier"].to_numpy()
    history = scores_of(method, shift, seed, returns.items[linked, :PHONE], returns.actions[linked, :PHONE])
    nobody = scores_of("popularity", shift, seed, returns.items, returns.actions)
    own = scores_of(method, shift, seed, returns.items[:, :PHONE], returns.actions[:, :PHONE])
    sure, status = links["probability"].to_numpy()[:, None], links["status"].to_numpy()[:, None]
    recorded = (np.arange(n) < round(KNOWN_BEFORE * n))[:, None]
    ways = {"nobody": nobody, "logins": np.where(status == "known", history, nobody), "every_link": history,
            "break_even": np.where(status == "unknown", nobody, history),
            "mixture": sure * history + (1 - sure) * nobody, "all_known": np.where(recorded, own, nobody)}
    return {name: round(float(expected_hits(lists_of(scores), returns.truth[:, 0]).mean()), 4)
            for name, scores in ways.items()}


def measure_retail(start="2011-10-01"):
    """Rank the items that Online Retail first sold after `start` for its customers, by the titles of what they bought.

    A hit is a new item bought later by a customer who has bought before, and that stands among the customer's ten. The
    list that is the same for all is ranked by the titles of all that these customers bought.
    """
    events = datasets.online_retail_events()
    pairs = events.drop_duplicates(["user_id", "item_id"])
    is_past = events["timestamp"] < pd.Timestamp(start, tz="UTC")
    sold, customers = set(events.loc[is_past, "item_id"]), set(events.loc[is_past, "user_id"])
    titles = events.drop_duplicates("item_id").set_index("item_id")["title"]
    new = np.array(sorted(set(titles.index) - sold))
    later = pairs[pairs["item_id"].isin(new) & pairs["user_id"].isin(customers)]
    words = TfidfVectorizer().fit(titles[sorted(sold)])
    buyers = np.array(sorted(later["user_id"].unique()))
    past = events[is_past & events["user_id"].isin(buyers)].drop_duplicates(["user_id", "item_id"])
    text = past.groupby("user_id")["title"].agg(" ".join)[buyers]
    row, column = np.searchsorted(buyers, later["user_id"]), np.searchsorted(new, later["item_id"])
    hits = {}
    for name, bought in (("own", text), ("same", [" ".join(text)])):
        scores = (words.transform(bought) @ words.transform(titles[new]).T).toarray()
        best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        hits[name] = (np.broadcast_to(best, (len(buyers), K))[row] == column[:, None]).any(axis=1).astype(float)
    gain = evidence.group_difference(hits["own"], hits["same"], later["user_id"].to_numpy(), draws=1000)
    return {"new_items": len(new), "customers": len(buyers), "purchases": len(later), "chance": round(K / len(new), 4),
            "same_for_all": round(float(hits["same"].mean()), 4), "hit_rate": round(float(hits["own"].mean()), 4),
            "gain": round(gain.mean, 4), "low": round(gain.low, 4), "high": round(gain.high, 4)}
