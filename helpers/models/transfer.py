"""Carry the weights of a model trained on one platform into a model for another.

Every strategy takes a trained `source` and a freshly built `target` (same layer names, its own vocabulary), leaves
both as they are, and returns a `Transfer`: a new model, and for each layer what was copied, what is frozen and what
starts anew.

    direct_transfer      copy everything, train nothing
    feature_extraction   copy everything, train the head alone
    fine_tuning          copy everything, train the top `depth` layers, or all
    gradual_unfreezing   train the head first, then one layer more in each stage
    layerwise_rates      train all, with smaller steps the farther from the head
    starting_point       train all, with a penalty on the distance to the copied weights (L2-SP)
    low_rank             freeze all, and train a thin correction beside the tables that have one (LoRA)
    first_layers         copy the first layers only, frozen or trained, and start the others anew

Depth is counted from the output along the layers that train; layers side by side, such as two embeddings, have one
depth. A layer that is frozen in `target` from the start, such as a table of item attributes, is given: it stays.

Tables that hold one row (or column) a token are remapped: a token that both vocabularies know keeps its row, a new
one keeps its initial value in `target`. The two vocabularies are given as their tokens, in order, without padding
and unknown.

Source: Yosinski, J. et al. (2014), How transferable are features in deep neural networks?, arXiv 1411.1792; gradual
unfreezing and layerwise rates: Howard, J. & Ruder, S. (2018), arXiv 1801.06146, sections 3.3 and 3.2; L2-SP: Li, X.
et al. (2018), arXiv 1802.01483; LoRA: Hu, E. et al. (2022), arXiv 2106.09685.
"""

from typing import NamedTuple

import keras
import numpy as np

RESERVED = 2  # padding and unknown stand before the tokens


class Transfer(NamedTuple):
    """A new model, and what happened to each of its layers.

    Attributes:
        model: `keras.Model` for the target.
        layers: List of dicts with layer (its name), start (`copied`, `remapped`, `initialized` or `given`), copied
            (share of its weights that come from the source) and trains (bool).
    """

    model: keras.Model
    layers: list


def remap_table(table, source_tokens, target_tokens, initial, axis=0):
    """Move the rows of a table from one vocabulary to another.

    Args:
        table: Array whose `axis` has len(source_tokens) + 2 entries: padding, unknown, then the tokens in order.
        source_tokens: Tokens of the source vocabulary, in order.
        target_tokens: Tokens of the target vocabulary, in order.
        initial: Array whose `axis` has len(target_tokens) + 2 entries: what a token unknown to the source gets.
        axis: Axis of the tokens: 0 for an embedding, -1 for the kernel or bias of an output layer.

    Returns:
        (new table of the shape of `initial`, bool array (len(target_tokens) + 2,) that says which were moved).

    Raises:
        ValueError: If the sizes do not fit the vocabularies.

    Example:
        >>> table, moved = remap_table(np.array([[0.], [1.], [2.], [3.]]), ["a", "b"], ["b", "c"], np.zeros((4, 1)))
        >>> table.ravel().tolist(), moved.tolist()
        ([0.0, 1.0, 3.0, 0.0], [True, True, True, False])
    """
    for name, size, tokens in (("table", table.shape[axis], source_tokens),
                               ("initial", initial.shape[axis], target_tokens)):
        if size != len(tokens) + RESERVED:
            raise ValueError(f"{name} has {size} entries on axis {axis}, but its vocabulary has {len(tokens)} "
                             f"tokens and {RESERVED} reserved: {len(tokens) + RESERVED} expected")
    place = {token: number for number, token in enumerate(source_tokens, RESERVED)}
    origin = np.array([*range(RESERVED), *(place.get(token, -1) for token in target_tokens)])
    moved = origin >= 0
    result = np.moveaxis(np.array(initial), axis, 0)
    result[moved] = np.moveaxis(table, axis, 0)[origin[moved]]
    return np.moveaxis(result, 0, axis), moved


def copy_weights(source, target, source_tokens=None, target_tokens=None):
    """Copy weights into a new model, layer by layer, by name.

    Args:
        source: Trained model.
        target: Model with the same layer names; not changed.
        source_tokens: Tokens of the source's item vocabulary; needed only where the vocabularies differ.
        target_tokens: Tokens of the target's.

    Returns:
        `Transfer`. A layer that the source lacks is `initialized`, one that is frozen in `target` is `given`.

    Raises:
        ValueError: If a layer of the same name has another shape, and no vocabulary explains it.
    """
    model = _clone(target)
    remap = source_tokens is not None and list(source_tokens) != list(target_tokens)
    known = {layer.name for layer in source.layers}
    layers = []
    for layer in _weighted(model):
        start, share = ("initialized" if layer.trainable else "given"), 0.0
        if layer.trainable and layer.name in known:
            old, new = source.get_layer(layer.name).get_weights(), layer.get_weights()
            tokens = (source_tokens, target_tokens) if remap else None
            start, share, weights = _moved(layer, old, new, tokens)
            layer.set_weights(weights)
        layers.append({"layer": layer.name, "start": start, "copied": round(share, 3),
                       "trains": layer.trainable})
    return Transfer(model, layers)


def _moved(layer, old, new, tokens):
    """(start, share of the weights copied, weights) of one layer."""
    axis = 0 if isinstance(layer, keras.layers.Embedding) else -1
    if tokens and len(old) == len(new) and all(
        a.shape[axis] == len(tokens[0]) + RESERVED and b.shape[axis] == len(tokens[1]) + RESERVED
        for a, b in zip(old, new)
    ):
        moved = [remap_table(a, *tokens, b, axis) for a, b in zip(old, new)]
        return "remapped", float(moved[0][1].mean()), [table for table, _ in moved]
    if [a.shape for a in old] != [b.shape for b in new]:
        raise ValueError(
            f"layer {layer.name!r} has weights of shape {[a.shape for a in old]} in the source and "
            f"{[b.shape for b in new]} in the target. Build both with the same sizes; where only the vocabularies "
            "differ, pass source_tokens and target_tokens")
    return "copied", 1.0, old


def _clone(model):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def _weighted(model):
    """The layers that have weights, from the input to the head."""
    return [layer for layer in model.layers if layer.weights]


def direct_transfer(source, target, source_tokens=None, target_tokens=None):
    """Use the source as it is: nothing is trained.

    Args, raises: as `copy_weights`.

    Returns:
        `Transfer` with every layer frozen.
    """
    return fine_tuning(source, target, source_tokens, target_tokens, depth=0)


def feature_extraction(source, target, source_tokens=None, target_tokens=None):
    """Keep what the source learnt to see, and train the head alone (a linear probe).

    Args, raises: as `copy_weights`.

    Returns:
        `Transfer` with every layer frozen but those of depth 1.
    """
    return fine_tuning(source, target, source_tokens, target_tokens, depth=1)


def fine_tuning(source, target, source_tokens=None, target_tokens=None, depth=None):
    """Start from the source and go on training.

    Args, raises: as `copy_weights`.
        depth: How many layers train, counted from the head; layers side by side count as one; None for all. Rows
            of a frozen embedding that are new stay as they were drawn.

    Returns:
        `Transfer`.
    """
    transfer = copy_weights(source, target, source_tokens, target_tokens)
    return Transfer(transfer.model, _freeze(transfer, depth, depths(transfer.model)))


def depths(model):
    """Count for every layer with weights how far it is from the output, in layers that train.

    Args:
        model: Functional `keras.Model`, as it was built: layers that are frozen count for nothing.

    Returns:
        Dict from the layer's name to its depth, 1 for the head; frozen layers are left out.

    Example:
        >>> x = keras.Input((3,))
        >>> y = keras.layers.Dense(1, name="head")(keras.layers.Dense(2, name="body")(x))
        >>> depths(keras.Model(x, y))
        {'body': 2, 'head': 1}
    """
    below, found = {}, {}
    for layer in reversed(model.layers):
        trains = bool(layer.weights) and layer.trainable
        depth = below.get(id(layer.output), 0) + trains
        if trains:
            found[layer.name] = depth
        for tensor in keras.tree.flatten(layer.input):
            below[id(tensor)] = max(below.get(id(tensor), 0), depth)
    return dict(reversed(found.items()))


def _freeze(transfer, depth, depth_of):
    """Let the layers up to `depth` train, and say so in the report."""
    deepest = max(depth_of.values())
    depth = deepest if depth is None else depth
    if not 0 <= depth <= deepest:
        raise ValueError(f"depth must lie between 0 and {deepest}, that of the deepest layer; found {depth}")
    for name, place in depth_of.items():
        transfer.model.get_layer(name).trainable = place <= depth
    return [{**row, "trains": depth_of.get(row["layer"], depth + 1) <= depth} for row in transfer.layers]


def gradual_unfreezing(source, target, train, source_tokens=None, target_tokens=None):
    """Train the head first, then one layer more in each stage, down to the input.

    Args, raises: as `copy_weights`.
        train: Function of (model, depth) that trains the model in place; called once a stage, with depth 1, 2,
            and so on. It must compile the model anew, as `sequence.train` does, or Keras goes on with the layers
            of the stage before.

    Returns:
        `Transfer` after the last stage.
    """
    transfer = copy_weights(source, target, source_tokens, target_tokens)
    depth_of = depths(transfer.model)
    for depth in range(1, max(depth_of.values()) + 1):
        layers = _freeze(transfer, depth, depth_of)
        train(transfer.model, depth)
    return Transfer(transfer.model, layers)


def layerwise_rates(source, target, source_tokens=None, target_tokens=None, decay=0.4):
    """Train all layers, each with steps `decay` times as large as those of the layer above it.

    The head takes full steps, depth 2 takes `decay` of them, depth 3 `decay` squared, and so on. The steps are cut
    after every update, so that any optimizer without weight decay serves; the model is meant for one training.

    Args, raises: as `copy_weights`; ValueError too if decay is not in (0, 1].

    Returns:
        `Transfer`.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay must lie in (0, 1]; found {decay}")
    transfer = copy_weights(source, target, source_tokens, target_tokens)
    for name, depth in depths(transfer.model).items():
        for variable in transfer.model.get_layer(name).trainable_variables:
            variable.constraint = _ShorterSteps(variable, decay ** (depth - 1))
    return transfer


class _ShorterSteps(keras.constraints.Constraint):
    """Goes only a share of every step that the optimizer takes."""

    def __init__(self, variable, share):
        self.before, self.share = keras.Variable(variable, trainable=False), share

    def __call__(self, value):
        value = self.before + self.share * (value - self.before)
        self.before.assign(value)
        return value


def starting_point(source, target, source_tokens=None, target_tokens=None, strength=0.01):
    """Train all layers, and punish the distance from where they start (L2-SP).

    Args, raises: as `copy_weights`; ValueError too if strength is negative.
        strength: Factor of the sum of squared distances, added to the loss. Rows that are new to the target start
            from their initial values, and are drawn to these.

    Returns:
        `Transfer`.
    """
    if strength < 0:
        raise ValueError(f"strength must be at least 0; found {strength}")
    transfer = copy_weights(source, target, source_tokens, target_tokens)
    for variable in transfer.model.trainable_variables:
        variable.regularizer = _Distance(variable.numpy(), strength)
    return transfer


class _Distance(keras.regularizers.Regularizer):
    """Squared distance from a fixed place."""

    def __init__(self, place, strength):
        self.place, self.strength = place, strength

    def __call__(self, value):
        return self.strength * keras.ops.sum(keras.ops.square(value - self.place))


def low_rank(source, target, source_tokens=None, target_tokens=None, rank=4, seed=0):
    """Freeze what was copied, and train a correction of low rank beside each table (LoRA).

    Keras offers it for Embedding, Dense and EinsumDense layers; recurrent layers stay as they are. Biases train.

    Args, raises: as `copy_weights`; ValueError too if rank is below 1.
        rank: Width of the correction: a table of m rows and n columns gets rank * (m + n) numbers to learn.
        seed: Seed of the corrections' first factor; the second starts at zero.

    Returns:
        `Transfer`.
    """
    if rank < 1:
        raise ValueError(f"rank must be at least 1; found {rank}")
    transfer = copy_weights(source, target, source_tokens, target_tokens)
    for number, name in enumerate(depths(transfer.model)):
        layer = transfer.model.get_layer(name)
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(rank, a_initializer=keras.initializers.HeUniform(seed * 100 + number))
        else:
            layer.trainable = False
    trains = {layer.name: bool(layer.trainable_variables) for layer in transfer.model.layers}
    return Transfer(transfer.model, [{**row, "trains": trains[row["layer"]]} for row in transfer.layers])


def first_layers(source, target, count, source_tokens=None, target_tokens=None, frozen=False):
    """Copy the layers next to the input, and start the others anew: how general is what each layer learnt?

    Args, raises: as `copy_weights`; ValueError too if count is not between 0 and the greatest depth.
        count: How many layers are copied, counted from the input; layers side by side count as one.
        frozen: Whether the copied layers stay as they are; else all train.

    Returns:
        `Transfer`.
    """
    transfer = copy_weights(source, target, source_tokens, target_tokens)
    depth_of = depths(transfer.model)
    above = max(depth_of.values()) - count
    if count < 0 or above < 0:
        raise ValueError(f"count must lie between 0 and {max(depth_of.values())}, the number of layers; found {count}")
    layers = _freeze(transfer, above if frozen else None, depth_of)
    for row in layers:
        if depth_of.get(row["layer"], above + 1) <= above:
            transfer.model.get_layer(row["layer"]).set_weights(target.get_layer(row["layer"]).get_weights())
            row.update(start="initialized", copied=0.0)
    return Transfer(transfer.model, layers)
