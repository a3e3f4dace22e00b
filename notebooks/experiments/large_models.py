"""The measurements of notebook 10: a call gives one row of a table.

Three networks read the same windows for about as many multiplications an event: a causal Transformer, a masked one,
and the Embedding-LSTM. They learn from visits of several platforms of the shop, and go on with the app's. On real
baskets, they learn from five stores and go on with a sixth.
"""

import sys
from functools import lru_cache

import numpy as np

from experiments import embedding_lstm as shop
from experiments import real_platforms as real
from helpers.data import attributes, simulator
from helpers.data.simulator import ACTIONS, REFERENCE
from helpers.evaluation import baselines, metrics, oracle
from helpers.models import sequence, transfer, transformers

CODE = [sys.modules[__name__], *shop.CODE, transformers]
REAL_CODE = [sys.modules[__name__], *real.CODE, transformers]
SHIFTS = {"web": 0.0, "tv": 0.1, "kiosk": 0.3, "app": 0.2}
SEVERAL, VISITS = ("web", "tv", "kiosk"), 2400  # the platforms to learn from, and visits to them in all
TEST = 500  # visits
SOURCE_BUDGET = {"epochs": 8, "batch_size": 64}
VIEW, SHARE = 1, 0.3  # token of the action view; share of the items that are hidden
LSTM_SIZES, WIDTH = {"embedding": 32, "units": 64}, 48
TRANSFORMERS = {"causal": transformers.build_causal, "masked": transformers.build_masked}
MOST = 16_000  # visits in the grid of sizes and visits
PASSES = {250: 16, 1000: 8, 4000: 4, 16_000: 2}  # over the visits of the grid
RATES = {8: 1e-2, 16: 1e-2, 32: 6e-3, 64: 4e-3}  # by width, set by hand
WEIGHTS = (0, 0.1, 1)  # of the other platforms' visits in a pooled baseline; validation visits choose


def budget_of(visits):
    """Epochs, patience and size of a batch on the target's visits: the same for every network."""
    return {"epochs": 40 if visits < 200 else 12, "patience": 4, "batch_size": 32}


@lru_cache
def the_shop():
    """The four platforms."""
    return simulator.make_shop(SHIFTS, seed=REFERENCE["shop_seed"])


class Platform(shop.Platform):
    """A platform of the shop of four; split and windows as in notebook 07."""

    def __init__(self, name, seed, visits):
        self.truth = the_shop()[name]
        log = simulator.simulate(self.truth, visits + 2 * shop.HELD_OUT, seed=100 * seed + list(SHIFTS).index(name))
        log = log[log["event_type"].isin(ACTIONS)].sort_values("timestamp", kind="stable")
        self.events = log.assign(session_id=shop.pd.factorize(log["session_id"])[0])
        self.events = self.events.sort_values("session_id", kind="stable")
        self.tokens = list(self.truth.items["item_id"])
        self.visits, self.seed = visits, seed


@lru_cache(maxsize=8)
def platform_of(name, seed, visits=3000):
    """Draw the visits of a platform."""
    return Platform(name, seed, visits)


def tokens_of(names):
    """The items of some platforms, each once."""
    return list(dict.fromkeys(item for name in names for item in the_shop()[name].items["item_id"]))


@lru_cache
def attributes_of(names):
    """Category, tier, brand and price of these items, described as the web site's catalogue is."""
    catalogue = shop.pd.concat([the_shop()[name].items for name in names]).drop_duplicates("item_id")
    scaler = attributes.fit_attributes(the_shop()["web"].items)
    return attributes.extract_attributes(catalogue, scaler, tokens_of(names))[0]


def build(kind, names, seed):
    """Build a network for the items of some platforms."""
    sizes = {"n_actions": len(ACTIONS) + 1, "item_attributes": attributes_of(names), "seed": seed}
    n_items = len(tokens_of(names)) + 2
    if kind == "LSTM":
        return sequence.build_next_item(n_items, **sizes, **LSTM_SIZES)
    return TRANSFORMERS[kind](n_items, **sizes, width=WIDTH, length=shop.LENGTH)


def hidden(windows, mask_token, seed):
    """Training data of a masked model: half of the windows with items hidden, half that ask for a next view."""
    half = np.random.default_rng(seed).permutation(len(windows.next_item))
    half, other = half[::2], half[1::2]
    items, targets = transformers.mask_items(windows.inputs["items"][half], SHARE, mask_token, seed)
    inputs, next_item = {k: v[other] for k, v in windows.inputs.items()}, windows.next_item[other]
    chance = np.where(next_item > 0, np.random.default_rng(seed).random(next_item.shape), 0)
    asked = (chance > 0) & (chance == chance.max(axis=1, keepdims=True))
    questions, place = transformers.ask_next(inputs, asked, mask_token, action_of(inputs))
    answers = np.zeros_like(questions["items"])
    answers[np.arange(len(place)), place] = next_item[asked]
    shown = {name: values[half] for name, values in windows.inputs.items()} | {"items": items}
    return ({name: np.concatenate([values, questions[name]]) for name, values in shown.items()},
            np.concatenate([targets, answers]))


def action_of(inputs):
    """What the event has that is asked about: a view where there are actions, nothing where there are none."""
    return VIEW if "actions" in inputs else None


def fit(model, kind, train, held_out, seed, **budget):
    """Train a network; a masked one gets four draws, and a quarter of the passes and the patience over them."""
    if kind != "masked":
        pair = held_out and (held_out.inputs, held_out.next_item)
        return sequence.train(model, train.inputs, train.next_item, pair, seed=seed, **budget)
    draws = [hidden(train, model.output_shape[-1], 10 * seed + draw) for draw in range(4)]
    inputs = {name: np.concatenate([draw[0][name] for draw in draws]) for name in draws[0][0]}
    targets = np.concatenate([draw[1] for draw in draws])
    budget["epochs"] = max(1, round(budget["epochs"] / 4))
    if "patience" in budget:
        budget["patience"] = max(1, round(budget["patience"] / 4))
    pair = held_out and hidden(held_out, model.output_shape[-1], 999)
    return sequence.train(model, inputs, targets, pair, seed=seed, **budget)


@lru_cache(maxsize=4)
def pretrained(kind, names, seed, learning_rate):
    """Train a network on visits to some platforms, equally many to each."""
    tokens = tokens_of(names)
    parts = []
    for name in names:
        platform = platform_of(name, seed)
        chosen = np.random.default_rng(seed).permutation(platform.visits)[: VISITS // len(names)]
        parts.append(shop.windows_of(platform.events[platform.events["session_id"].isin(chosen)], tokens))
    inputs = {name: np.concatenate([part.inputs[name] for part in parts]) for name in ("items", "actions")}
    train = shop.Windows(inputs, *(np.concatenate([part[n] for part in parts]) for n in (1, 2)))
    model = build(kind, names, seed)
    fit(model, kind, train, None, seed, learning_rate=learning_rate, **SOURCE_BUDGET)
    return model


def measure_source(kind, seed, learning_rate):
    """Log loss and HR@10 of a network that learns from `several`, on 100 validation visits of each."""
    model = pretrained(kind, SEVERAL, seed, learning_rate)
    tokens, scores, targets = tokens_of(SEVERAL), [], []
    for name in SEVERAL:
        platform = platform_of(name, seed)
        events = platform.events[platform.events["session_id"].between(platform.visits, platform.visits + 99)]
        held_out = shop.windows_of(events, tokens)
        scores.append(scores_of(model, kind, held_out))
        targets.append(held_out.next_item[held_out.next_item > 0])
    return judged(np.concatenate(scores), np.concatenate(targets))


def scores_of(model, kind, windows):
    """Logits of the next item wherever one is asked, (m, n_items)."""
    asked = windows.next_item > 0
    if kind == "masked":
        return transformers.predict_next(model, windows.inputs, asked, model.output_shape[-1],
                                         action_of(windows.inputs))
    return model.predict(windows.inputs, batch_size=256, verbose=0)[asked]


def judged(scores, targets, k=10):
    """HR@10 and log loss of logits over items; padding and unknown are no candidates."""
    probabilities = shop.softmax(scores[:, 2:].astype(np.float64))
    chosen = probabilities[np.arange(len(targets)), targets - 2]
    return {"hit_rate": round(metrics.hit_rate(metrics.target_ranks(scores, targets), k), 4),
            "log_loss": round(float(-np.log(chosen).mean()), 4)}


def measure_network(kind, start, visits, seed, source_rate, learning_rate):
    """Train one network on some of the app's visits: from scratch, or from `several` platforms or the `web` alone."""
    app = platform_of("app", seed)
    model = build(kind, ("app",), 100 + seed)
    if start != "scratch":
        names = SEVERAL if start == "several" else ("web",)
        source = pretrained(kind, names, seed, source_rate)
        model = transfer.fine_tuning(source, model, tokens_of(names), tokens_of(("app",))).model
    if visits:
        held_out = app.part("validation", shop.labels_to_validate(visits))
        fit(model, kind, app.part("train", visits), held_out, seed, learning_rate=learning_rate,
            **budget_of(visits))
    parts = {"validation": app.part("validation", max(shop.labels_to_validate(visits), 100)),
             "test": app.part("test", TEST)}
    found = {part: judged(scores_of(model, kind, w), w.next_item[w.next_item > 0]) for part, w in parts.items()}
    return {"validation": found["validation"]["hit_rate"], "test": found["test"]["hit_rate"],
            "log_loss": found["test"]["log_loss"]}


def measure_simple(visits, seed):
    """HR@10 on the app: popularity of all training visits, chains and neighbors, own and pooled, and the oracle."""
    app = platform_of("app", seed)
    test, size = app.part("test", TEST), len(app.tokens) + 2
    everything, few = app.part("train"), app.part("train", visits)
    held_out = app.part("validation", shop.labels_to_validate(visits))
    popular = baselines.Popularity().fit(everything.inputs["items"], everything.next_item, size)
    found = {"popularity": shop.hit_rate_of(popular.scores(test.inputs["items"]), test)}
    old = [shop.windows_of(platform_of(name, seed).events.query(f"session_id < {VISITS // len(SEVERAL)}"), app.tokens)
           for name in SEVERAL]
    for method, make in (("Markov chain", baselines.MarkovChain), ("item-kNN", baselines.ItemKNN)):
        tried = [shop.fit_on_both(make(), few, old, weight, size) for weight in WEIGHTS]
        hits = [shop.hit_rate_of(model.scores(held_out.inputs["items"]), held_out) for model in tried]
        for name, model in ((method, tried[0]), (f"pooled {method}", tried[int(np.argmax(hits))])):
            found[name] = shop.hit_rate_of(model.scores(test.inputs["items"]), test)
    return {**found, "oracle": oracle_of(app)}


def oracle_of(platform):
    """HR@10 of the oracle on the test visits that the networks are judged on."""
    whole = platform.with_history()
    rows = np.sort(np.random.default_rng(platform.seed).permutation(shop.HELD_OUT)[:TEST])
    whole = shop.Windows({name: v[rows] for name, v in whole.inputs.items()}, *(v[rows] for v in whole[1:]))
    return shop.hit_rate_of(shop.true_next_items(platform, *shop.hidden_states(platform, whole)), whole)


def measure_scaling(kind, width, visits, seed):
    """Log loss on the web site's test visits: a causal Transformer of some width, or an LSTM of so many units."""
    web = platform_of("web", seed, MOST)
    sizes = {"n_actions": len(ACTIONS) + 1, "item_attributes": attributes_of(("web",)), "seed": seed}
    n_items = len(web.tokens) + 2
    if kind == "LSTM":
        model = sequence.build_next_item(n_items, **sizes, embedding=width // 2, units=width)
    else:
        model = transformers.build_causal(n_items, **sizes, width=width, length=shop.LENGTH)
    held_out, test = web.part("validation", 300), web.part("test")
    train = web.part("train", visits)
    sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item), seed=seed,
                   learning_rate=RATES[width], epochs=PASSES[visits], batch_size=64)
    numbers = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return {"numbers": numbers, **judged(scores_of(model, kind, test), test.next_item[test.next_item > 0])}


def measure_limit(seed):
    """Log loss on the web site's test visits, in nats: shares of all items, and the oracle."""
    web = platform_of("web", seed, MOST)
    train, whole = web.part("train"), web.with_history()
    asked = whole.next_item > 0
    actions, states = shop.hidden_states(web, whole)
    truth = oracle.next_item_probabilities(web.truth, states, actions)[asked]
    target = whole.next_item[asked] - 2
    shares = np.bincount(train.next_item[train.next_item > 0] - 2, minlength=len(web.tokens)) + 1
    return {"floor": round(float(-np.log(shares / shares.sum())[target].mean()), 4),
            "limit": round(float(-np.log(truth[np.arange(len(target)), target]).mean()), 4)}


REAL_SOURCE = 1500  # baskets of the five stores to learn from


def build_real(kind, log, seed):
    """Build a network for categories of groceries; baskets have no actions."""
    n_items, sizes = len(log.tokens) + 2, {"item_attributes": log.described, "seed": seed}
    if kind == "LSTM":
        return sequence.build_next_item(n_items, **sizes, **LSTM_SIZES)
    return TRANSFORMERS[kind](n_items, **sizes, width=WIDTH, length=real.LENGTH)


@lru_cache(maxsize=4)
def pretrained_real(kind, seed, learning_rate):
    """Train a network on baskets of the five largest stores."""
    log = real.log_of("journey")
    model, train = build_real(kind, log, seed), real.windows_of(log, "source train", REAL_SOURCE, seed)
    fit(model, kind, train, None, seed, learning_rate=learning_rate, **SOURCE_BUDGET)
    return model


def measure_real(kind, start, visits, seed, source_rate, learning_rate):
    """HR@10 of the next category in the baskets of the sixth store."""
    log = real.log_of("journey")
    train, test = real.windows_of(log, "target train", visits, seed), real.windows_of(log, "target test")
    held_out = real.windows_of(log, "target validation", real.visits_to_validate(visits), seed)
    model = build_real(kind, log, 100 + seed)
    if start != "scratch":
        model = transfer.fine_tuning(pretrained_real(kind, seed, source_rate), model).model
    fit(model, kind, train, held_out, seed, learning_rate=learning_rate, **budget_of(visits))
    validation = judged(scores_of(model, kind, held_out), held_out.next_item[held_out.next_item > 0])["hit_rate"]
    return {"validation": validation, "test": over_drawn_baskets(scores_of(model, kind, test), test, seed)}


def over_drawn_baskets(scores, windows, seed, k=10):
    """HR@k over as many baskets as there are, drawn with replacement: seeds then differ in the baskets, too."""
    asked = windows.next_item > 0
    hits = metrics.target_ranks(scores, windows.next_item[asked]) <= k
    of_basket = shop.pd.Series(hits.astype(float)).groupby(np.repeat(windows.session, asked.sum(axis=1)))
    of_basket = of_basket.agg(["sum", "size"])
    drawn = of_basket.iloc[np.random.default_rng(seed).integers(len(of_basket), size=len(of_basket))]
    return round(float(drawn["sum"].sum() / drawn["size"].sum()), 4)


def measure_real_simple(visits, seed):
    """HR@10 of baselines in the same baskets, learnt from both groups of stores."""
    log = real.log_of("journey")
    test = real.windows_of(log, "target test")
    both = [real.windows_of(log, "source train", REAL_SOURCE, seed), real.windows_of(log, "target train", visits, seed)]
    items = np.concatenate([windows.inputs["items"] for windows in both])
    asked = np.concatenate([windows.next_item for windows in both])
    scores = {name: make().fit(items, asked, len(log.tokens) + 2).scores(test.inputs["items"])[test.next_item > 0]
              for name, make in real.BASELINES.items()}
    return {name: over_drawn_baskets(found, test, seed) for name, found in scores.items()}
