"""The simplest things that work: popularity, a Markov chain, neighbors by sessions or by content, a regression on counts.

All share one interface, that of the sequence models that they stand beside:

    model.fit(items, next_items, n_items, sample_weights=None)
    model.scores(items)     # float32 (n, length, n_items), given the events up to each position

Windows are integer matrices (n, length), padded with 0 on the right. Tokens from `first_token` on can be
predicted and be conditioned on: 2 for items (1 is unknown, also an event without an item), 1 for actions. To
learn from two platforms, concatenate their windows; `sample_weights`, one to each window, says how much each
counts.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression


@dataclass
class Popularity:
    """Score every token by its share among the next events, whatever happened before.

    Args:
        first_token: the first token that can be predicted.
        smoothing: added to every count, so that no token has probability 0; at least 0.

    Example:
        >>> model = Popularity(smoothing=0).fit([[2, 3, 2, 3]], [[3, 2, 3, 3]], n_items=4)
        >>> model.scores([[2]]).tolist()
        [[[0.0, 0.0, 0.25, 0.75]]]
    """

    first_token: int = 2
    smoothing: float = 1.0

    def fit(self, items, next_items, n_items, sample_weights=None):
        """Count the next events.

        Args:
            items: int (n, length) tokens, 0 on the right where a window is shorter.
            next_items: int (n, length), the event after each; tokens below `first_token` are left out.
            n_items: number of tokens, padding and unknown included.
            sample_weights: (n,) numbers of at least 0, or None for 1 each.

        Returns:
            The fitted model.

        Raises:
            ValueError: if shapes, tokens or weights do not fit, or if there is nothing to learn from.
        """
        _at_least(self.smoothing, 0, "smoothing")
        _, targets, weights = _examples(items, next_items, n_items, sample_weights, self.first_token)
        self.probabilities = _shares(targets, weights, n_items, self.first_token, self.smoothing)
        return self

    def scores(self, items):
        """Probability of each token as the next event: float32 (n, length, n_items), a read-only view.

        Raises:
            ValueError: if tokens do not fit.
            RuntimeError: if the model is not fitted.
        """
        probabilities = _fitted(self, "probabilities").astype(np.float32)
        items = _tokens(items, "items", len(probabilities))
        return np.broadcast_to(probabilities, (*items.shape, len(probabilities)))


@dataclass
class MarkovChain:
    """First-order Markov chain that backs off to popularity where a transition was seldom seen.

    p(next | last) = (count(last, next) + prior * popularity(next)) / (count(last) + prior): the posterior
    mean under a Dirichlet prior centered on popularity. `last` is the last known token of the window, so a
    search (unknown item) keeps the item before it; windows without any known token yet have their own row.

    Args:
        first_token: the first token that can be predicted and conditioned on.
        prior: weight of popularity, in transitions; above 0. Choose it on validation data.
        smoothing: of the popularity, as in `Popularity`.

    Source: MacKay and Bauman Peto (1995), A hierarchical Dirichlet language model, Natural Language
    Engineering 1(3).

    Example:
        >>> model = MarkovChain(prior=1).fit([[2, 3, 2, 3]], [[3, 2, 3, 0]], n_items=4)
        >>> model.scores([[2, 1]]).argmax(axis=-1)      # after item 2, and after item 2 and a search
        array([[3, 3]])
    """

    first_token: int = 2
    prior: float = 10.0
    smoothing: float = 1.0

    def fit(self, items, next_items, n_items, sample_weights=None):
        """Count the transitions. Args, Returns, Raises: as `Popularity.fit`."""
        _at_least(self.smoothing, 0, "smoothing")
        if not self.prior > 0:
            raise ValueError(f"prior is {self.prior}: expected a number above 0, or unseen items have no "
                             "back-off.")
        learned, targets, weights = _examples(items, next_items, n_items, sample_weights, self.first_token)
        last = _last_known(np.asarray(items), self.first_token)[learned]
        self.popularity = _shares(targets, weights, n_items, self.first_token, self.smoothing)
        self.counts = sparse.coo_array((weights, (last, targets)), shape=(n_items, n_items)).tocsr()
        self.totals = np.bincount(last, weights, minlength=n_items)
        return self

    def scores(self, items):
        """Probability of each token as the next event: float32 (n, length, n_items).

        Raises:
            ValueError: if tokens do not fit.
            RuntimeError: if the model is not fitted.
        """
        popularity = _fitted(self, "popularity")
        items = _tokens(items, "items", len(popularity))
        last, row = np.unique(_last_known(items, self.first_token), return_inverse=True)
        pseudo_counts = self.counts[last].toarray() + self.prior * popularity
        probabilities = pseudo_counts / (self.totals[last, None] + self.prior)
        return probabilities.astype(np.float32)[row]


@dataclass
class ItemKNN:
    """Score items by their similarity to all items of the session so far.

    Two items are similar when the same sessions hold both: c_ij / (sqrt(c_i * c_j) + shrinkage), where c_ij
    counts the windows with both. An item's score is the sum of its similarities to the events so far;
    popularity, scaled to less than any difference that matters, orders the items without a neighbor. A
    session that was cut into several windows counts as several.

    Args:
        first_token: the first token that is an item.
        neighbors: similarities kept to each item, the strongest; at least 1.
        shrinkage: against high similarities by chance between rare items, in windows; at least 0.
        decay: weight of an event relative to the one after it, in (0, 1]; 1 counts all events alike.
        repeats: whether an item is a neighbor of itself. True suits logs in which a view leads to a purchase
            of the same item, False recommends other items only.

    Source: Sarwar et al. (2001), WWW, section 3 (cosine, item neighborhoods); Hidasi et al. (2016),
    Session-based Recommendations with Recurrent Neural Networks, ICLR, section 4 (the baseline on sessions,
    its regularization); Ludewig and Jannach (2018), User Modeling and User-Adapted Interaction 28 (decay over
    the session).

    Example:
        >>> model = ItemKNN(repeats=False).fit([[2, 3], [2, 3], [4, 5]], [[3, 0], [3, 0], [5, 0]], n_items=6)
        >>> model.scores([[2], [4]]).argmax(axis=-1).ravel()
        array([3, 5])
    """

    first_token: int = 2
    neighbors: int = 100
    shrinkage: float = 0.0
    decay: float = 0.7
    repeats: bool = True

    def fit(self, items, next_items, n_items, sample_weights=None):
        """Count the co-occurrences. Args, Returns, Raises: as `Popularity.fit`."""
        _at_least(self.neighbors, 1, "neighbors")
        _at_least(self.shrinkage, 0, "shrinkage")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay is {self.decay}: expected a number in (0, 1].")
        _, targets, weights = _examples(items, next_items, n_items, sample_weights, self.first_token)
        self.popularity = _shares(targets, weights, n_items, self.first_token, smoothing=1.0)
        windows = _incidence(np.hstack([items, next_items]), n_items, self.first_token)
        together = windows.T @ windows.multiply(_window_weights(sample_weights, len(items))[:, None])
        self.similarities = self._nearest(together.tocoo(), together.diagonal())
        return self

    def scores(self, items):
        """Similarity of each item to the session so far: float32 (n, length, n_items).

        Raises:
            ValueError: if tokens do not fit.
            RuntimeError: if the model is not fitted.
        """
        popularity = _fitted(self, "popularity")
        items = _tokens(items, "items", len(popularity))
        scores = self.similarities[items.ravel()].toarray().reshape(*items.shape, -1)
        for position in range(1, items.shape[1]):
            scores[:, position] += self.decay * scores[:, position - 1]
        scores += (1e-6 * popularity).astype(np.float32)
        return scores

    def _nearest(self, together, windows_with):
        """Cosine similarities, cut to the strongest neighbors of each item."""
        row, column, count = together.row, together.col, together.data
        wanted = (count > 0) & (self.repeats | (row != column))
        row, column, count = row[wanted], column[wanted], count[wanted]
        cosine = count / (np.sqrt(windows_with[row] * windows_with[column]) + self.shrinkage)
        order = np.lexsort((column, -cosine, row))
        place = np.arange(len(order)) - np.searchsorted(row[order], row[order])
        kept = order[place < self.neighbors]
        cells = row[kept], column[kept]
        return sparse.csr_array((cosine[kept].astype(np.float32), cells), shape=together.shape)


@dataclass
class ContentKNN:
    """Score items by how much they resemble the items of the session so far, in what is known of them.

    The similarity of two items is the cosine of their attributes. An item's score is the sum of its
    similarities to the events so far, plus `popularity` times the logarithm of its popularity. It needs no
    session of the catalogue that it ranks, so it is the baseline for a new platform.

    Args:
        attributes: (n_items, k) numbers that describe each token; zeros for padding and unknown.
        first_token: the first token that is an item.
        decay: weight of an event relative to the one after it, in (0, 1].
        popularity: weight of log popularity; at least 0. Choose it on validation data.

    Source: Pazzani and Billsus (2007), Content-based recommendation systems, The Adaptive Web, LNCS 4321.

    Example:
        >>> shoes, hats = [1, 0], [0, 1]
        >>> model = ContentKNN([[0, 0], [0, 0], shoes, hats, shoes])
        >>> model.fit([[2, 2, 2]], [[3, 3, 3]], n_items=5).scores([[2], [3]]).argmax(axis=-1).ravel()
        array([2, 3])
    """

    attributes: np.ndarray
    first_token: int = 2
    decay: float = 0.7
    popularity: float = 1e-6

    def fit(self, items, next_items, n_items, sample_weights=None):
        """Count the popularity. Args, Returns, Raises: as `Popularity.fit`; ValueError if attributes do not fit."""
        _at_least(self.popularity, 0, "popularity")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay is {self.decay}: expected a number in (0, 1].")
        attributes = np.asarray(self.attributes, np.float64)
        if attributes.ndim != 2 or len(attributes) != n_items or not np.isfinite(attributes).all():
            raise ValueError(f"attributes have shape {attributes.shape} or hold a missing value: expected "
                             f"({n_items}, k), a row for each token.")
        _, targets, weights = _examples(items, next_items, n_items, sample_weights, self.first_token)
        self.log_popularity = np.log(_shares(targets, weights, n_items, self.first_token, smoothing=1.0)
                                     [self.first_token:])
        lengths = np.linalg.norm(attributes, axis=1, keepdims=True)
        self.directions = attributes / np.where(lengths > 0, lengths, 1)
        return self

    def scores(self, items):
        """Similarity of each item to the session so far: float32 (n, length, n_items), -inf for what is no item.

        Raises:
            ValueError: if tokens do not fit.
            RuntimeError: if the model is not fitted.
        """
        directions = _fitted(self, "directions")
        session = directions[_tokens(items, "items", len(directions))]
        for position in range(1, session.shape[1]):
            session[:, position] += self.decay * session[:, position - 1]
        scores = np.full((*session.shape[:2], len(directions)), -np.inf, np.float32)
        similar = session @ directions[self.first_token:].T
        scores[..., self.first_token:] = similar + self.popularity * self.log_popularity
        return scores


@dataclass
class CountRegression:
    """Logistic regression on how often each token has occurred in the session so far.

    Meant for few tokens (actions). The classes are the tokens of `next_items`, so it predicts the next
    action, or any label that is written in the same form: for *will this session end in a purchase*, pass
    `np.where(items == 0, 0, np.where(buys, 2, 1)[:, None])` and read `scores[..., 2]`.

    Args:
        first_token: the first token that can be predicted.
        strength: inverse of the L2 penalty (scikit-learn's C); above 0. Choose it on validation data.

    Example:
        >>> model = CountRegression(strength=100).fit([[1, 3], [1, 1]], [[1, 4], [1, 1]], n_items=6)
        >>> model.scores([[1, 3]]).argmax(axis=-1)
        array([[1, 4]])
    """

    first_token: int = 1
    strength: float = 1.0

    def fit(self, items, next_items, n_items, sample_weights=None):
        """Fit the regression; equal rows are fitted once, with their summed weight.

        Args, Returns, Raises: as `Popularity.fit`; ValueError too if all targets are of one class.
        """
        if not self.strength > 0:
            raise ValueError(f"strength is {self.strength}: expected a number above 0.")
        learned, targets, weights = _examples(items, next_items, n_items, sample_weights, self.first_token)
        if (targets == targets[0]).all():
            raise ValueError(f"All targets are {targets[0]}: expected at least two classes to tell apart.")
        counts = counts_so_far(items, n_items)[learned]
        rows, group = np.unique(np.column_stack([counts, targets]), axis=0, return_inverse=True)
        regression = LogisticRegression(C=self.strength, max_iter=1000)
        self.n_items = n_items
        self.regression = regression.fit(np.log1p(rows[:, :-1]), rows[:, -1], np.bincount(group, weights))
        return self

    def scores(self, items):
        """Probability of each class: float32 (n, length, n_items), 0 for classes that were never seen.

        Raises:
            ValueError: if tokens do not fit.
            RuntimeError: if the model is not fitted.
        """
        regression = _fitted(self, "regression")
        counts = counts_so_far(items, self.n_items)
        scores = np.zeros(counts.shape, np.float32)
        probabilities = regression.predict_proba(np.log1p(counts).reshape(-1, self.n_items))
        scores[..., regression.classes_] = probabilities.reshape(*counts.shape[:2], -1)
        return scores


def counts_so_far(items, n_items) -> np.ndarray:
    """How often each token has occurred up to and including each position; padding is not counted.

    Args:
        items: int (n, length) tokens.
        n_items: number of tokens.

    Returns:
        int32 (n, length, n_items).

    Raises:
        ValueError: if tokens do not fit.

    Example:
        >>> counts_so_far([[1, 2, 1, 0]], n_items=3)[0, :, 1:].tolist()
        [[1, 0], [1, 1], [2, 1], [2, 1]]
    """
    one_hot = np.eye(n_items, dtype=np.int32)
    one_hot[0] = 0
    return one_hot[_tokens(items, "items", n_items)].cumsum(axis=1, dtype=np.int32)


def _examples(items, next_items, n_items, sample_weights, first_token):
    """Where there is something to learn, bool (n, length), and the next token and weight there, (m,) each."""
    items, next_items = _tokens(items, "items", n_items), _tokens(next_items, "next_items", n_items)
    if items.shape != next_items.shape:
        raise ValueError(f"items have shape {items.shape}, next_items {next_items.shape}: expected the same.")
    if (misplaced := (items == 0) & (next_items > 0)).any():
        raise ValueError(f"Window {misplaced.any(axis=1).argmax()} has a next item where items are padding "
                         "(0): padding belongs on the right, and both matrices in the same order.")
    weights = np.broadcast_to(_window_weights(sample_weights, len(items))[:, None], items.shape)
    learned = (next_items >= first_token) & (weights > 0)
    if not learned.any():
        raise ValueError(f"There is nothing to learn from: no next item from token {first_token} on has a "
                         "weight.")
    return learned, next_items[learned], weights[learned]


def _last_known(items, first_token):
    """The latest token of at least `first_token` up to each position; 0 where there is none yet."""
    position = np.where(items >= first_token, np.arange(items.shape[1]), -1)
    latest = np.maximum.accumulate(position, axis=1)
    return np.where(latest < 0, 0, np.take_along_axis(items, np.maximum(latest, 0), axis=1))


def _shares(tokens, weights, n_items, first_token, smoothing):
    counts = np.bincount(tokens, weights, minlength=n_items)
    counts[first_token:] += smoothing
    return counts / counts.sum()


def _incidence(windows, n_items, first_token):
    """Sparse (n, n_items): 1 where a window holds an item, however often."""
    window, column = np.nonzero(windows >= first_token)
    cells = np.unique(np.column_stack([window, windows[window, column]]), axis=0)
    return sparse.csr_array((np.ones(len(cells)), cells.T), shape=(len(windows), n_items))


def _window_weights(sample_weights, n_windows):
    weights = np.ones(n_windows) if sample_weights is None else np.asarray(sample_weights, np.float64)
    if weights.shape != (n_windows,):
        raise ValueError(f"sample_weights have shape {weights.shape}: expected ({n_windows},), one to each "
                         "window.")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("sample_weights hold a negative or missing number: expected numbers of at least 0.")
    return weights


def _tokens(tokens, name, n_items):
    tokens = np.asarray(tokens)
    if tokens.ndim != 2 or not tokens.size:
        raise ValueError(f"{name} have shape {tokens.shape}: expected (n, length), not empty.")
    if tokens.dtype.kind not in "iu":
        raise ValueError(f"{name} have dtype {tokens.dtype}: expected integer tokens.")
    outside = (tokens < 0) | (tokens >= n_items)
    if outside.any():
        row = outside.any(axis=1).argmax()
        raise ValueError(f"{name} hold {tokens[outside][0]} in window {row}: expected 0 to {n_items - 1}; "
                         "fit the vocabulary first, or raise n_items.")
    return tokens


def _at_least(value, least, name):
    if not value >= least:
        raise ValueError(f"{name} is {value}: expected at least {least}.")


def _fitted(model, attribute):
    if not hasattr(model, attribute):
        raise RuntimeError(f"{type(model).__name__} is not fitted: call fit(items, next_items, n_items) "
                           "first.")
    return getattr(model, attribute)
