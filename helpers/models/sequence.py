"""Embedding-LSTM and Embedding-GRU models of event sequences.

Each model reads a window of events, padded with 0 on the right, and answers at every event: which item, which
action, or whether a purchase follows. All share one trunk, so that what one has learnt can be copied into another
by layer name:

    items (ids) ───┬ item_embedding ────┐
                   └ item_attributes ───┤
    actions (ids) ── action_embedding ──┼─ joined ── encoder (LSTM or GRU) ── dropout ── next_item
    features (floats) ──────────────────┘                                             | next_action | will_buy

Where the attributes of the items are given (category, brand, price, ...), they stand beside the ids on both ends:
as fixed rows of `item_attributes` on the way in, and on the way out, where the score of an item is its own
(`next_item`) plus that of its attributes (`next_attributes`, summed by the fixed `attribute_scores`). What is learnt
about attributes holds for items that were never seen.

Inputs are a dict of arrays: `items` (n, length) int, and where they were asked for `actions` (n, length) int and
`features` (n, length, n_features) float32. Outputs are logits; positions whose target is 0 do not count.

Source: Hidasi, B. et al. (2016), Session-based recommendations with recurrent neural networks, arXiv 1511.06939.
Items as sums over their attributes: Kula, M. (2015), Metadata embeddings for user and item cold-start
recommendations, arXiv 1507.08439.
"""

import keras
import numpy as np
import tensorflow as tf

CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def build_next_item(n_items, n_actions=0, n_features=0, *, item_attributes=None,
                    embedding=32, units=64, cell="lstm", dropout=0.0, seed=0):
    """Build a model that scores every item as the next one.

    Args:
        n_items: Size of the item vocabulary, with padding (0) and unknown (1).
        n_actions: Size of the action vocabulary, with padding; 0 leaves actions out.
        n_features: Number of numeric features of an event; 0 leaves them out.
        item_attributes: (n_items, k) numbers that describe each item, zeros for padding and unknown; None for
            ids alone.
        embedding: Width of the item embedding; actions get a quarter of it.
        units: Width of the recurrent layer.
        cell: `lstm` or `gru`.
        dropout: Share of the encoder's outputs that are dropped while training.
        seed: Seed of the initial weights and of dropout.

    Returns:
        Functional `keras.Model` with output (n, length, n_items), logits.

    Raises:
        ValueError: If a size is too small, the cell is unknown, dropout is outside [0, 1), or item_attributes do
            not have a row for each token or hold a missing value.

    Example:
        >>> model = build_next_item(n_items=50, n_actions=5, units=8)
        >>> model.output_shape
        (None, None, 50)
    """
    return _build("next_item", n_items, n_items, n_actions, n_features, item_attributes,
                  embedding, units, cell, dropout, seed)


def build_next_action(n_items, n_actions=6, n_features=0, *, item_attributes=None,
                      embedding=32, units=64, cell="lstm", dropout=0.0, seed=0):
    """Build a model that scores every action as the next one, the end of the session among them.

    Args, raises: as `build_next_item`. n_actions counts padding and every action, also those that are only ever
        predicted, such as leave.

    Returns:
        Functional `keras.Model` with output (n, length, n_actions), logits.

    Example:
        >>> build_next_action(n_items=50, units=8).output_shape
        (None, None, 6)
    """
    return _build("next_action", n_actions, n_items, n_actions, n_features, item_attributes,
                  embedding, units, cell, dropout, seed)


def build_will_buy(n_items, n_actions=0, n_features=0, *, item_attributes=None,
                   embedding=32, units=64, cell="lstm", dropout=0.0, seed=0):
    """Build a model that says whether a purchase follows later in the session.

    Args, raises: as `build_next_item`.

    Returns:
        Functional `keras.Model` with output (n, length, 3), logits of padding, no and yes (targets 0, 1 and 2), so
        that one loss serves all three models.

    Example:
        >>> build_will_buy(n_items=50, units=8).output_shape
        (None, None, 3)
    """
    return _build("will_buy", 3, n_items, n_actions, n_features, item_attributes,
                  embedding, units, cell, dropout, seed)


def _build(head, n_classes, n_items, n_actions, n_features, attributes, embedding, units, cell, dropout, seed):
    _check_sizes(n_items, n_actions, n_features, embedding, units, cell, dropout)
    attributes = _checked_attributes(attributes, n_items)
    seeds = iter(range(seed * 10, seed * 10 + 10))
    items = keras.Input((None,), dtype="int32", name="items")
    inputs, parts = [items], [_embed(items, n_items, embedding, "item_embedding", next(seeds))]
    if n_actions:
        inputs.append(keras.Input((None,), dtype="int32", name="actions"))
        parts.append(_embed(inputs[-1], n_actions, max(embedding // 4, 1), "action_embedding", next(seeds)))
    if n_features:
        inputs.append(keras.Input((None, n_features), name="features"))
        parts.append(inputs[-1])
    if attributes is not None:
        parts.append(_fixed(keras.layers.Embedding, *attributes.shape, name="item_attributes")(items))
    joined = keras.layers.Concatenate(name="joined")(parts) if len(parts) > 1 else parts[0]
    encoded = CELLS[cell](
        units, return_sequences=True, name="encoder", seed=seed,  # else Keras draws one from the global state
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
    )(joined)
    encoded = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(encoded)
    logits = _dense(n_classes, head, next(seeds))(encoded)
    if attributes is not None and head == "next_item":
        wanted = _dense(attributes.shape[1], "next_attributes", next(seeds))(encoded)
        by_attributes = _fixed(keras.layers.Dense, n_items, use_bias=False, name="attribute_scores")(wanted)
        logits = keras.layers.Add(name="scores")([logits, by_attributes])
    return _with_attributes(keras.Model({x.name: x for x in inputs}, logits, name=f"{head}_{cell}"), attributes)


def _embed(ids, size, width, name, seed):
    initializer = keras.initializers.RandomUniform(-0.05, 0.05, seed)
    return keras.layers.Embedding(size, width, embeddings_initializer=initializer, name=name)(ids)


def _dense(units, name, seed):
    return keras.layers.Dense(units, name=name, kernel_initializer=keras.initializers.GlorotUniform(seed))


def _fixed(layer, *sizes, **settings):
    """A layer that is never trained; its table is filled in when the model stands."""
    return layer(*sizes, trainable=False, **settings)


def _with_attributes(model, attributes):
    for layer in model.layers:
        if layer.name == "item_attributes":
            layer.set_weights([attributes])
        if layer.name == "attribute_scores":
            layer.set_weights([attributes.T])
    return model


def _checked_attributes(attributes, n_items):
    if attributes is None:
        return None
    attributes = np.asarray(attributes, "float32")
    if attributes.ndim != 2 or len(attributes) != n_items:
        raise ValueError(f"item_attributes have shape {attributes.shape}: expected ({n_items}, k), a row for "
                         "each token, padding and unknown first")
    if not np.isfinite(attributes).all():
        raise ValueError(f"item_attributes of token {(~np.isfinite(attributes)).any(axis=1).argmax()} hold a "
                         "missing value: fill it, and say so by a column of its own")
    return attributes


def _check_sizes(n_items, n_actions, n_features, embedding, units, cell, dropout):
    if n_items < 3:
        raise ValueError(f"n_items counts padding, unknown and at least one item; found {n_items}")
    if min(n_actions, n_features) < 0 or min(embedding, units) < 1:
        raise ValueError("n_actions and n_features must be at least 0, embedding and units at least 1; found "
                         f"{n_actions}, {n_features}, {embedding}, {units}")
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {sorted(CELLS)}; found {cell!r}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1); found {dropout}")


def train(model, inputs, targets, validation=None, *,
          learning_rate=3e-3, epochs=10, batch_size=64, patience=None, seed=0, jit_compile="auto"):
    """Train a model of this file, and keep the weights of its best epoch.

    Args:
        model: A model of this file; trained in place.
        inputs: Dict of input arrays, as in the module's text.
        targets: (n, length) int; 0 where nothing is to be predicted.
        validation: Pair (inputs, targets), or None. Without it the last epoch is kept.
        learning_rate: Adam's step size.
        epochs: Greatest number of passes over the data.
        batch_size: Windows in a step.
        patience: Epochs without a better validation loss after which training stops; None goes on to the end.
        seed: Seed of the order of the windows.
        jit_compile: `auto` leaves it to Keras, which compiles no LSTM; True compiles the step with XLA, which
            takes seconds at the start: time both before you rely on it.

    Returns:
        Dict of lists: loss, and val_loss where there is a validation set, one value an epoch.

    Raises:
        ValueError: If shapes do not fit, windows are padded on the left, or no position has a target.

    Example:
        >>> model = build_next_item(n_items=5, units=4)
        >>> history = train(model, {"items": np.array([[2, 3, 0]])}, np.array([[3, 4, 0]]), epochs=2)
        >>> len(history["loss"])
        2
    """
    _check_targets(model, inputs, targets)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate, clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        jit_compile=jit_compile,
    )
    model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the step twice
    best = keras.callbacks.EarlyStopping(patience=patience or epochs, restore_best_weights=True)
    history = model.fit(
        _batches(inputs, targets, batch_size, _orders(len(targets), epochs, seed)),
        steps_per_epoch=-(-len(targets) // batch_size),
        validation_data=validation and tf.data.Dataset.from_tensor_slices(tuple(validation)).batch(256),
        epochs=epochs,
        shuffle=False,  # the orders are drawn already
        callbacks=[best] if validation else [],
        verbose=0,
    )
    return history.history


def _orders(windows, epochs, seed):
    """An order of the windows for each epoch, (epochs, windows), in which no global random state has a part."""
    random = np.random.default_rng(seed)
    order, orders = random.permutation(windows), np.empty((epochs, windows), int)
    for epoch in range(epochs):
        random.shuffle(order)
        orders[epoch] = order
    return orders


def _batches(inputs, targets, batch_size, orders):
    """All batches of all epochs, one after another."""
    windows = {name: tf.constant(values) for name, values in inputs.items()}, tf.constant(targets)
    epochs = tf.data.Dataset.from_tensor_slices(orders)
    rows = epochs.flat_map(lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch_size))
    return rows.map(lambda rows: tf.nest.map_structure(lambda values: tf.gather(values, rows), windows)).prefetch(1)


def _check_targets(model, inputs, targets):
    missing = {x.name for x in model.inputs} - set(inputs)
    if missing:
        raise ValueError(f"inputs lack {sorted(missing)}, which the model reads")
    for name, values in inputs.items():
        if values.shape[:2] != targets.shape:
            raise ValueError(f"inputs[{name!r}] is {values.shape}, but targets are {targets.shape}: both start "
                             "with (windows, length)")
    classes = model.output_shape[-1]
    if not 0 <= targets.min() <= targets.max() < classes:
        raise ValueError(f"targets must lie between 0 and {classes - 1}; found {targets.min()} to "
                         f"{targets.max()}")
    shown = inputs["items"] != 0
    if (shown[:, 1:] & ~shown[:, :-1]).any():
        raise ValueError("inputs['items'] has an item after a 0: pad on the right, as session_windows does")
    if not targets.any():
        raise ValueError("every target is 0, so there is nothing to learn: check the window length and the "
                         "vocabulary")
