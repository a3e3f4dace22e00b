"""Items by their titles: vectors of a title, and a sequence model that reads and ranks vectors instead of ids.

A table of item ids says nothing about an item that it never saw. A title does. So an item becomes the vector of its
title, and the network learns what to do with vectors:

    title ── ngram_vectors | static_vectors | encoder ── vector ── model ── wanted vector ── dot products: scores

    ngram_vectors                   pieces of words, hashed; bridges spelling, knows no meaning
    static_vectors                  word pieces of a language model, averaged; bridges synonyms that it has read
    build_encoder, train_encoder    a sum of n-gram vectors, trained on pairs of titles of one product
    match_ranks                     how well vectors find the same product in another catalogue
    build_next_item_from_vectors    a sequence model whose items are the rows of a fixed table
    swap_catalogue                  the same trained model, with another catalogue
    correct_by_popularity           what a few labels say about single items, added to any model's scores

Any vectors serve, as long as equal directions mean the same in both catalogues; those of a published sentence encoder
are in `minilm`. Tables of item vectors have a row for each token, zeros for padding (0) and unknown (1) first:
`with_reserved`.

Source: Ding, H. et al. (2021), Zero-shot recommender systems, arXiv 2105.08318; Hou, Y. et al. (2022), Towards
universal sequence representation learning for recommender systems, arXiv 2206.05941.
"""

from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

RESERVED = 2  # padding and unknown stand before the items
CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def ngram_vectors(titles, width=512, lengths=(3, 5)):
    """Count the character n-grams of each title, hashed into a vector of a fixed width.

    An n-gram is a piece of n characters of a word, a space before and after it included. Each is added at a place and
    with a sign that a hash function chooses, so no vocabulary is kept: a new catalogue gets vectors of the same
    meaning. Two different n-grams may share a place; the random signs make such errors cancel on average.

    Args:
        titles: n strings.
        width: Length of a vector; the wider, the fewer collisions.
        lengths: Shortest and longest n-gram, in characters.

    Returns:
        float32 array (n, width), rows of length 1.

    Raises:
        ValueError: If a title is missing, no string or too short for an n-gram, or width is below 1.

    Example:
        >>> mug, jug, hat = ngram_vectors(["red mug", "red jug", "straw hat"])
        >>> bool(mug @ jug > mug @ hat)
        True

    Source: Weinberger, K. et al. (2009), Feature hashing for large scale multitask learning, arXiv 0902.2206.
    """
    _check_positive(width=width)
    counter = HashingVectorizer(analyzer="char_wb", ngram_range=lengths, n_features=width, norm=None,
                                dtype=np.float32)
    return _unit_rows(counter.transform(_checked_titles(titles)).toarray(), titles)


@lru_cache(maxsize=1)
def _static_model():
    """The table that comes with the package, read from its folder; nothing is downloaded."""
    import wordllama  # here, so that the rest of this file works without it

    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)


def static_vectors(titles):
    """Average the static embeddings of the word pieces of each title (package `wordllama`, 256 numbers, English).

    Static: a word piece has one vector, whatever stands beside it. The table was cut out of large language models
    and trained on; word order is lost.

    Args:
        titles: n strings, in any case.

    Returns:
        float32 array (n, 256), rows of length 1.

    Raises:
        ValueError: If a title is missing, no string or blank.

    Example:
        >>> coat, jacket, mug = static_vectors(["warm coat", "warm jacket", "coffee mug"])
        >>> bool(coat @ jacket > coat @ mug)
        True

    Source: Miller, D. L. (2024), WordLlama: recycled token embeddings from large language models,
    github.com/dleemiller/WordLlama.
    """
    return _unit_rows(_static_model().embed([title.lower() for title in _checked_titles(titles)]), titles)


def build_encoder(width=128, n_features=4096, seed=0):
    """Build a small sentence encoder: the sum of one learnt vector for each n-gram, scaled to length 1.

    Args:
        width: Length of the vectors it gives.
        n_features: Width of the `ngram_vectors` that it reads.
        seed: Seed of the initial vectors. At first they are random, so that dot products resemble those of the n-grams.

    Returns:
        `keras.Model` from (n, n_features) to (n, width).

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> build_encoder(width=8, n_features=64).output_shape
        (None, 8)

    Source: sums of n-gram vectors: Bojanowski, P. et al. (2017), Enriching word vectors with subword information,
    arXiv 1607.04606.
    """
    _check_positive(width=width, n_features=n_features)
    counts = keras.Input((n_features,), name="ngrams")
    normal = keras.initializers.RandomNormal(stddev=width**-0.5, seed=seed)
    summed = keras.layers.Dense(width, use_bias=False, kernel_initializer=normal, name="ngram_table")(counts)
    return keras.Model(counts, keras.layers.UnitNormalization(name="unit")(summed), name="encoder")


def train_encoder(encoder, left, right, *, temperature=0.05, learning_rate=3e-3, epochs=100):
    """Train an encoder so that two titles of one product meet, and those of different products part.

    Each title on the left has to find its partner among all titles on the right, and the other way round: the loss is
    the cross-entropy of a softmax over cosine / temperature. All pairs are one batch, so no seed is needed; use at
    most a few thousand.

    Args:
        encoder: Model of `build_encoder`; trained in place.
        left: (n, n_features) `ngram_vectors` of one title of each product.
        right: (n, n_features) of the other title, in the same order.
        temperature: The smaller, the more the nearest wrong partner counts; above 0.
        learning_rate: Adam's step size.
        epochs: Steps, since a batch holds everything.

    Returns:
        List of losses, one each step.

    Raises:
        ValueError: If the two sides do not fit each other or the encoder, there are fewer than two pairs, or
            temperature is not above 0.

    Example:
        >>> left, right = ngram_vectors(["coat", "mug"], 64), ngram_vectors(["jacket", "cup"], 64)
        >>> losses = train_encoder(build_encoder(8, 64), left, right, epochs=20)
        >>> losses[-1] < losses[0]
        True

    Source: Radford, A. et al. (2021), Learning transferable visual models from natural language supervision,
    arXiv 2103.00020 (there, pairs of image and text).
    """
    left, right = np.asarray(left, np.float32), np.asarray(right, np.float32)
    n_features = encoder.input_shape[-1]
    if left.shape != right.shape or left.ndim != 2 or left.shape[1] != n_features or len(left) < 2:
        raise ValueError(f"left is {left.shape} and right {right.shape}: expected (n, {n_features}) for both, "
                         "with n of at least 2, a row for each pair")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0; found {temperature}")
    inputs = [keras.Input((n_features,)), keras.Input((n_features,))]
    pairs = keras.Model(inputs, keras.layers.Concatenate()([encoder(x) for x in inputs]))

    def partner_loss(_, both):
        a, b = keras.ops.split(both, 2, axis=-1)
        logits = keras.ops.matmul(a, keras.ops.transpose(b)) / temperature
        places = keras.ops.arange(keras.ops.shape(logits)[0])
        loss = keras.ops.sparse_categorical_crossentropy
        return (loss(places, logits, True) + loss(places, keras.ops.transpose(logits), True)) / 2

    pairs.compile(keras.optimizers.Adam(learning_rate), partner_loss)
    history = pairs.fit([left, right], np.zeros(len(left)), batch_size=len(left), epochs=epochs, shuffle=False,
                        verbose=0)
    return history.history["loss"]


def match_ranks(left, right, partners=None):
    """Rank of the right partner of each item when the other catalogue is sorted by cosine; ties count against it.

    Args:
        left: (n, width) vectors of one catalogue, rows of length 1.
        right: (m, width) vectors of the other.
        partners: (n,) int, the row of `right` that is the same product; None where row i belongs to row i.

    Returns:
        int array (n,), 1 where the nearest is the partner.

    Raises:
        ValueError: If widths differ, or partners do not name rows.

    Example:
        >>> match_ranks(np.eye(3), np.eye(3)[[1, 0, 2]], partners=[1, 0, 1])
        array([1, 1, 3])
    """
    left, right = np.asarray(left), np.asarray(right)
    partners = np.arange(len(left)) if partners is None else np.asarray(partners)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise ValueError(f"left is {left.shape} and right {right.shape}: expected (n, width) and (m, width)")
    if partners.shape != (len(left),) or partners.min() < 0 or partners.max() >= len(right):
        raise ValueError(f"partners must be {len(left)} rows between 0 and {len(right) - 1}, one for each row of left; "
                         f"found shape {partners.shape} and values {partners.min()} to {partners.max()}")
    cosines = left @ right.T
    own = cosines[np.arange(len(left)), partners]
    return (cosines >= own[:, None]).sum(axis=1)


def with_reserved(vectors):
    """Put the two rows of zeros that stand for padding and unknown before the vectors of the items.

    Args:
        vectors: (items, width) numbers.

    Returns:
        float32 array (items + 2, width).

    Raises:
        ValueError: If vectors are no matrix or a number is missing.

    Example:
        >>> with_reserved([[1.0, 2.0]]).tolist()
        [[0.0, 0.0], [0.0, 0.0], [1.0, 2.0]]
    """
    vectors = _checked_matrix(vectors, "vectors")
    return np.concatenate([np.zeros((RESERVED, vectors.shape[1]), np.float32), vectors])


def build_next_item_from_vectors(vectors, n_actions=0, *, units=64, cell="lstm", dropout=0.0, seed=0):
    """Build a model that scores every item as the next one, and knows items by their vectors alone.

    On the way in, an item is its row of `vectors`; on the way out, the network says which vector it wants
    (`wanted`), and the score of an item is the dot product with its row. The table is fixed: nothing that is trained
    belongs to a single item, so the model serves any catalogue whose vectors mean the same (`swap_catalogue`).

    Args:
        vectors: (n_items, width) of `with_reserved`.
        n_actions: Size of the action vocabulary, with padding; 0 leaves actions out.
        units: Width of the recurrent layer.
        cell: `lstm` or `gru`.
        dropout: Share of the encoder's outputs that are dropped while training.
        seed: Seed of the initial weights and of dropout.

    Returns:
        `keras.Model` from a dict of `items` (n, length) int, and `actions` if asked for, to logits
        (n, length, n_items). It trains as the models of `sequence` do.

    Raises:
        ValueError: If vectors are no matrix with at least three rows or do not start with two rows of zeros, a number
            is missing, the cell is unknown, or a size is too small.

    Example:
        >>> model = build_next_item_from_vectors(with_reserved(np.eye(5)), units=8)
        >>> model.output_shape
        (None, None, 7)
    """
    vectors = _checked_table(vectors)
    _check_positive(units=units)
    if cell not in CELLS or n_actions < 0 or not 0 <= dropout < 1:
        raise ValueError(f"cell must be one of {sorted(CELLS)}, n_actions at least 0 and dropout in [0, 1); found "
                         f"{cell!r}, {n_actions} and {dropout}")
    seeds = iter(range(seed * 10, seed * 10 + 10))
    items = keras.Input((None,), dtype="int32", name="items")
    inputs = {"items": items}
    joined = keras.layers.Embedding(*vectors.shape, trainable=False, name="item_vectors")(items)
    if n_actions:
        inputs["actions"] = keras.Input((None,), dtype="int32", name="actions")
        initial = keras.initializers.RandomUniform(-0.05, 0.05, next(seeds))
        actions = keras.layers.Embedding(n_actions, 8, embeddings_initializer=initial, name="action_embedding")
        joined = keras.layers.Concatenate(name="joined")([joined, actions(inputs["actions"])])
    encoded = CELLS[cell](
        units, return_sequences=True, name="encoder", seed=seed,  # else Keras draws one from the global state
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
    )(joined)
    encoded = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(encoded)
    glorot = keras.initializers.GlorotUniform(next(seeds))
    wanted = keras.layers.Dense(vectors.shape[1], kernel_initializer=glorot, name="wanted")(encoded)
    scores = keras.layers.Dense(len(vectors), use_bias=False, trainable=False, name="scores")(wanted)
    return _fill(keras.Model(inputs, scores, name=f"next_item_from_vectors_{cell}"), vectors)


def swap_catalogue(model, vectors):
    """Give a trained model another catalogue: all that was learnt stays, the table of vectors is replaced.

    Args:
        model: Model of `build_next_item_from_vectors`; not changed.
        vectors: (n_items, width) of `with_reserved`, of any number of items, made by the same encoder.

    Returns:
        New `keras.Model` whose output has n_items scores.

    Raises:
        ValueError: As `build_next_item_from_vectors`; also if the width is not that of the model's table.

    Example:
        >>> model = build_next_item_from_vectors(with_reserved(np.eye(5)), units=8)
        >>> swap_catalogue(model, with_reserved(np.eye(5)[:2])).output_shape
        (None, None, 4)
    """
    vectors = _checked_table(vectors)
    width = model.get_layer("item_vectors").output_dim
    if vectors.shape[1] != width:
        raise ValueError(f"vectors have {vectors.shape[1]} columns, and the model was trained on {width}: encode the "
                         "new titles as the old ones were")
    sizes = {"item_vectors": {"input_dim": len(vectors)}, "scores": {"units": len(vectors)}}

    def resized(layer):
        return layer.__class__.from_config({**layer.get_config(), **sizes.get(layer.name, {})})

    other = keras.models.clone_model(model, clone_function=resized)
    for layer in model.layers:
        if layer.name not in sizes:
            other.get_layer(layer.name).set_weights(layer.get_weights())
    return _fill(other, vectors)


def correct_by_popularity(scores, few_scores, few_next_items, weight=5.0):
    """Add to each item's score how much more often it came than the model had expected, on a few labels.

    In the few labeled positions item i came n_i times, and the model's probabilities of i add up to e_i. The
    correction is log((n_i + weight) / (e_i + weight)). With no label it is 0; the more labels, the less `weight` holds
    it back. It is the posterior mean of a factor on the item's rate under a gamma prior of mean 1.

    Args:
        scores: (..., n_items) logits to correct.
        few_scores: (n, length, n_items) logits of the same model on the labeled windows.
        few_next_items: (n, length) int, the items that came; 0 where nothing is asked.
        weight: Strength of the prior, in expected occurrences; above 0. Choose it on validation data.

    Returns:
        Corrected logits, float32 of the shape of `scores`.

    Raises:
        ValueError: If shapes or items do not fit, or weight is not above 0.

    Example:
        >>> even = np.zeros((1, 4, 4))
        >>> correct_by_popularity(np.zeros(4), even, [[2, 2, 2, 3]], weight=1).round(2)
        array([-0.69, -0.69,  0.69,  0.  ], dtype=float32)
    """
    scores, few_scores = np.asarray(scores, np.float32), np.asarray(few_scores, np.float64)
    few_next_items, n_items = np.asarray(few_next_items), scores.shape[-1]
    if few_scores.shape != (*few_next_items.shape, n_items):
        raise ValueError(f"few_scores are {few_scores.shape}: expected {(*few_next_items.shape, n_items)}, the shape "
                         "of few_next_items and a score for each item")
    if few_next_items.size and not 0 <= few_next_items.min() <= few_next_items.max() < n_items:
        raise ValueError(f"few_next_items must lie between 0 and {n_items - 1}; found {few_next_items.min()} to "
                         f"{few_next_items.max()}")
    if not weight > 0:
        raise ValueError(f"weight must be above 0; found {weight}")
    asked = few_next_items > 0
    e = np.exp(few_scores[asked] - few_scores[asked].max(axis=-1, keepdims=True))
    expected = (e / e.sum(axis=-1, keepdims=True)).sum(axis=0)
    came = np.bincount(few_next_items[asked], minlength=n_items)
    return scores + np.log((came + weight) / (expected + weight)).astype(np.float32)


def _fill(model, vectors):
    """Put a catalogue's vectors into both of its places."""
    model.get_layer("item_vectors").set_weights([vectors])
    model.get_layer("scores").set_weights([vectors.T])
    return model


def _check_positive(**sizes):
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1; found {size}")


def _checked_titles(titles):
    titles = list(titles)
    for row, title in enumerate(titles):
        if not isinstance(title, str) or not title.strip():
            raise ValueError(f"title of row {row} is {title!r}: expected text; leave such items out, or give them the "
                             "text of their category")
    return titles


def _unit_rows(vectors, titles):
    lengths = np.linalg.norm(vectors, axis=1)
    if not lengths.all():
        row = int(np.argmin(lengths))
        raise ValueError(f"title of row {row}, {list(titles)[row]!r}, has a vector of zeros: it holds nothing that the "
                         "encoder reads; leave it out, or lengthen it")
    return (vectors / lengths[:, None]).astype(np.float32)


def _checked_matrix(vectors, name):
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2:
        raise ValueError(f"{name} have shape {vectors.shape}: expected (items, width)")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name} of row {(~np.isfinite(vectors)).any(axis=1).argmax()} hold a missing value")
    return vectors


def _checked_table(vectors):
    vectors = _checked_matrix(vectors, "vectors")
    if len(vectors) <= RESERVED or vectors[:RESERVED].any():
        raise ValueError(f"vectors are {vectors.shape} and must start with {RESERVED} rows of zeros, for padding and "
                         "unknown, before those of the items: use with_reserved")
    return vectors
