"""The measurements of notebook 08 on catalogues that share more or fewer items: a call gives one row of a table.

The app sells a share of the web site's items, from all to none; customers stay the same ones. Encoder and head are
carried over as ever, the head's columns by the names of the items. What differs is the item table at the input:

    remapped    the rows of shared items are copied, the others start anew
    hashed      both platforms look an item up by a hash of its name, so every row is copied, whoever it belonged to
    anew        no row is copied
    scratch     nothing is copied, neither table nor encoder nor head
"""

import sys
from functools import lru_cache
from zlib import crc32

import numpy as np

from experiments import embedding_lstm as shop
from experiments import transfer as study
from helpers.data import simulator
from helpers.data.simulator import REFERENCE
from helpers.models import sequence, transfer

CODE = [sys.modules[__name__], *study.CODE]
BUCKETS = REFERENCE["items"]  # so that a hashed table has as many rows as any other


class Hashed(study.Drawn):
    """Visits whose items are read as buckets; the items to predict keep their own numbers."""

    def part(self, name, count=None):
        windows = super().part(name, count)
        rows = np.array([0, 1, *(2 + crc32(token.encode()) % BUCKETS for token in self.tokens)])
        return windows._replace(inputs=windows.inputs | {"items": rows[windows.inputs["items"]]})


@lru_cache(maxsize=4)
def platform_of(name, overlap, seed, kind):
    """Draw the web site, or an app that sells a share of its items."""
    truth = simulator.make_shop({"web": 0.0, "app": 0.2}, item_overlap=overlap, seed=REFERENCE["shop_seed"])[name]
    return kind(truth, seed, REFERENCE["source_sessions" if name == "web" else "target_sessions"])


@lru_cache(maxsize=2)
def hashed_source(seed):
    """Train the web site's model on items that are read as buckets."""
    web, model = platform_of("web", 1.0, seed, Hashed), shop.build(None, seed)
    train, held_out = web.part("train"), web.part("validation")
    sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                   seed=seed, **shop.SOURCE_BUDGET)
    return model


def measure_overlap(overlap, visits, seed, inputs, table, learning_rate):
    """HR@10 of one network on an app that shares `overlap` of its items, with or without attributes as inputs."""
    app = platform_of("app", overlap, seed, Hashed if table == "hashed" else study.Drawn)
    model = fresh = shop.build(None if inputs == "ids" else study.described_as_on_web(app.truth.items), 100 + seed)
    if table != "scratch":
        source = hashed_source(seed) if table == "hashed" else shop.source_model(seed, inputs)
        model = transfer.fine_tuning(source, fresh, shop.platform_of("web", 0.0, seed).tokens, app.tokens).model
        if table != "remapped":
            given = source if table == "hashed" else fresh
            model.get_layer("item_embedding").set_weights(given.get_layer("item_embedding").get_weights())
    study.fit(model, app, visits, learning_rate, seed)
    parts = {"validation": app.part("validation", shop.labels_to_validate(visits)), "test": app.part("test")}
    return {name: shop.hit_rate_of(model.predict(part.inputs, batch_size=256, verbose=0), part)
            for name, part in parts.items()}
