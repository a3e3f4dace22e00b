"""The measurements of notebook 11 on the simulated shop: a call gives one row of a table.

The app sells none of the web site's items. Its titles are made of the web site's words (`same`), or of words of its
own (`own`). A seed draws customers, visits, labels, typing errors, named pairs, first weights and the order of the
batches; the shop stays.
"""

import sys
from functools import lru_cache

import numpy as np

from experiments import embedding_lstm as shop
from experiments import transfer as study
from helpers.data import attributes, simulator
from helpers.data.simulator import REFERENCE
from helpers.evaluation import baselines, metrics, oracle
from helpers.models import minilm, sequence, text

CODE = [sys.modules[__name__], shop, study, attributes, simulator, baselines, metrics, oracle, minilm, sequence, text]
OWN_WORDS = {
    "boots": "ankle shoes", "sandals": "flip-flops", "shirt": "blouse", "dress": "gown", "jacket": "coat",
    "jeans": "denim trousers", "hat": "cap", "bag": "purse", "scarf": "shawl", "watch": "timepiece",
    "belt": "waistband", "gloves": "mittens", "basic": "budget", "classic": "traditional", "premium": "luxury",
}  # fmt: skip
NAMED = 40  # titles whose partner a person has named, for the trained encoder
WIDTH = 256  # of n-gram vectors, as long as static ones; sentence vectors have 384 numbers
N_FEATURES = 4096  # n-grams that the trained encoder reads
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))


def titles_of(items, words="same"):
    """Titles of a catalogue: the shop's own, or the same products in another shop's words."""
    if words == "same":
        return items["title"].tolist()
    return [f"{OWN_WORDS[tier]} {OWN_WORDS[category]} by {brand}"
            for tier, category, brand in items[["tier", "category", "brand"]].to_numpy()]


def mistyped(titles, seed=0):
    """Each title with two wrong letters."""
    rng, wrong = np.random.default_rng(seed), []
    for title in titles:
        letters = list(title)
        for place in rng.choice(len(letters), 2, replace=False):
            letters[place] = rng.choice(LETTERS)
        wrong.append("".join(letters))
    return wrong


@lru_cache(maxsize=4)
def platform_of(name, shift, seed):
    """Draw a platform, `web` or `app`, as in notebook 07, but with catalogues that have no item in common."""
    platforms = simulator.make_shop({"web": 0.0, "app": shift}, item_overlap=0.0, seed=REFERENCE["shop_seed"])
    return study.Drawn(platforms[name], seed, REFERENCE["source_sessions" if name == "web" else "target_sessions"])


@lru_cache(maxsize=8)
def trained_encoder(seed, named=NAMED):
    """An encoder that learnt from some web titles and their partners in the app's words."""
    items = platform_of("web", 0.0, seed).truth.items.drop_duplicates("title")
    named = items.sample(NAMED, random_state=seed).head(named)
    left, right = (text.ngram_vectors(titles_of(named, words), N_FEATURES) for words in ("same", "own"))
    encoder = text.build_encoder(128, N_FEATURES, seed=seed)
    text.train_encoder(encoder, left, right)
    return encoder


def encode(titles, encoder, seed=0):
    """Vectors of titles: `n-grams`, `static`, `sentence` or `trained`."""
    if encoder == "n-grams":
        return text.ngram_vectors(titles, WIDTH)
    if encoder == "static":
        return text.static_vectors(titles)
    if encoder == "sentence":
        return sentences(tuple(titles))
    return trained_encoder(seed).predict(text.ngram_vectors(titles, N_FEATURES), verbose=0)


@lru_cache(maxsize=4)
def sentences(titles):
    """Vectors by the published sentence encoder, which takes seconds for a catalogue."""
    return minilm.sentence_vectors(titles)


def vectors_of(name, shift, words, encoder, seed):
    """Table of a catalogue's vectors: of its titles, or of its `attributes`, where words do not matter."""
    items = platform_of(name, shift, seed).truth.items
    if encoder == "attributes":
        scaler = attributes.fit_attributes(platform_of("web", 0.0, seed).truth.items)
        return attributes.extract_attributes(items, scaler, items["item_id"])[0]
    return text.with_reserved(encode(titles_of(items, words), encoder, seed))


@lru_cache(maxsize=4)
def source_model(seed, encoder):
    """Train the web site's model of the next item, which reads vectors."""
    web = platform_of("web", 0.0, seed)
    model = text.build_next_item_from_vectors(vectors_of("web", 0.0, "same", encoder, seed), len(shop.ACTIONS) + 1,
                                              seed=seed)
    train, validation = web.part("train"), web.part("validation")
    sequence.train(model, train.inputs, train.next_item, (validation.inputs, validation.next_item),
                   seed=seed, **shop.SOURCE_BUDGET)
    return model


def hit_rates(scores, windows, shift, seed):
    """HR@10 of all next items, and of those whose title no item of the web site has."""
    app, web = (platform_of(*case, seed).truth.items["title"] for case in (("app", shift), ("web", 0.0)))
    is_new = np.concatenate([[False, False], ~app.isin(web)])
    new = windows._replace(next_item=np.where(is_new[windows.next_item], windows.next_item, 0))
    return {"score": shop.hit_rate_of(scores, windows), "new": shop.hit_rate_of(scores, new)}


def measure_match(seed, spoilt, encoder, named):
    """Share of the web site's titles whose nearest neighbor is their partner: with `typos`, or in `own words`.

    The trained encoder learns from as many named pairs; all that a person may have named are left out.
    """
    items = platform_of("web", 0.0, seed).truth.items.drop_duplicates("title")
    asked = ~items.index.isin(items.sample(NAMED, random_state=seed).index)
    titles = titles_of(items)
    other = mistyped(titles, seed) if spoilt == "typos" else titles_of(items, "own")
    if encoder == "trained":
        read = trained_encoder(seed, named).predict
        left, right = (read(text.ngram_vectors(rows, N_FEATURES), verbose=0) for rows in (titles, other))
    else:
        left, right = encode(titles, encoder), encode(other, encoder)
    return {"score": round(float(np.mean(text.match_ranks(left[asked], right, np.flatnonzero(asked)) == 1)), 4)}


def measure_limits(shift, seed, method):
    """Score the app's test visits by the oracle, or by a baseline of all its training visits."""
    app = platform_of("app", shift, seed)
    train, test, whole = app.part("train"), app.part("test"), app.with_history()
    if method in shop.BASELINES:
        model = shop.BASELINES[method](None).fit(train.inputs["items"], train.next_item, len(app.tokens) + 2)
        return hit_rates(model.scores(test.inputs["items"]), test, shift, seed)
    return hit_rates(shop.true_next_items(app, *shop.hidden_states(app, whole)), whole, shift, seed)


def measure_zero(shift, seed, words, encoder, method):
    """Rank the app's items with no visit of the app: by the web site's `network`, or by `content-kNN`.

    `shuffled` is the network with the app's titles dealt out at random.
    """
    app, test = platform_of("app", shift, seed), platform_of("app", shift, seed).part("test")
    vectors = vectors_of("app", shift, words, encoder, seed)
    if method == "content-kNN":
        every = np.arange(2, len(vectors))[None]  # each item once: no popularity
        model = baselines.ContentKNN(vectors).fit(every, every, len(vectors))
        return hit_rates(model.scores(test.inputs["items"]), test, shift, seed)
    if method == "shuffled":
        vectors[2:] = np.random.default_rng(seed).permutation(vectors[2:])
    model = text.swap_catalogue(source_model(seed, encoder), vectors)
    return hit_rates(model.predict(test.inputs, verbose=0), test, shift, seed)


def measure_few(shift, seed, encoder, visits, method, learning_rate, weight):
    """Rank the app's items, whose titles have the web site's words, after some visits with labels.

    A network is scored as it is, and corrected by how often items came, at a prior of `weight` views.
    """
    app = platform_of("app", shift, seed)
    train = app.part("train", visits)
    parts = {"validation": app.part("validation", shop.labels_to_validate(visits)), "test": app.part("test")}
    vectors = vectors_of("app", shift, "same", encoder, seed)
    if method in shop.BASELINES:
        model = shop.BASELINES[method](vectors).fit(train.inputs["items"], train.next_item, len(vectors))
        return {name: shop.hit_rate_of(model.scores(part.inputs["items"]), part) for name, part in parts.items()}
    if method == "scratch":
        model = text.build_next_item_from_vectors(vectors, len(shop.ACTIONS) + 1, seed=100 + seed)
    else:
        model = text.swap_catalogue(source_model(seed, encoder), vectors)
    if method != "zero-shot":
        held_out = parts["validation"]
        sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                       learning_rate=learning_rate, seed=seed, **shop.BUDGET)
    few, found = model.predict(train.inputs, verbose=0), {}
    for name, part in parts.items():
        scores = model.predict(part.inputs, verbose=0)
        corrected = text.correct_by_popularity(scores, few, train.next_item, weight)
        found[name], found[f"{name}_corrected"] = shop.hit_rate_of(scores, part), shop.hit_rate_of(corrected, part)
    return found
