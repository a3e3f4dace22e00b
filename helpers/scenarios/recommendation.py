"""What to show to a visitor: who it is, what could be shown, and a list that is not ten times the same.

    link_identities        known, probable or unknown: which earlier visit belongs to a visit, and how surely
    merge_candidates       one list from those of several recommenders
    mmr                    re-rank for relevance and variety (maximal marginal relevance)
    intra_list_diversity   how different the items of a list are
    coverage               how much of the catalogue is shown to anybody
    average_popularity     how popular the shown items are

Items are numbers (int), lists are rows of an integer matrix, and a similarity is a square matrix of numbers up to 1.
"""

import numpy as np
import pandas as pd


def link_identities(earlier, later, rates, prior, use_from, account="account"):
    """Say for each visit which earlier visit was probably made by the same person.

    Equal accounts make a link `known`. Otherwise every clue multiplies the odds: by m / u where both visits agree in
    it, by (1 - m) / (1 - u) where they do not, and by nothing where one value is missing. Two different accounts rule a
    link out. By Bayes' rule over the candidates and "none of them", the best one is `probable` from `use_from` on.

    Args:
        earlier: DataFrame, one row a visit on the first device: `account`, missing without a login, and the clues. An
            account stands in one row at most.
        later: The same columns for the visits on the second device.
        rates: Mapping from a clue's column to (m, u): the share of agreement between two visits of one person, and of
            two persons; both above 0 and below 1. The clues must be independent given this.
        prior: Probability, above 0 and below 1, that a later visit's person is among the earlier ones at all.
        use_from: Probability in [0, 1] from which on a link is used. What a wrong link costs decides it.
        account: Name of the column of accounts.

    Returns:
        DataFrame with a row for each row of `later` (its index): `earlier` (position of the best candidate in
        `earlier`), `probability` (that the link is right) and `status` (`known`, `probable`, `unknown`).

    Raises:
        ValueError: If a table is empty, lacks a column or repeats an account, or a probability is outside its range.

    Source: Fellegi, I. P. & Sunter, A. B. (1969), A theory for record linkage, JASA 64 (the weights m / u).

    Example:
        >>> phone = pd.DataFrame({"account": ["ann", None], "city": ["Lima", "Oslo"]})
        >>> pc = pd.DataFrame({"account": ["ann", None], "city": ["Oslo", "Oslo"]})
        >>> link_identities(phone, pc, {"city": (0.9, 0.1)}, prior=0.5, use_from=0.6).round(2)
           earlier  probability    status
        0        0         1.00     known
        1        1         0.81  probable
    """
    _check_visits(earlier, later, [account, *rates], account)
    _check_rates(rates, prior, use_from)
    odds = np.full((len(later), len(earlier)), prior / (1 - prior) / len(earlier))
    for clue, (m, u) in rates.items():
        both, agree = _compared(earlier[clue], later[clue])
        odds *= np.where(both, np.where(agree, m / u, (1 - m) / (1 - u)), 1.0)
    both, same = _compared(earlier[account], later[account])
    odds[both & ~same] = 0.0
    probability = odds / (1 + odds.sum(axis=1, keepdims=True))
    probability[same.any(axis=1)] = same[same.any(axis=1)]
    best = probability.argmax(axis=1)
    sure = probability[np.arange(len(later)), best]
    status = np.where(same.any(axis=1), "known", np.where((sure >= use_from) & (sure > 0), "probable", "unknown"))
    return pd.DataFrame({"earlier": best, "probability": sure, "status": status}, index=later.index)


def _compared(earlier, later):
    """(both are given, both are given and equal), each bool (later, earlier)."""
    both = later.notna().to_numpy()[:, None] & earlier.notna().to_numpy()[None, :]
    return both, both & (later.to_numpy()[:, None] == earlier.to_numpy()[None, :])


def _check_visits(earlier, later, columns, account):
    for name, visits in (("earlier", earlier), ("later", later)):
        missing = [column for column in columns if column not in visits.columns]
        if missing or visits.empty:
            raise ValueError(f"{name} has {len(visits)} rows and lacks the columns {missing}: expected at least one "
                             f"row, and {columns}")
    repeated = earlier[account].dropna()
    repeated = repeated[repeated.duplicated()]
    if len(repeated):
        raise ValueError(f"account {repeated.iloc[0]!r} stands in several rows of earlier: join them into one history")


def _check_rates(rates, prior, use_from):
    for clue, pair in rates.items():
        if len(pair) != 2 or not all(0 < share < 1 for share in pair):
            raise ValueError(f"rates[{clue!r}] is {pair}: expected (m, u), two shares above 0 and below 1")
    if not 0 < prior < 1:
        raise ValueError(f"prior is {prior}: expected a probability above 0 and below 1")
    _check_share(use_from, "use_from")


def merge_candidates(lists, constant=60):
    """Merge the lists of several recommenders by their ranks alone (reciprocal rank fusion).

    An item's score is the sum of 1 / (constant + rank) over the lists that hold it, rank 1 being the best. Scores of
    different recommenders need not be comparable, since they are not read.

    Args:
        lists: Mapping from a recommender's name to its items, the best first. A list may be empty, not all.
        constant: At least 0. The larger, the more it counts to stand in many lists, the less to stand at the top.

    Returns:
        DataFrame sorted by score, ties by item: `item`, `score` and `sources` (names, joined by " + ").

    Raises:
        ValueError: If all lists are empty, a list holds an item twice, or `constant` is below 0.

    Source: Cormack, G. V., Clarke, C. L. A. & Büttcher, S. (2009), Reciprocal rank fusion outperforms Condorcet and
    individual rank learning methods, SIGIR.

    Example:
        >>> merge_candidates({"sequence": [7, 4], "content": [4, 9]})["item"].tolist()
        [4, 7, 9]
    """
    if not constant >= 0:
        raise ValueError(f"constant is {constant}: expected a number of at least 0")
    found = {}
    for name, items in lists.items():
        items = np.asarray(items).tolist()
        _check_distinct(items, f"the list of {name!r}")
        for rank, item in enumerate(items, start=1):
            score, sources = found.get(item, (0.0, []))
            found[item] = score + 1 / (constant + rank), [*sources, name]
    if not found:
        raise ValueError(f"no candidates: the lists of {list(lists)} are all empty. Fall back on popularity")
    rows = [(item, score, " + ".join(sources)) for item, (score, sources) in found.items()]
    return pd.DataFrame(sorted(rows, key=lambda row: (-row[1], row[0])), columns=["item", "score", "sources"])


def mmr(scores, similarity, k, trade_off=0.7):
    """Choose k candidates, one by one, that score high and resemble none of those chosen before.

    Each step takes the candidate with the highest trade_off * score - (1 - trade_off) * (its highest similarity to one
    that was chosen already, 0 at the first step). Ties go to the candidate that stands first.

    Args:
        scores: (n,) numbers, the higher the better, on the scale of the similarity: scale them to [0, 1] first.
        similarity: (n, n) similarity of the candidates, symmetric; 1 is equal.
        k: Length of the list, from 1 to n.
        trade_off: In [0, 1]: 1 looks at the scores alone, 0 at variety alone.

    Returns:
        int (k,): positions of the chosen candidates, in the order of choice.

    Raises:
        ValueError: If there is no candidate, shapes do not fit, a number is missing, the similarity is not symmetric,
            or k or the trade-off is outside its range.

    Source: Carbonell, J. & Goldstein, J. (1998), The use of MMR, diversity-based reranking for reordering documents and
    producing summaries, SIGIR (its lambda is `trade_off`).

    Example:
        >>> alike = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> mmr(np.array([1.0, 0.9, 0.5]), alike, k=2, trade_off=0.5).tolist()
        [0, 2]
    """
    scores = np.asarray(scores, np.float64)
    similarity = _similarity(similarity)
    _check_mmr(scores, similarity, k)
    _check_share(trade_off, "trade_off")
    nearest, chosen = np.zeros(len(scores)), []
    free = np.ones(len(scores), bool)
    for step in range(k):
        value = np.where(free, trade_off * scores - (1 - trade_off) * nearest, -np.inf)
        best = int(value.argmax())
        chosen.append(best)
        free[best] = False
        nearest = similarity[best] if step == 0 else np.maximum(nearest, similarity[best])
    return np.array(chosen)


def _check_mmr(scores, similarity, k):
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"scores have shape {scores.shape}: expected (n,) with at least one candidate. Without any, "
                         "fall back on popularity")
    if not np.isfinite(scores).all():
        raise ValueError(f"the score of candidate {int(np.argmin(np.isfinite(scores)))} is "
                         f"{scores[~np.isfinite(scores)][0]}: leave out what must not be shown")
    if similarity.shape != (len(scores),) * 2:
        raise ValueError(f"similarity has shape {similarity.shape}: expected {(len(scores),) * 2}, a row and a "
                         "column for each candidate")
    if k not in range(1, len(scores) + 1):
        raise ValueError(f"k is {k}: expected a whole number from 1 to {len(scores)}, the number of candidates")


def intra_list_diversity(lists, similarity):
    """Mean over the pairs of a list of 1 - similarity.

    Args:
        lists: int (n, k) items shown, each once in its list; k at least 2.
        similarity: (n_items, n_items), symmetric.

    Returns:
        (n,) a number for each list; 0 if all its items are alike.

    Raises:
        ValueError: If a list repeats an item, is shorter than 2, or holds one without a similarity.

    Source: Ziegler, C.-N. et al. (2005), Improving recommendation lists through topic diversification, WWW (its
    intra-list similarity, turned around).

    Example:
        >>> intra_list_diversity([[0, 1], [0, 2]], [[1, 0.9, 0.1], [0.9, 1, 0], [0.1, 0, 1]]).round(1).tolist()
        [0.1, 0.9]
    """
    similarity = _similarity(similarity)
    lists = _lists(lists, len(similarity))
    k = lists.shape[1]
    if k < 2:
        raise ValueError(f"lists have length {k}: expected at least 2, since diversity is one of pairs")
    one, other = np.triu_indices(k, 1)
    return 1 - similarity[lists[:, one], lists[:, other]].mean(axis=1)


def coverage(lists, n_items):
    """Share of the catalogue that stands in at least one list.

    Args:
        lists: int (n, k) items from 0 to n_items - 1, each once in its list.
        n_items: Size of the catalogue.

    Returns:
        float in (0, 1]. It grows with the number of lists: compare equal numbers of them.

    Raises:
        ValueError: If there is no list, a list repeats an item, or an item is not in the catalogue.

    Example:
        >>> coverage([[0, 1], [0, 2]], n_items=4)
        0.75
    """
    return len(np.unique(_lists(lists, n_items))) / n_items


def average_popularity(lists, counts):
    """Mean, over all places of all lists, of the popularity of what is shown there.

    Args:
        lists: int (n, k) items from 0 to n_items - 1, each once in its list.
        counts: (n_items,) how often each item was viewed, at least 0.

    Returns:
        float: in multiples of the mean item, so that 1 is what a random list has.

    Raises:
        ValueError: If a list repeats an item or an item is not counted, or the counts are negative or all 0.

    Source: Abdollahpouri, H., Burke, R. & Mobasher, B. (2019), Managing popularity bias in recommender systems with
    personalized re-ranking, FLAIRS, arXiv 1901.07555 (its average recommendation popularity, here divided by the mean).

    Example:
        >>> average_popularity([[0, 1], [0, 2]], counts=[6, 2, 1])
        1.25
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any() or not counts.sum() > 0:
        raise ValueError(f"counts have shape {counts.shape} and sum to {counts.sum()}: expected (n_items,) numbers of "
                         "at least 0, not all 0")
    return float(counts[_lists(lists, len(counts))].mean() / counts.mean())


def _lists(lists, n_items):
    lists = np.asarray(lists)
    if lists.ndim != 2 or lists.size == 0 or lists.dtype.kind not in "iu":
        raise ValueError(f"lists have shape {lists.shape} and dtype {lists.dtype}: expected (n, k) whole numbers, at "
                         "least one list of one item")
    if lists.min() < 0 or lists.max() >= n_items:
        raise ValueError(f"lists hold items from {lists.min()} to {lists.max()}: expected 0 to {n_items - 1}")
    in_order = np.sort(lists, axis=1)
    repeats = (in_order[:, 1:] == in_order[:, :-1]).any(axis=1)
    if repeats.any():
        row = int(repeats.argmax())
        _check_distinct(lists[row].tolist(), f"list {row}")
    return lists


def _check_distinct(items, name):
    repeated = [item for place, item in enumerate(items) if item in items[:place]]
    if repeated:
        raise ValueError(f"{name} holds item {repeated[0]!r} more than once: show each item once")


def _similarity(similarity):
    similarity = np.asarray(similarity, np.float64)
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise ValueError(f"similarity has shape {similarity.shape}: expected a square, a row and a column for "
                         "each item")
    if not np.allclose(similarity, similarity.T, atol=1e-6):
        raise ValueError("similarity is not symmetric, or a number is missing: expected the same number both ways")
    return similarity


def _check_share(value, name):
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}: expected a number in [0, 1]")
