"""Transformers over event sequences: a causal one, the GPT way, and a masked one, the BERT way.

Both read a window of events, padded with 0 on the right, and score every item at every event:

    items (ids) ───┬ item_embedding ────┐
                   └ item_attributes ───┼─ joined ── event ── positions ── block 1 ... block n ── encoder
    actions (ids) ── action_embedding ──┘                                                            |
                                                             next_item (+ next_attributes) ── dropout

A block is x + attention(norm(x)), then x + dense(relu(dense(norm(x)))). What differs is who looks at whom:

    build_causal   an event sees itself and what came before it; the score at an event is for the *next* item
    build_masked   an event sees all events of its window; the score at an event is for the item *of this event*,
                   which is asked where the item was replaced by the mask token, `n_items`

The names of layers are those of `sequence.py` where they mean the same, so `transfer` can carry weights over. Unlike
SASRec, the scores have a table of their own (`next_item`) and do not reuse `item_embedding`. Scores are logits over
all items, so that the loss is the full softmax and no negatives are sampled.

Inputs are a dict of arrays: `items` (n, length) int and, where they were asked for, `actions` (n, length) int.

Source: the block of Vaswani, A. et al. (2017), Attention is all you need, arXiv 1706.03762, with the norm put first;
causal: Kang, W.-C. & McAuley, J. (2018), Self-attentive sequential recommendation, arXiv 1808.09781; masked: Sun, F.
et al. (2019), BERT4Rec, arXiv 1904.06690.
"""

import keras
import numpy as np


def build_causal(n_items, n_actions=0, *, item_attributes=None, width=48, heads=2, blocks=2, length=20,
                 dropout=0.0, seed=0):
    """Build a Transformer that scores every item as the next one, from what came before.

    Args:
        n_items: Size of the item vocabulary, with padding (0) and unknown (1).
        n_actions: Size of the action vocabulary, with padding; 0 leaves actions out.
        item_attributes: (n_items, k) numbers that describe each item, zeros for padding and unknown; None for
            ids alone.
        width: Numbers that describe an event inside the blocks; a multiple of `heads`.
        heads: Attention heads of a block.
        blocks: Number of blocks; 0 leaves a model that looks at one event alone.
        length: Events of a window; every input has exactly so many columns.
        dropout: Share of numbers that are dropped while training, after the positions, in the blocks and at the
            end.
        seed: Seed of the initial weights and of dropout.

    Returns:
        Functional `keras.Model` with output (n, length, n_items), logits. Train it on targets that hold the next
        item, 0 where nothing is asked.

    Raises:
        ValueError: If a size is too small, width is no multiple of heads, dropout is outside [0, 1), or
            item_attributes do not have a row for each token or hold a missing value.

    Example:
        >>> model = build_causal(n_items=50, n_actions=5, width=8, length=6)
        >>> model.output_shape
        (None, 6, 50)
    """
    return _build(True, n_items, n_actions, item_attributes, width, heads, blocks, length, dropout, seed)


def build_masked(n_items, n_actions=0, *, item_attributes=None, width=48, heads=2, blocks=2, length=20,
                 dropout=0.0, seed=0):
    """Build a Transformer that fills in hidden items, from what stands on both sides.

    Args, raises: as `build_causal`.

    Returns:
        Functional `keras.Model` with output (n, length, n_items), logits of the item at each event. The token
        `n_items` in the inputs hides an item; see `mask_items` for training and `ask_next` for the next item.

    Example:
        >>> model = build_masked(n_items=50, width=8, length=6)
        >>> hidden = np.array([[7, 50, 9, 0, 0, 0]])
        >>> model.predict({"items": hidden}, verbose=0).shape
        (1, 6, 50)
    """
    return _build(False, n_items, n_actions, item_attributes, width, heads, blocks, length, dropout, seed)


def _build(causal, n_items, n_actions, attributes, width, heads, blocks, length, dropout, seed):
    _check_sizes(n_items, n_actions, width, heads, blocks, length, dropout)
    attributes = _checked_attributes(attributes, n_items)
    seeds = iter(range(seed * 100, seed * 100 + 100))
    items = keras.Input((length,), dtype="int32", name="items")
    inputs = {"items": items}
    shown = items if causal else Shown(n_items, name="shown")(items)
    parts = [_embed(n_items, width, "item_embedding", next(seeds))(shown)]
    if not causal:
        parts.append(_embed(2, width, "mask_embedding", next(seeds))(Hidden(n_items, name="hidden")(items)))
    if n_actions:
        inputs["actions"] = keras.Input((length,), dtype="int32", name="actions")
        parts.append(_embed(n_actions, max(width // 4, 1), "action_embedding", next(seeds))(inputs["actions"]))
    if attributes is not None:
        table = keras.layers.Embedding(*attributes.shape, trainable=False, name="item_attributes")
        parts.append(table(shown))
    joined = keras.layers.Concatenate(name="joined")(parts) if len(parts) > 1 else parts[0]
    x = Positions(length, next(seeds), name="positions")(_dense(width, "event", next(seeds))(joined))
    x = keras.layers.Dropout(dropout, seed=next(seeds), name="positions_dropout")(x)
    seen = None if causal else Events(name="events")(items)
    for number in range(1, blocks + 1):
        x = _block(x, seen, f"block_{number}", width, heads, dropout, seeds)
    encoded = keras.layers.LayerNormalization(name="encoder")(x)
    encoded = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(encoded)
    logits = _scores(encoded, n_items, attributes, seeds)
    model = keras.Model(inputs, logits, name="causal" if causal else "masked")
    return _filled(model, attributes, seed)


def _block(x, seen, name, width, heads, dropout, seeds):
    """One block; `seen` says which events may be looked at, None stands for those before."""
    attend = keras.layers.MultiHeadAttention(heads, width // heads, name=f"{name}_attention", seed=next(seeds))
    y = keras.layers.LayerNormalization(name=f"{name}_norm_1")(x)
    y = attend(y, y, use_causal_mask=True) if seen is None else attend(y, y, attention_mask=seen)
    y = keras.layers.Dropout(dropout, seed=next(seeds), name=f"{name}_dropout_1")(y)
    x = keras.layers.Add(name=f"{name}_sum_1")([x, y])
    y = keras.layers.LayerNormalization(name=f"{name}_norm_2")(x)
    y = _dense(2 * width, f"{name}_dense_1", next(seeds), "relu")(y)
    y = _dense(width, f"{name}_dense_2", next(seeds))(y)
    y = keras.layers.Dropout(dropout, seed=next(seeds), name=f"{name}_dropout_2")(y)
    return keras.layers.Add(name=f"{name}_sum_2")([x, y])


def _scores(encoded, n_items, attributes, seeds):
    """One logit an item: its own, plus that of its attributes."""
    logits = _dense(n_items, "next_item", next(seeds))(encoded)
    if attributes is None:
        return logits
    wanted = _dense(attributes.shape[1], "next_attributes", next(seeds))(encoded)
    by_attributes = keras.layers.Dense(n_items, use_bias=False, trainable=False, name="attribute_scores")(wanted)
    return keras.layers.Add(name="scores")([logits, by_attributes])


def _embed(size, width, name, seed):
    initializer = keras.initializers.RandomUniform(-0.05, 0.05, seed)
    return keras.layers.Embedding(size, width, embeddings_initializer=initializer, name=name)


def _dense(units, name, seed, activation=None):
    initializer = keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(units, activation, name=name, kernel_initializer=initializer)


def _filled(model, attributes, seed):
    """Fill in what is given, and draw the attention layers' weights.

    A seed handed to Keras' layer would give queries, keys and values the same first weights; without one they
    come from the global random state.
    """
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.name == "item_attributes":
            layer.set_weights([attributes])
        if layer.name == "attribute_scores":
            layer.set_weights([attributes.T])
        if isinstance(layer, keras.layers.MultiHeadAttention):
            layer.set_weights([_drawn(weight, random) for weight in layer.get_weights()])
    return model


def _drawn(weight, random):
    """Glorot's uniform draw for a kernel between the width and the heads; a bias stays 0."""
    if weight.ndim < 3:
        return weight
    width = weight.shape[0] if weight.shape[0] >= weight.shape[2] else weight.shape[2]
    limit = np.sqrt(6 / (width + weight.size / width))
    return random.uniform(-limit, limit, weight.shape)


@keras.saving.register_keras_serializable("course")
class Positions(keras.layers.Layer):
    """Adds to each event a vector of its position; learnt, one row a position."""

    def __init__(self, length, seed=0, **settings):
        super().__init__(**settings)
        self.length, self.seed = length, seed

    def build(self, shape):
        initializer = keras.initializers.RandomUniform(-0.05, 0.05, self.seed)
        self.table = self.add_weight(shape=(self.length, shape[-1]), initializer=initializer, name="table")

    def call(self, events):
        return events + self.table

    def get_config(self):
        return {**super().get_config(), "length": self.length, "seed": self.seed}


@keras.saving.register_keras_serializable("course")
class Shown(keras.layers.Layer):
    """Item ids with the mask token replaced by 0, so that its row of every table is that of padding."""

    def __init__(self, mask_token, **settings):
        super().__init__(**settings)
        self.mask_token = mask_token

    def call(self, items):
        return keras.ops.where(items == self.mask_token, 0, items)

    def get_config(self):
        return {**super().get_config(), "mask_token": self.mask_token}


@keras.saving.register_keras_serializable("course")
class Hidden(Shown):
    """1 where the mask token stands, 0 elsewhere."""

    def call(self, items):
        return keras.ops.cast(items == self.mask_token, "int32")


@keras.saving.register_keras_serializable("course")
class Events(keras.layers.Layer):
    """Which events may be looked at: (n, 1, length), false at padding."""

    def call(self, items):
        return (items != 0)[:, None, :]


def mask_items(items, share, mask_token, seed=0):
    """Hide some items of every window, for the training of a masked model.

    Each run of events with one item is hidden whole or not at all: a view and the cart that follows hold the same
    item, and one would give the other away. Padding (0) and unknown (1) are never hidden. A window with an item
    hides at least one run.

    Args:
        items: (n, length) int, padded with 0.
        share: Probability that a run is hidden, in (0, 1].
        mask_token: What stands in the place of a hidden item, `n_items` of the model.
        seed: Seed of the draw; train on several draws.

    Returns:
        (items with the mask token in them, targets that hold the hidden items and 0 elsewhere), both (n, length).

    Raises:
        ValueError: If share is outside (0, 1], items are not (n, length), or hold the mask token or a larger one.

    Example:
        >>> masked, targets = mask_items(np.array([[5, 5, 6, 0]]), share=0.01, mask_token=50, seed=1)
        >>> masked.tolist(), targets.tolist()
        ([[50, 50, 6, 0]], [[5, 5, 0, 0]])
    """
    items = _checked_items(items, mask_token)
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1]; found {share}")
    starts = np.ones(items.shape, bool)
    starts[:, 1:] = items[:, 1:] != items[:, :-1]
    run = np.cumsum(starts, axis=1) - 1
    draws = np.take_along_axis(np.random.default_rng(seed).random(items.shape), run, axis=1)
    draws[items < 2] = np.inf
    hidden = draws <= np.maximum(share, draws.min(axis=1, keepdims=True))
    hidden &= items >= 2
    return np.where(hidden, mask_token, items), np.where(hidden, items, 0)


def ask_next(inputs, asked, mask_token, action=None):
    """Put a mask after an event, so that a masked model can say which item comes next.

    A masked model answers at a mask only, so each question is a window of its own: the events up to the one that
    is asked about, then the mask. In a full window the first event makes room.

    Args:
        inputs: Dict with `items` (n, length) and, if the model reads them, `actions` (n, length).
        asked: (n, length) bool; True at the events after which the next item is asked.
        mask_token: `n_items` of the model.
        action: Token of the action that the next event has, such as the one of a view; needed with actions.

    Returns:
        (dict of arrays (m, length), place (m,) of the mask in each), one row a True of `asked`, in its order.

    Raises:
        ValueError: If shapes do not fit, the mask token is in the items, or actions are there and `action` is not.

    Example:
        >>> questions, place = ask_next({"items": np.array([[5, 6, 7]])}, np.array([[True, False, True]]), 50)
        >>> questions["items"].tolist(), place.tolist()
        ([[5, 50, 0], [6, 7, 50]], [1, 2])
    """
    items = _checked_items(inputs["items"], mask_token)
    if np.shape(asked) != items.shape:
        raise ValueError(f"asked has shape {np.shape(asked)}: expected that of the items, {items.shape}")
    if ("actions" in inputs) != (action is not None):
        raise ValueError("give `action`, the token of the next event's action, where the inputs hold actions, and "
                         "only there")
    rows, events = np.nonzero(asked)
    length = items.shape[1]
    place = np.minimum(events + 1, length - 1)
    columns = np.arange(length) + (events + 1 == length)[:, None]
    ends = {"items": mask_token, "actions": action}
    questions = {name: np.pad(values, ((0, 0), (0, 1)))[rows[:, None], columns] for name, values in inputs.items()}
    for name, values in questions.items():
        values[np.arange(length) > place[:, None]] = 0
        values[np.arange(len(rows)), place] = ends[name]
    return questions, place


def predict_next(model, inputs, asked, mask_token, action=None, batch_size=256):
    """Score every item as the next one with a masked model, one pass a question.

    Args, raises: as `ask_next`.
        model: A model of `build_masked`.
        batch_size: Windows that the model reads at a time.

    Returns:
        (m, n_items) float32 logits, one row a True of `asked`.

    Example:
        >>> model = build_masked(n_items=9, width=4, length=3)
        >>> predict_next(model, {"items": np.array([[5, 6, 0]])}, np.array([[True, True, False]]), 9).shape
        (2, 9)
    """
    questions, place = ask_next(inputs, asked, mask_token, action)
    scores = [np.zeros((0, model.output_shape[-1]), "float32")]
    for start in range(0, len(place), batch_size):
        part = slice(start, start + batch_size)
        logits = model.predict_on_batch({name: values[part] for name, values in questions.items()})
        scores.append(logits[np.arange(len(logits)), place[part]])
    return np.concatenate(scores)


def _checked_items(items, mask_token):
    items = np.asarray(items)
    if items.ndim != 2:
        raise ValueError(f"items have shape {items.shape}: expected (windows, length)")
    if items.size and items.max() >= mask_token:
        row = int((items >= mask_token).any(axis=1).argmax())
        raise ValueError(f"row {row} of the items holds {items[row].max()}, but tokens end below the mask token "
                         f"{mask_token}: give n_items of the model as mask token, and unmasked items")
    return items


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


def _check_sizes(n_items, n_actions, width, heads, blocks, length, dropout):
    if n_items < 3:
        raise ValueError(f"n_items counts padding, unknown and at least one item; found {n_items}")
    if min(n_actions, blocks) < 0 or min(width, heads, length) < 1:
        raise ValueError("n_actions and blocks must be at least 0, width, heads and length at least 1; found "
                         f"{n_actions}, {blocks}, {width}, {heads}, {length}")
    if width % heads:
        raise ValueError(f"width must be a multiple of heads; found {width} and {heads}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1); found {dropout}")
