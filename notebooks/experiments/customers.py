"""The measurements of notebook 08 on platforms that share more or fewer customers: a call gives one row of a table.

A visit starts with an event that names its customer, by a row of the table that otherwise holds the actions. Both
platforms draw customers from one seed, so the app's n-th customer is of the same type as the web site's n-th: a share
of them are these people and bring their names along, the others are strangers. Their visits stay the same at every
share; what differs is what the network is told, and what it makes of it:

    nameless    every visit starts with the same event
    remapped    a known customer has the row that the web site's visits have taught, a stranger a new one
    hashed      a hash of the name says which row, so every row was taught, by whoever it belonged to
    anew        no row of a customer is copied
"""

import sys
from functools import lru_cache
from zlib import crc32

import numpy as np
import pandas as pd

from experiments import embedding_lstm as shop
from experiments import transfer as study
from helpers.data import simulator
from helpers.data.simulator import ACTIONS, REFERENCE, SEARCH, VIEW
from helpers.evaluation import oracle
from helpers.models import sequence, transfer

CODE = [sys.modules[__name__], *study.CODE]
KNOWN = REFERENCE["source_sessions"] // 2  # more than the web site has customers
ROWS = 1 + 2 * KNOWN  # of the nameless, of customers of the web site, and of strangers
SHIFTS = {"web": 0.0, "app": 0.2}
ITEMS, FIRST_ROW = REFERENCE["items"] + 2, len(ACTIONS) + 1


class Visitors(shop.Platform):
    """Visits of one platform, each after an event that says which row of the table its customer has."""

    def __init__(self, name, seed, naming, share):
        super().__init__(name, SHIFTS[name], seed, REFERENCE["source_sessions" if name == "web" else "target_sessions"])
        arrivals = self.events.drop_duplicates("session_id")
        row = self._rows_of(arrivals["user_id"].str[-6:].astype(int).to_numpy(), naming, share)
        arrivals = arrivals.assign(event_type="arrival", item_id=[f"row {number}" for number in row])
        self.events = pd.concat([arrivals, self.events]).sort_values("session_id", kind="stable")
        self.catalogue, self.tokens = self.tokens, [*self.tokens, *(f"row {number}" for number in range(ROWS))]

    def _rows_of(self, customer, naming, share):
        if naming == "nameless":
            return np.zeros_like(customer)
        stranger = np.random.default_rng(self.seed).random(KNOWN)[customer] >= share
        if naming == "hashed":
            return np.array([1 + crc32(f"{number} {new}".encode()) % KNOWN for number, new in zip(customer, stranger)])
        return 1 + customer + KNOWN * stranger

    def part(self, name, count=None):
        """Windows as ever; the row of a customer stands among the actions, at an item that is none."""
        windows = super().part(name, count)
        items, actions = windows.inputs["items"], windows.inputs["actions"]
        arrives = items >= ITEMS
        inputs = {"items": np.where(arrives, 1, items), "actions": np.where(arrives, items - ITEMS + FIRST_ROW, actions)}
        return windows._replace(inputs=inputs)


def build(name, seed):
    """An Embedding-LSTM with attributes, and a row for each customer beside those of the actions."""
    return sequence.build_next_item(ITEMS, FIRST_ROW + ROWS, item_attributes=shop.attributes_of(name, SHIFTS[name]),
                                    seed=seed, **shop.SIZES)


@lru_cache(maxsize=2)
def source_model(seed, naming):
    """Train the web site's model, which sees its customers as nameless, by rows of their own, or hashed."""
    web, model = Visitors("web", seed, naming, 1.0), build("web", seed)
    train, held_out = web.part("train"), web.part("validation")
    sequence.train(model, train.inputs, train.next_item, (held_out.inputs, held_out.next_item),
                   seed=seed, **shop.SOURCE_BUDGET)
    return model


def measure_names(share, visits, seed, naming, learning_rate):
    """Fine-tune on some of the app's visits; HR@10 at every event, and at the arrival alone."""
    app, fresh = Visitors("app", seed, naming, share), build("app", 100 + seed)
    source = source_model(seed, "remapped" if naming == "anew" else naming)
    web_tokens = shop.platform_of("web", SHIFTS["web"], seed).tokens
    model = transfer.fine_tuning(source, fresh, web_tokens, app.catalogue).model
    if naming == "anew":
        (table,), (new,) = (net.get_layer("action_embedding").get_weights() for net in (model, fresh))
        model.get_layer("action_embedding").set_weights([np.concatenate([table[:FIRST_ROW], new[FIRST_ROW:]])])
    study.fit(model, app, visits, learning_rate, seed)
    validation, test = app.part("validation", shop.labels_to_validate(visits)), app.part("test")
    scores = model.predict(test.inputs, batch_size=256, verbose=0)
    return {"validation": shop.hit_rate_of(model.predict(validation.inputs, batch_size=256, verbose=0), validation),
            "test": shop.hit_rate_of(scores, test),
            "arrival": hit_rate_on_arrival(scores, test)}


def measure_source(seed, naming):
    """HR@10 on arrival of the web site's own model: on visits that it was trained with, and on later ones."""
    web, model = Visitors("web", seed, naming, 1.0), source_model(seed, naming)
    parts = {"trained with": web.part("train", shop.HELD_OUT), "later": web.part("test")}
    return {name: hit_rate_on_arrival(model.predict(part.inputs, batch_size=256, verbose=0), part) for name, part in parts.items()}


def hit_rate_on_arrival(scores, windows):
    """HR@10 of the first item of a visit, where the customer is all that is known."""
    arrives = windows.inputs["actions"] >= FIRST_ROW
    return shop.hit_rate_of(scores, windows._replace(next_item=np.where(arrives, windows.next_item, 0)))


def measure_limit(seed, knows):
    """HR@10 of the oracle that is told each `customer`'s type, or `nothing`; at every event, and at the arrival alone."""
    app = shop.platform_of("app", SHIFTS["app"], seed)
    whole = app.with_history()
    viewed_first = np.where(whole.inputs["actions"][:, 0] == VIEW + 1, whole.inputs["items"][:, 0], 0)
    asked = whole._replace(next_item=np.concatenate([viewed_first[:, None], whole.next_item], axis=1))
    types = np.eye(REFERENCE["types"])[types_of_test_visits(app)] if knows == "customer" else app.truth.types[None]
    likely = true_items_from_arrival(app, types, whole.inputs["actions"] - 1, whole.inputs["items"] - 2)
    arrival = np.where(np.arange(asked.next_item.shape[1]) == 0, asked.next_item, 0)
    return {"limit": shop.hit_rate_of(likely, asked), "arrival": shop.hit_rate_of(likely, asked._replace(next_item=arrival))}


def types_of_test_visits(app):
    """The hidden type of the customer of each test visit."""
    customers = simulator.draw_users(app.truth, app.events["user_id"].nunique(), seed=app.seed)["user_type"].to_numpy()
    tested = app.events[app.events["session_id"] >= app.visits + shop.HELD_OUT].drop_duplicates("session_id")
    return customers[tested["user_id"].str[-6:].astype(int)]


def true_items_from_arrival(app, types, actions, items):
    """The oracle's probabilities of the next item, before the first event and after each, (n, 1 + length, tokens).

    `types` (n or 1, types) is what it is told of a visit's customer.
    """
    truth = app.truth
    start = types @ truth.initial * truth.action[:, VIEW] / truth.action[:, [VIEW, SEARCH]].sum(axis=1)
    first = np.pad(start / start.sum(axis=1, keepdims=True) @ truth.emission, ((0, 0), (2, 0)))
    later = shop.true_next_items(app, actions, oracle.filter_states(truth, actions, items, types)[0])
    return np.concatenate([np.broadcast_to(first[:, None], (len(later), 1, ITEMS)), later], axis=1)
