"""Layers as formulas: embedding, recurrent cells, attention and a Transformer block.

The file is for learning: it shows what `keras.layers` compute and is not a production replacement for them.
Weights come in the order of `layer.get_weights()`, so that those of a trained layer can be pasted in:
`lstm(inputs, *layer.get_weights())`. All is computed in float64 and equals Keras to 1e-5 or better in its
float32, to 1e-10 in float64 (1e-7 in attention, whose 1 / sqrt(key size) Keras always rounds to float32).

Sizes: n sequences, T positions, d features, u units, H heads, k key size.
"""

import numpy as np

# Embedding: a table with a row for every token


def one_hot(tokens, n_tokens):
    """Turn token numbers into rows with a single 1.

    Args:
        tokens: integers from 0 to n_tokens - 1, any shape.
        n_tokens: number of tokens, padding included.

    Returns:
        float64 array, shape (*tokens.shape, n_tokens).

    Raises:
        ValueError: if a token is no whole number or outside the range; the first one is named.

    Source: Bengio et al. 2003, A Neural Probabilistic Language Model, section 2.
    For learning; in a model use `keras.ops.one_hot`.

    >>> one_hot([2, 0], 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return np.eye(n_tokens)[_tokens(tokens, n_tokens)]


def embedding_lookup(tokens, table):
    """Take a row of the table for every token: table[token] = one_hot(token) @ table.

    There is no activation and no bias. The product says why it is a linear layer; the lookup costs nothing.

    Args:
        tokens: integers from 0 to n_tokens - 1, any shape, such as (n, T).
        table: shape (n_tokens, d).

    Returns:
        float64 array, shape (*tokens.shape, d).

    Raises:
        ValueError: if a token has no row in the table, or the table is not two-dimensional.

    Source: Bengio et al. 2003, section 2. For learning; in a model use `keras.layers.Embedding`.

    >>> embedding_lookup([2, 0], [[1.0, 0.0], [0.0, 1.0], [5.0, 6.0]]).tolist()
    [[5.0, 6.0], [1.0, 0.0]]
    """
    table = _shaped("table", table, (None, None))
    return table[_tokens(tokens, len(table))]


def embedding_gradient(tokens, upstream, n_tokens):
    """Gradient in the table: each row gathers the gradients of all places where its token stood.

    It equals one_hot(tokens)^T @ upstream. Rows of tokens that did not occur get zero: they do not learn.

    Args:
        tokens: integers from 0 to n_tokens - 1, any shape.
        upstream: gradient of the loss in the looked-up vectors, shape (*tokens.shape, d).
        n_tokens: number of rows of the table.

    Returns:
        float64 array, shape (n_tokens, d).

    Raises:
        ValueError: if a token is out of range or the shapes do not fit.

    Source: derivative of `embedding_lookup`. For learning; in a model use `tf.GradientTape`.

    >>> embedding_gradient([2, 2], [[1.0, 0.0], [0.5, 3.0]], n_tokens=3).tolist()
    [[0.0, 0.0], [0.0, 0.0], [1.5, 3.0]]
    """
    tokens = _tokens(tokens, n_tokens)
    upstream = _shaped("upstream", upstream, (*tokens.shape, None))
    gradient = np.zeros((n_tokens, upstream.shape[-1]))
    np.add.at(gradient, tokens, upstream)
    return gradient


# Recurrent cells: one event, one update of the memory


def simple_rnn_cell(x, h, kernel, recurrent_kernel, bias):
    """Mix the event into the memory: h' = tanh(x W + h U + b).

    Args:
        x: the event, shape (n, d).
        h: the memory before it, shape (n, u).
        kernel: W, shape (d, u).
        recurrent_kernel: U, shape (u, u).
        bias: b, shape (u,).

    Returns:
        float64 array h', shape (n, u).

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Elman 1990; Goodfellow et al., Deep Learning (2016), chapter 10.
    For learning; in a model use `keras.layers.SimpleRNN`.

    >>> simple_rnn_cell([[1.0]], [[0.0]], [[1.0]], [[0.5]], [0.0]).round(4).tolist()
    [[0.7616]]
    """
    x, h, kernel, recurrent_kernel, bias = _cell(x, h, kernel, recurrent_kernel, bias, gates=1)
    return np.tanh(x @ kernel + h @ recurrent_kernel + bias)


def lstm_gates(x, h, kernel, recurrent_kernel, bias):
    """The four parts of an LSTM's step: sigmoids i, f, o and the candidate g = tanh, all of x W + h U + b.

    Args:
        x: the event, shape (n, d).
        h: the output before it, shape (n, u).
        kernel: W, shape (d, 4u), in Keras' order input, forget, candidate, output.
        recurrent_kernel: U, shape (u, 4u), in the same order.
        bias: b, shape (4u,), in the same order.

    Returns:
        dict of float64 arrays, shape (n, u): "input", "forget", "candidate", "output".

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Hochreiter & Schmidhuber 1997; the forget gate is of Gers, Schmidhuber & Cummins 2000.
    For learning; in a model use `keras.layers.LSTM`.

    >>> gates = lstm_gates([[0.0]], [[0.0]], np.ones((1, 4)), np.ones((1, 4)), np.zeros(4))
    >>> {name: float(gate[0, 0]) for name, gate in gates.items()}
    {'input': 0.5, 'forget': 0.5, 'candidate': 0.0, 'output': 0.5}
    """
    x, h, kernel, recurrent_kernel, bias = _cell(x, h, kernel, recurrent_kernel, bias, gates=4)
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
    return {"input": _sigmoid(i), "forget": _sigmoid(f), "candidate": np.tanh(g), "output": _sigmoid(o)}


def lstm_cell(x, h, c, kernel, recurrent_kernel, bias):
    """Forget, write, show: c' = f * c + i * g and h' = o * tanh(c'), with the gates of `lstm_gates`.

    Args:
        x: the event, shape (n, d).
        h: the output before it, shape (n, u).
        c: the memory before it, shape (n, u).
        kernel: W, shape (d, 4u), in Keras' order input, forget, candidate, output.
        recurrent_kernel: U, shape (u, 4u), in the same order.
        bias: b, shape (4u,), in the same order.

    Returns:
        (h', c'): float64 arrays, shape (n, u).

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Gers, Schmidhuber & Cummins 2000. For learning; in a model use `keras.layers.LSTM`.

    >>> h, c = lstm_cell([[0.0]], [[0.0]], [[2.0]], np.ones((1, 4)), np.ones((1, 4)), np.zeros(4))
    >>> c.tolist(), h.round(4).tolist()
    ([[1.0]], [[0.3808]])
    """
    gates = lstm_gates(x, h, kernel, recurrent_kernel, bias)
    c = gates["forget"] * _shaped("c", c, gates["forget"].shape) + gates["input"] * gates["candidate"]
    return gates["output"] * np.tanh(c), c


def gru_cell(x, h, kernel, recurrent_kernel, bias, reset_after=True):
    """Keep or replace: h' = z * h + (1 - z) * g, with gates z (update) and r (reset), both sigmoids.

    z and r are sigmoid(x W + h U + b). The candidate is g = tanh(x W_g + b_g + r * (h U_g + b'_g)) in Keras'
    default (`reset_after`, as in version 1 of the paper), and tanh(x W_g + (r * h) U_g + b_g) in version 3.

    Args:
        x: the event, shape (n, d).
        h: the memory before it, shape (n, u).
        kernel: W, shape (d, 3u), in Keras' order update, reset, candidate.
        recurrent_kernel: U, shape (u, 3u), in the same order.
        bias: shape (2, 3u), one row for x and one for h, with `reset_after`; else shape (3u,).
        reset_after: whether r acts after the product with U_g, as Keras' layer does by default.

    Returns:
        float64 array h', shape (n, u).

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Cho et al. 2014, arXiv 1406.1078, section 2.3.
    For learning; in a model use `keras.layers.GRU`.

    >>> gru_cell([[0.0]], [[1.0]], np.ones((1, 3)), np.zeros((1, 3)), np.zeros((2, 3))).tolist()
    [[0.5]]
    """
    biases = _shaped("bias", bias, (2, None) if reset_after else (None,))
    x_bias, h_bias = biases if reset_after else (biases, np.zeros_like(biases))
    x, h, kernel, recurrent_kernel, x_bias = _cell(x, h, kernel, recurrent_kernel, x_bias, gates=3)
    x_z, x_r, x_g = np.split(x @ kernel + x_bias, 3, axis=-1)
    h_z, h_r, h_g = np.split(h @ recurrent_kernel + h_bias, 3, axis=-1)
    z, r = _sigmoid(x_z + h_z), _sigmoid(x_r + h_r)
    recurrent = r * h_g if reset_after else (r * h) @ np.split(recurrent_kernel, 3, axis=-1)[2]
    return z * h + (1 - z) * np.tanh(x_g + recurrent)


# Recurrent layers: a cell along a sequence


def simple_rnn(inputs, kernel, recurrent_kernel, bias, mask=None):
    """Run `simple_rnn_cell` along the sequence, from a memory of zeros.

    Args:
        inputs: shape (n, T, d).
        kernel: shape (d, u).
        recurrent_kernel: shape (u, u).
        bias: shape (u,).
        mask: optional, True at events and False at padding, shape (n, T); padding leaves the memory as it is.

    Returns:
        float64 array, shape (n, T, u): the memory after every position.

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: as `simple_rnn_cell`. For learning; in a model use `keras.layers.SimpleRNN`.

    >>> simple_rnn([[[1.0], [9.0]]], [[1.0]], [[0.5]], [0.0], mask=[[True, False]]).round(4).tolist()
    [[[0.7616], [0.7616]]]
    """
    inputs, states = _sequence(inputs, len(recurrent_kernel), 1)

    def step(x, h):
        return (simple_rnn_cell(x, h, kernel, recurrent_kernel, bias),)

    return _run(step, inputs, states, mask)[0]


def lstm(inputs, kernel, recurrent_kernel, bias, mask=None):
    """Run `lstm_cell` along the sequence, from an output and a memory of zeros.

    Args:
        inputs: shape (n, T, d).
        kernel: shape (d, 4u), in Keras' order input, forget, candidate, output.
        recurrent_kernel: shape (u, 4u), in the same order.
        bias: shape (4u,), in the same order.
        mask: optional, True at events and False at padding, shape (n, T); padding leaves output and memory.

    Returns:
        (outputs, memories): float64 arrays, shape (n, T, u): h and c after every position. `outputs[:, -1]`
        is what the Keras layer returns without `return_sequences`.

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: as `lstm_cell`. For learning; in a model use `keras.layers.LSTM`.

    >>> outputs, memories = lstm(np.zeros((1, 3, 2)), np.ones((2, 4)), np.ones((1, 4)), np.ones(4))
    >>> outputs.shape, memories[0, :, 0].round(3).tolist()
    ((1, 3, 1), [0.557, 1.144, 1.739])
    """
    inputs, states = _sequence(inputs, len(recurrent_kernel), 2)

    def step(x, h, c):
        return lstm_cell(x, h, c, kernel, recurrent_kernel, bias)

    return _run(step, inputs, states, mask)


def gru(inputs, kernel, recurrent_kernel, bias, mask=None, reset_after=True):
    """Run `gru_cell` along the sequence, from a memory of zeros.

    Args:
        inputs: shape (n, T, d).
        kernel: shape (d, 3u), in Keras' order update, reset, candidate.
        recurrent_kernel: shape (u, 3u), in the same order.
        bias: shape (2, 3u) with `reset_after`, else (3u,).
        mask: optional, True at events and False at padding, shape (n, T); padding leaves the memory as it is.
        reset_after: see `gru_cell`.

    Returns:
        float64 array, shape (n, T, u): the memory after every position.

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: as `gru_cell`. For learning; in a model use `keras.layers.GRU`.

    >>> gru(np.zeros((1, 2, 1)), np.ones((1, 3)), np.ones((1, 3)), np.ones((2, 3))).shape
    (1, 2, 1)
    """
    inputs, states = _sequence(inputs, len(recurrent_kernel), 1)

    def step(x, h):
        return (gru_cell(x, h, kernel, recurrent_kernel, bias, reset_after),)

    return _run(step, inputs, states, mask)[0]


# Gradients through time: what the end still knows of an early state


def simple_rnn_jacobians(inputs, kernel, recurrent_kernel, bias):
    """How each memory depends on the one before: J_t = d h_t / d h_(t-1) = diag(1 - h_t^2) U^T.

    Args:
        inputs: one sequence, shape (T, d).
        kernel: shape (d, u).
        recurrent_kernel: U, shape (u, u).
        bias: shape (u,).

    Returns:
        float64 array, shape (T, u, u): [t, i, j] is the derivative of unit i after event t in unit j before.

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063, equation 5.
    For learning; in a model use `tf.GradientTape`.

    >>> simple_rnn_jacobians(np.zeros((2, 1)), [[1.0]], [[0.5]], [0.0]).ravel().tolist()
    [0.5, 0.5]
    """
    inputs = _shaped("inputs", inputs, (None, None))
    memories = simple_rnn(inputs[None], kernel, recurrent_kernel, bias)[0]
    return (1 - memories**2)[:, :, None] * np.asarray(recurrent_kernel, dtype=np.float64).T


def lstm_jacobians(inputs, kernel, recurrent_kernel, bias):
    """How the pair (h, c) after each event depends on the pair before it.

    The corner d c' / d c is diag(f): with forget gates near 1 the memory passes gradients on unchanged, which
    a simple RNN cannot.

    Args:
        inputs: one sequence, shape (T, d).
        kernel: shape (d, 4u), in Keras' order input, forget, candidate, output.
        recurrent_kernel: shape (u, 4u), in the same order.
        bias: shape (4u,), in the same order.

    Returns:
        float64 array, shape (T, 2u, 2u); rows and columns 0 to u - 1 are h, u to 2u - 1 are c.

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: derivative of `lstm_cell`. For learning; in a model use `tf.GradientTape`.

    >>> lstm_jacobians(np.zeros((2, 1)), np.ones((1, 4)), np.zeros((1, 4)), np.zeros(4))[0].tolist()
    [[0.0, 0.25], [0.0, 0.5]]
    """
    inputs = _shaped("inputs", inputs, (None, None))
    outputs, memories = lstm(inputs[None], kernel, recurrent_kernel, bias)
    h, c = (np.concatenate([np.zeros_like(states[0, :1]), states[0, :-1]]) for states in (outputs, memories))
    gates = lstm_gates(inputs, h, kernel, recurrent_kernel, bias)
    u_i, u_f, u_g, u_o = np.split(np.asarray(recurrent_kernel, dtype=np.float64).T, 4)
    i, f, g, o = (gates[name][:, :, None] for name in ("input", "forget", "candidate", "output"))
    shown = np.tanh(memories[0])[:, :, None]
    c_by_h = c[:, :, None] * f * (1 - f) * u_f + g * i * (1 - i) * u_i + i * (1 - g**2) * u_g
    c_by_c = f * np.eye(f.shape[1])
    h_by_c_new = o * (1 - shown**2)
    h_by_h = shown * o * (1 - o) * u_o + h_by_c_new * c_by_h
    return np.block([[h_by_h, h_by_c_new * c_by_c], [c_by_h, c_by_c]])


def influence(jacobians, units=None):
    """Size of the last state's derivative in every earlier one: ||J_T J_(T-1) ... J_(t+1)||, for t = 0 to T.

    Falling to zero toward early t is the vanishing gradient, growing past all bounds the exploding one.

    Args:
        jacobians: shape (T, s, s), from `simple_rnn_jacobians` or `lstm_jacobians`.
        units: slice of the state whose block is measured: `slice(u)` for h and `slice(u, None)` for c of an
            LSTM with u units; by default the whole state.

    Returns:
        float64 array, shape (T + 1,): spectral norms; the last is 1, that of the state in itself.

    Raises:
        ValueError: if the jacobians are not square.

    Source: Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063, section 2.1.
    For learning; in a model use `tf.GradientTape`.

    >>> influence(np.full((3, 1, 1), 0.5)).tolist()
    [0.125, 0.25, 0.5, 1.0]
    """
    jacobians = _shaped("jacobians", jacobians, (None, None, None))
    product = np.eye(jacobians.shape[1])
    _shaped("jacobians", jacobians, (None, *product.shape))
    block = (units or slice(None),) * 2
    norms = [np.linalg.norm(product[block], ord=2)]
    for jacobian in jacobians[::-1]:
        product = product @ jacobian
        norms.append(np.linalg.norm(product[block], ord=2))
    return np.array(norms[::-1])


# Attention: every position asks, every position answers


def softmax(scores, mask=None):
    """Shares that sum to 1: exp(s) / sum of exp(s) over the last axis; 0 where the mask is False.

    A row with no allowed place gets all zeros, as in Keras' Softmax layer.

    Args:
        scores: shape (..., S).
        mask: optional, True where a share is allowed, of a shape that broadcasts to that of `scores`.

    Returns:
        float64 array of the shape of `scores`.

    Raises:
        ValueError: if `mask` does not broadcast, or scores are not finite.

    Source: Bridle 1990; Vaswani et al. 2017, arXiv 1706.03762, section 3.2.3 for the mask.
    For learning; in a model use `keras.layers.Softmax`.

    >>> softmax([0.0, 0.0, 5.0], mask=[True, True, False]).tolist()
    [0.5, 0.5, 0.0]
    """
    scores = _numbers("scores", scores)
    allowed = _mask(mask, scores.shape)
    highest = np.max(scores, axis=-1, keepdims=True, where=allowed, initial=-np.finfo(np.float64).max / 2)
    powers = np.exp(np.where(allowed, scores - highest, -np.inf))
    total = powers.sum(axis=-1, keepdims=True)
    return powers / np.where(total == 0, 1, total)


def causal_mask(length):
    """Who may look at whom when the future is hidden: position t sees positions 0 to t.

    Args:
        length: number of positions T, 1 or more.

    Returns:
        bool array, shape (T, T): [t, s] is True where s <= t.

    Raises:
        ValueError: if `length` is below 1.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.2.3.
    For learning; in a model use `MultiHeadAttention`'s argument `use_causal_mask`.

    >>> causal_mask(2).tolist()
    [[True, False], [True, True]]
    """
    _require(length >= 1, "length", length, "1 or more")
    return np.tril(np.ones((length, length), dtype=bool))


def padding_mask(tokens):
    """Nobody looks at padding: True where a token is not 0. Combine with `causal_mask` by `&`.

    Args:
        tokens: integers, 0 at padding, shape (n, T).

    Returns:
        bool array, shape (n, 1, T): for every sequence and position, which positions may be looked at.

    Raises:
        ValueError: if `tokens` is not two-dimensional.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.2.3.
    For learning; in a model use `keras.layers.Embedding(mask_zero=True)`.

    >>> padding_mask([[7, 3, 0]]).tolist()
    [[[True, True, False]]]
    """
    return (_shaped("tokens", tokens, (None, None)) != 0)[:, None, :]


def attention(query, key, value, mask=None):
    """Mix values by how well query and key agree: softmax(q k^T / sqrt(size of key)) v.

    Args:
        query: what each position looks for, shape (..., T, k).
        key: what each position offers, shape (..., S, k).
        value: what each position says, shape (..., S, v).
        mask: optional, True where looking is allowed, of a shape that broadcasts to (..., T, S).

    Returns:
        (outputs, shares): float64 arrays, shapes (..., T, v) and (..., T, S); each row of shares sums to 1,
        or is zero where nothing may be looked at.

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Vaswani et al. 2017, arXiv 1706.03762, equation 1.
    For learning; in a model use `keras.ops.dot_product_attention` or `keras.layers.MultiHeadAttention`.

    >>> outputs, shares = attention([[0.0]], [[1.0], [1.0]], [[2.0], [4.0]])
    >>> outputs.tolist(), shares.tolist()
    ([[3.0]], [[0.5, 0.5]])
    """
    query, key, value = _attention_inputs(query, key, value)
    shares = softmax(query @ key.swapaxes(-1, -2) / np.sqrt(key.shape[-1]), mask)
    return shares @ value, shares


def attention_gradient(upstream, query, key, value, mask=None):
    """Gradients of the loss in query, key and value, by the chain rule backward through `attention`.

    With shares a, upstream g and e = g v^T, the scores' gradient is s = a * (e - sum of a * e in each row),
    over the root of the key's size. Then s k is the query's, s^T q the key's, a^T g the value's gradient.

    Args:
        upstream: gradient in the outputs, shape (..., T, v).
        query: shape (..., T, k).
        key: shape (..., S, k).
        value: shape (..., S, v).
        mask: optional, True where looking is allowed, of a shape that broadcasts to (..., T, S).

    Returns:
        (query gradient, key gradient, value gradient): float64 arrays of the shapes of the three.

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: derivative of Vaswani et al. 2017, equation 1. For learning; in a model use `tf.GradientTape`.

    >>> slopes = attention_gradient([[1.0]], [[0.0]], [[1.0], [1.0]], [[2.0], [4.0]])
    >>> slopes[2].tolist()
    [[0.5], [0.5]]
    """
    query, key, value = _attention_inputs(query, key, value)
    outputs, shares = attention(query, key, value, mask)
    upstream = _shaped("upstream", upstream, outputs.shape)
    in_shares = upstream @ value.swapaxes(-1, -2)
    centered = in_shares - (shares * in_shares).sum(axis=-1, keepdims=True)
    in_scores = shares * centered / np.sqrt(key.shape[-1])
    return in_scores @ key, in_scores.swapaxes(-1, -2) @ query, shares.swapaxes(-1, -2) @ upstream


def multi_head_attention(
    query, value, query_kernel, query_bias, key_kernel, key_bias, value_kernel, value_bias,
    output_kernel, output_bias, mask=None,
):
    """Several attentions beside each other, each in its own projection, then mixed: concat(heads) W + b.

    A position that may look nowhere gets shares of zero, as in Keras' layer when it returns its scores;
    without them Keras takes a faster path that gives such a row equal shares.

    Args:
        query: who looks, shape (n, T, d).
        value: who is looked at, shape (n, S, d'); the same array as `query` for self-attention. Keys are made
            from it too.
        query_kernel: shape (d, H, k).
        query_bias: shape (H, k).
        key_kernel: shape (d', H, k).
        key_bias: shape (H, k).
        value_kernel: shape (d', H, v).
        value_bias: shape (H, v).
        output_kernel: shape (H, v, m).
        output_bias: shape (m,).
        mask: optional, True where looking is allowed, of a shape that broadcasts to (n, T, S).

    Returns:
        (outputs, shares): float64 arrays, shapes (n, T, m) and (n, H, T, S).

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.2.2.
    For learning; in a model use `keras.layers.MultiHeadAttention`.

    >>> one, zero = np.ones((1, 1, 1)), np.zeros((1, 1))
    >>> x = [[[1.0], [3.0]]]
    >>> outputs, shares = multi_head_attention(x, x, 0 * one, zero, one, zero, one, zero, one, [0.0])
    >>> outputs.tolist()
    [[[2.0], [2.0]]]
    """
    query, value = _shaped("query", query, (None,) * 3), _shaped("value", value, (None,) * 3)
    queries = _heads("query", query, query_kernel, query_bias)
    keys = _heads("key", value, key_kernel, key_bias)
    values = _heads("value", value, value_kernel, value_bias)
    if mask is not None:
        mask = _mask(mask, (*query.shape[:2], value.shape[1]))[:, None]
    outputs, shares = attention(queries, keys, values, mask)
    output_kernel = _shaped("output_kernel", output_kernel, (values.shape[1], values.shape[-1], None))
    output_bias = _shaped("output_bias", output_bias, output_kernel.shape[2:])
    return np.einsum("nhtv,hvm->ntm", outputs, output_kernel) + output_bias, shares


def sinusoidal_positions(length, size):
    """Give every position a pattern: sin(t w_j) at 2j, cos(t w_j) at 2j + 1, w_j = 10000^(-2j / size).

    The pattern of position t + s is that of t turned by fixed angles: distances look alike everywhere.

    Args:
        length: number of positions T, 1 or more.
        size: size of the pattern, even; that of the embedding that it is added to.

    Returns:
        float64 array, shape (T, size), between -1 and 1.

    Raises:
        ValueError: if `length` is below 1, or `size` is not an even number above 0.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.5.
    For learning; in a model use `keras_hub.layers.SinePositionEncoding`.

    >>> sinusoidal_positions(2, 2).round(4).tolist()
    [[0.0, 1.0], [0.8415, 0.5403]]
    """
    _require(length >= 1, "length", length, "1 or more")
    _require(size > 0 and size % 2 == 0, "size", size, "an even number above 0, for pairs of sine and cosine")
    angles = np.arange(length)[:, None] / 10_000.0 ** (np.arange(0, size, 2) / size)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, size)


# The Transformer block


def layer_norm(x, gamma, beta, epsilon=1e-3):
    """Center and scale every vector by its own entries: gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Args:
        x: shape (..., d).
        gamma: scale, shape (d,).
        beta: shift, shape (d,).
        epsilon: keeps the division finite, above 0; Keras' default is 0.001.

    Returns:
        float64 array, shape (..., d).

    Raises:
        ValueError: if the shapes do not fit or `epsilon` is not above 0.

    Source: Ba, Kiros & Hinton 2016, arXiv 1607.06450, equation 4.
    For learning; in a model use `keras.layers.LayerNormalization`.

    >>> layer_norm([1.0, 3.0], [1.0, 1.0], [0.0, 10.0], epsilon=1e-9).round(4).tolist()
    [-1.0, 11.0]
    """
    normal, _ = _normalized(x, epsilon)
    gamma, beta = _shaped("gamma", gamma, normal.shape[-1:]), _shaped("beta", beta, normal.shape[-1:])
    return gamma * normal + beta


def layer_norm_gradient(upstream, x, gamma, epsilon=1e-3):
    """Gradient of the loss in x: (g - mean(g) - z mean(g z)) / sqrt(variance + epsilon).

    g is gamma * upstream, z the normalized x. What would only shift or stretch the vector is taken out: the
    layer ignores it.

    Args:
        upstream: gradient in the outputs, shape (..., d).
        x: the inputs, shape (..., d).
        gamma: scale, shape (d,).
        epsilon: as in `layer_norm`.

    Returns:
        float64 array, shape (..., d).

    Raises:
        ValueError: if the shapes do not fit or `epsilon` is not above 0.

    Source: derivative of Ba et al. 2016, equation 4. For learning; in a model use `tf.GradientTape`.

    >>> layer_norm_gradient([1.0, 1.0], [1.0, 3.0], [1.0, 1.0]).tolist()
    [0.0, 0.0]
    """
    normal, deviation = _normalized(x, epsilon)
    gamma = _shaped("gamma", gamma, normal.shape[-1:])
    scaled = gamma * _shaped("upstream", upstream, normal.shape)
    along = (scaled * normal).mean(axis=-1, keepdims=True)
    return (scaled - scaled.mean(axis=-1, keepdims=True) - normal * along) / deviation


def feed_forward(x, kernel_1, bias_1, kernel_2, bias_2):
    """Two dense layers at every position by itself: max(0, x W_1 + b_1) W_2 + b_2.

    Args:
        x: shape (..., d).
        kernel_1: shape (d, hidden).
        bias_1: shape (hidden,).
        kernel_2: shape (hidden, m).
        bias_2: shape (m,).

    Returns:
        float64 array, shape (..., m).

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Vaswani et al. 2017, arXiv 1706.03762, equation 2.
    For learning; in a model use two `keras.layers.Dense`, the first with `activation="relu"`.

    >>> feed_forward([1.0, -1.0], np.eye(2), [0.0, 0.0], np.eye(2), [0.5, 0.5]).tolist()
    [1.5, 0.5]
    """
    return _dense(np.maximum(_dense(x, kernel_1, bias_1, "1"), 0), kernel_2, bias_2, "2")


def transformer_block(
    x, attention_weights, norm_1, dense_weights, norm_2, mask=None, norm_first=True, epsilon=1e-3,
):
    """Look around, then think: self-attention and a feed-forward net, each added to what came in.

    With `norm_first`: x + attention(norm_1(x)), then x + feed_forward(norm_2(x)); without, as in the paper:
    norm_1(x + attention(x)), then norm_2(x + feed_forward(x)).

    Args:
        x: shape (n, T, d).
        attention_weights: the eight arrays of a `keras.layers.MultiHeadAttention`.
        norm_1: the two arrays (gamma, beta) of the `LayerNormalization` at the attention.
        dense_weights: the four arrays of the two `Dense` layers, the second of size d.
        norm_2: the two arrays of the `LayerNormalization` at the feed-forward net.
        mask: optional, True where looking is allowed, of a shape that broadcasts to (n, T, T).
        norm_first: whether to normalize before each part (easier to train) or after it.
        epsilon: of both normalizations.

    Returns:
        float64 array, shape (n, T, d).

    Raises:
        ValueError: if the shapes do not fit; the argument is named.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.1; Xiong et al. 2020, arXiv 2002.04745, for
    `norm_first`. For learning; in a model compose the Keras layers named above.

    >>> heads = [np.zeros(shape) for shape in [(2, 1, 2), (1, 2)] * 3 + [(1, 2, 2), (2,)]]
    >>> norm = [np.ones(2), np.zeros(2)]
    >>> dense = [np.eye(2), np.zeros(2), np.zeros((2, 2)), np.ones(2)]
    >>> transformer_block([[[1.0, 2.0]]], heads, norm, dense, norm).tolist()
    [[[2.0, 3.0]]]
    """
    heads, dense = _list("attention_weights", attention_weights, 8), _list("dense_weights", dense_weights, 4)
    norm_1, norm_2 = _list("norm_1", norm_1, 2), _list("norm_2", norm_2, 2)
    x = _shaped("x", x, (None, None, None))

    def look(y):
        return multi_head_attention(y, y, *heads, mask)[0]

    if norm_first:
        x = x + look(layer_norm(x, *norm_1, epsilon))
        return x + feed_forward(layer_norm(x, *norm_2, epsilon), *dense)
    x = layer_norm(x + look(x), *norm_1, epsilon)
    return layer_norm(x + feed_forward(x, *dense), *norm_2, epsilon)


# How many numbers a layer learns


def embedding_parameters(n_tokens, size):
    """A row for every token: n_tokens * size.

    Args:
        n_tokens: number of tokens, padding included.
        size: size of a row.

    Returns:
        int.

    Source: shapes in `embedding_lookup`. For learning; in a model use `layer.count_params()`.

    >>> embedding_parameters(1000, 64)
    64000
    """
    return n_tokens * size


def dense_parameters(inputs, units):
    """A weight from every input to every unit, and a bias each: (inputs + 1) * units.

    Args:
        inputs: number of inputs.
        units: number of units.

    Returns:
        int.

    Source: shapes in `feed_forward`. For learning; in a model use `layer.count_params()`.

    >>> dense_parameters(64, 10)
    650
    """
    return (inputs + 1) * units


def simple_rnn_parameters(inputs, units):
    """A dense layer that also reads the memory: (inputs + units + 1) * units.

    Args:
        inputs: size of an event.
        units: size of the memory.

    Returns:
        int.

    Source: shapes in `simple_rnn_cell`. For learning; in a model use `layer.count_params()`.

    >>> simple_rnn_parameters(64, 128)
    24704
    """
    return dense_parameters(inputs + units, units)


def lstm_parameters(inputs, units):
    """Four of them: 4 * (inputs + units + 1) * units.

    Args:
        inputs: size of an event.
        units: size of the memory.

    Returns:
        int.

    Source: shapes in `lstm_cell`. For learning; in a model use `layer.count_params()`.

    >>> lstm_parameters(64, 128)
    98816
    """
    return 4 * simple_rnn_parameters(inputs, units)


def gru_parameters(inputs, units, reset_after=True):
    """Three of them: 3 * (inputs + units + 1) * units, and with `reset_after` a second bias, 3 * units.

    Args:
        inputs: size of an event.
        units: size of the memory.
        reset_after: see `gru_cell`.

    Returns:
        int.

    Source: shapes in `gru_cell`. For learning; in a model use `layer.count_params()`.

    >>> gru_parameters(64, 128)
    74496
    """
    return 3 * (simple_rnn_parameters(inputs, units) + units * bool(reset_after))


def attention_parameters(size, heads, key_size):
    """Queries, keys, values and the mix of the heads: 3 * (size + 1) * H k + (H k + 1) * size.

    Args:
        size: size of a position's vector, in and out.
        heads: number of heads H.
        key_size: size k of a query, key and value in one head.

    Returns:
        int.

    Source: shapes in `multi_head_attention`. For learning; in a model use `layer.count_params()`.

    >>> attention_parameters(64, heads=2, key_size=32)
    16640
    """
    return 3 * dense_parameters(size, heads * key_size) + dense_parameters(heads * key_size, size)


def transformer_block_parameters(size, heads, key_size, hidden):
    """Attention, two normalizations of 2 * size each, and two dense layers.

    Args:
        size: size of a position's vector.
        heads: number of heads.
        key_size: size of a query, key and value in one head.
        hidden: size of the feed-forward net's hidden layer.

    Returns:
        int.

    Source: shapes in `transformer_block`. For learning; in a model use `model.count_params()`.

    >>> transformer_block_parameters(64, heads=2, key_size=32, hidden=128)
    33472
    """
    dense = dense_parameters(size, hidden) + dense_parameters(hidden, size)
    return attention_parameters(size, heads, key_size) + 2 * 2 * size + dense


# What the functions above share: steps along a sequence, and checks that say what to do


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def _run(step, inputs, states, mask):
    """States after every position; where the mask is False they stay. Each has shape (n, T, u)."""
    keep = _mask(mask, inputs.shape[:2])
    history = []
    for t in range(inputs.shape[1]):
        moved = step(inputs[:, t], *states)
        states = tuple(np.where(keep[:, t, None], new, old) for new, old in zip(moved, states, strict=True))
        history.append(states)
    return tuple(np.stack(state, axis=1) for state in zip(*history, strict=True))


def _sequence(inputs, units, n_states):
    inputs = _shaped("inputs", inputs, (None, None, None))
    return inputs, (np.zeros((len(inputs), units)),) * n_states


def _cell(x, h, kernel, recurrent_kernel, bias, gates):
    """The five arrays of a recurrent cell, shapes checked."""
    x, h = _shaped("x", x, (None, None)), _shaped("h", h, (len(x), None))
    units = h.shape[1]
    return (
        x, h, _shaped("kernel", kernel, (x.shape[1], gates * units)),
        _shaped("recurrent_kernel", recurrent_kernel, (units, gates * units)),
        _shaped("bias", bias, (gates * units,)),
    )


def _attention_inputs(query, key, value):
    query, key, value = _numbers("query", query), _numbers("key", key), _numbers("value", value)
    _require(query.ndim >= 2, "query", f"of shape {query.shape}", "(..., positions, size)")
    _shaped("key", key, (*query.shape[:-2], None, query.shape[-1]))
    return query, key, _shaped("value", value, (*key.shape[:-1], None))


def _heads(name, x, kernel, bias):
    """Project (n, T, d) into (n, H, T, k)."""
    kernel = _shaped(f"{name}_kernel", kernel, (x.shape[-1], None, None))
    bias = _shaped(f"{name}_bias", bias, kernel.shape[1:])
    return np.einsum("ntd,dhk->nhtk", x, kernel) + bias[:, None]


def _dense(x, kernel, bias, number):
    x = _numbers("x", x)
    kernel = _shaped(f"kernel_{number}", kernel, (x.shape[-1], None))
    return x @ kernel + _shaped(f"bias_{number}", bias, kernel.shape[1:])


def _normalized(x, epsilon):
    _require(epsilon > 0, "epsilon", epsilon, "a number above 0")
    x = _numbers("x", x)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + epsilon)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation, deviation


def _require(holds, name, found, expected):
    if not holds:
        raise ValueError(f"`{name}` is {found}; expected {expected}.")


def _numbers(name, values):
    """Values as a float64 array that is not empty and all finite."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` is no array of numbers ({error}); pass a list of them.") from error
    _require(array.size > 0, name, "empty", "at least one value")
    _require(np.isfinite(array).all(), name, "NaN or infinite somewhere", "finite numbers: repair them")
    return array


def _shaped(name, values, shape):
    """Values as a float64 array of the shape; None stands for any length."""
    array = _numbers(name, values)
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape))
    wanted = str(tuple("any" if length is None else length for length in shape)).replace("'", "")
    _require(fits, name, f"of shape {array.shape}", f"{wanted}: reshape it, or use a layer that fits")
    return array


def _tokens(tokens, n_tokens):
    numbers = _numbers("tokens", tokens)
    wrong = (numbers < 0) | (numbers >= n_tokens) | (numbers != np.floor(numbers))
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"`tokens` at {where} is {numbers[where]:g}; expected a whole number from 0 to {n_tokens - 1}. "
            "Encode items with the vocabulary that the table was made for, unknown ones as 1."
        )
    return numbers.astype(np.int64)


def _mask(mask, shape):
    """The mask as booleans of the shape; all True without one."""
    if mask is None:
        return np.ones(shape, dtype=bool)
    mask = np.asarray(mask)
    _require(mask.dtype == bool, "mask", f"of type {mask.dtype}", "booleans, such as tokens != 0")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError as error:
        expected = f"{shape}, or one that broadcasts to it"
        raise ValueError(f"`mask` is of shape {mask.shape}; expected {expected}.") from error


def _list(name, arrays, length):
    expected = f"{length}, in the order of `layer.get_weights()`"
    _require(len(arrays) == length, name, f"a list of {len(arrays)} arrays", expected)
    return arrays
