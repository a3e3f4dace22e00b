"""What to show to a visitor: who it is, what could be shown, and a list that is not ten times the same.

    link_identities        known, probable or unknown: which earlier visit belongs to a visit, and how surely
    merge_candidates       one list from those of several recommenders
    mmr                    re-rank for relevance and variety (maximal marginal relevance)
    intra_list_diversity   how different the items of a list are
    coverage               how much of the catalogue is shown to anybody
    average_popularity     how popular the shown items are

Whether a new way of choosing is better, before it is used and while it is tried:

    rerank                 the second stage: keep the best of what the first stage retrieved
    ips, snips             the value of a new policy, from the log of an old one
    doubly_robust          the same, with a model of the reward, such as one from another platform
    sample_size            how many visitors an A/B test needs
    two_rates_z            is the difference of two rates more than luck?
    sequential_boundary    limits that allow several looks at a running test

Items are numbers (int), lists are rows of an integer matrix, and a similarity is a square matrix of numbers up to 1.
"""

from statistics import NormalDist
from typing import NamedTuple

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


class Estimate(NamedTuple):
    """What a policy would earn, estimated from another policy's log.

    Attributes:
        value: Estimated mean reward a display.
        low: Lower end of the 95 % interval.
        high: Upper end.
        effective_size: (sum of weights)^2 / sum of squared weights: how many displays of the new policy's own log
            the weighted log is worth, roughly.
    """

    value: float
    low: float
    high: float
    effective_size: float


def ips(rewards, propensities, target):
    """Estimate the value of a policy from the log of another, by inverse propensity scoring.

    Each display counts with the weight target / propensity, so that what the old policy showed too rarely counts
    more. Unbiased if the propensities are the true ones and positive wherever the new policy would show something.

    Args:
        rewards: (n,) reward of each display, such as 1 for a click and 0 for none.
        propensities: (n,) probability in (0, 1] with which the old policy chose what it showed.
        target: (n,) probability in [0, 1] with which the new policy would choose the same.

    Returns:
        `Estimate`, with a normal interval.

    Raises:
        ValueError: If lengths differ, fewer than two displays are given, a reward is not finite, a probability is
            outside its range, or the new policy would show nothing of the log.

    Example:
        >>> ips([1, 0, 0, 1], [0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 1.0]).value
        1.0

    Source: Horvitz, D. & Thompson, D. (1952), A generalization of sampling without replacement from a finite
    universe, JASA 47(260); for policies: Dudík, M. et al. (2011), arXiv 1103.4601.
    """
    rewards, weights = _logged(rewards, propensities, target)
    return _estimate(weights * rewards, weights)


def snips(rewards, propensities, target):
    """Estimate the value of a policy by self-normalized inverse propensity scoring.

    Divides by the sum of the weights instead of their number: a little biased, usually less spread, and never
    outside the range of the rewards.

    Args, raises: as `ips`.

    Returns:
        `Estimate`; the interval comes from linearizing the ratio.

    Example:
        >>> snips([1, 0, 0, 1], [0.25, 0.5, 0.5, 0.25], [1.0, 0.0, 0.0, 1.0]).value
        1.0

    Source: Swaminathan, A. & Joachims, T. (2015), The self-normalized estimator for counterfactual learning, NIPS.
    """
    rewards, weights = _logged(rewards, propensities, target)
    value = np.sum(weights * rewards) / np.sum(weights)
    return _estimate(value + weights * (rewards - value) / weights.mean(), weights)


def doubly_robust(rewards, propensities, target, predicted, expected):
    """Estimate the value of a policy from a model of the reward, corrected by the weighted errors of that model.

    Unbiased if the propensities are right or the model is; the better the model, the smaller the spread. The model
    must not have learned from the displays of this log; one from another platform qualifies.

    Args, raises: as `ips`.
        predicted: (n,) reward that the model predicts for what was shown.
        expected: (n,) reward that the model expects of the new policy in the same situation: its predictions,
            averaged over everything that could be shown with the new policy's probabilities.

    Returns:
        `Estimate`, with a normal interval.

    Example:
        >>> doubly_robust([1, 0], [0.5, 0.5], [1.0, 0.0], predicted=[0.8, 0.1], expected=[0.8, 0.8]).value
        1.0

    Source: Dudík, M., Langford, J. & Li, L. (2011), Doubly robust policy evaluation and learning, arXiv 1103.4601.
    """
    rewards, weights = _logged(rewards, propensities, target)
    predicted = _column("predicted", predicted, len(rewards))
    expected = _column("expected", expected, len(rewards))
    return _estimate(expected + weights * (rewards - predicted), weights)


def _logged(rewards, propensities, target):
    """(rewards, weights) of a log, checked."""
    rewards = _column("rewards", rewards)
    if len(rewards) < 2:
        raise ValueError(f"the log has {len(rewards)} display(s); an interval needs at least 2 outcomes: log more")
    propensities = _column("propensities", propensities, len(rewards))
    target = _column("target", target, len(rewards))
    _check_rows("propensities", propensities, (propensities > 0) & (propensities <= 1), "in (0, 1]",
                "Log the probability of what was shown when it is shown; a policy that never explores cannot be "
                "used to evaluate another")
    _check_rows("target", target, (target >= 0) & (target <= 1), "in [0, 1]",
                "Give the new policy's probability of the logged choice")
    if not target.any():
        raise ValueError("target is 0 in every row: the new policy would show nothing of what was logged, so this "
                         "log says nothing about it. Collect a log that explores")
    return rewards, target / propensities


def _column(name, values, length=None):
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or (length is not None and len(values) != length):
        wanted = "(n,)" if length is None else f"({length},), like rewards"
        raise ValueError(f"{name} has the shape {values.shape}, expected {wanted}: one number for each display")
    _check_rows(name, values, np.isfinite(values), "finite", "Remove or repair these rows before estimating")
    return values


def _check_rows(name, values, good, wanted, advice):
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name} must be {wanted}; found {values[row]} in row {row} ({int((~good).sum())} such "
                         f"row(s)). {advice}")


def _estimate(terms, weights):
    half = NormalDist().inv_cdf(0.975) * terms.std(ddof=1) / np.sqrt(len(terms))
    value, size = terms.mean(), weights.sum() ** 2 / np.sum(weights**2)
    return Estimate(float(value), float(value - half), float(value + half), float(size))


def rerank(candidates, scores, k):
    """Keep the k candidates that the second stage scores highest.

    Args:
        candidates: (n, c) numbers of the items that the first stage retrieved.
        scores: (n, c) scores of the second stage, finite; ties keep the order of the first stage.
        k: Length of the list to show, 1 to c.

    Returns:
        (n, k) numbers of items, best first.

    Raises:
        ValueError: If a candidate list is empty, shapes differ, a score is not finite, or k does not fit.

    Example:
        >>> rerank([[7, 8, 9]], [[0.1, 0.9, 0.5]], k=2).tolist()
        [[8, 9]]
    """
    candidates, scores = np.asarray(candidates), np.asarray(scores, dtype=float)
    if candidates.ndim != 2 or candidates.size == 0:
        raise ValueError(f"candidates has the shape {candidates.shape}: the candidate list is empty or no table. "
                         "Expected (n, c) with c at least 1; fall back to the popular items where nothing is found")
    if scores.shape != candidates.shape:
        raise ValueError(f"scores has the shape {scores.shape}, expected {candidates.shape}: one to a candidate")
    if not np.isfinite(scores).all():
        row = int(np.argmin(np.isfinite(scores).all(axis=1)))
        raise ValueError(f"scores must be finite; row {row} holds {scores[row]}. Score every candidate")
    if not 1 <= k <= candidates.shape[1]:
        raise ValueError(f"k is {k}, expected 1 to {candidates.shape[1]}, the number of candidates: retrieve more")
    return np.take_along_axis(candidates, np.argsort(-scores, axis=1, kind="stable")[:, :k], axis=1)


def sample_size(rate, lift, alpha=0.05, power=0.8):
    """How many independent units each arm of an A/B test needs.

    Args:
        rate: Expected rate of the control, in (0, 1).
        lift: Smallest absolute difference worth finding, not 0; `rate + lift` must lie in (0, 1).
        alpha: Two-sided probability of a false alarm, in (0, 1).
        power: Probability of finding a true difference of size `lift`, in (0, 1).

    Returns:
        int, units in each arm.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> sample_size(0.10, 0.02)
        3839

    Source: Fleiss, J., Levin, B. & Paik, M. (2003), Statistical Methods for Rates and Proportions (here without the
    continuity correction, and with the two arms' own variances).
    """
    for name, value in (("rate", rate), ("rate + lift", rate + lift), ("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value}, expected a probability strictly between 0 and 1")
    if lift == 0:
        raise ValueError("lift is 0: no sample is large enough to find no difference; name the smallest that matters")
    quantiles = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
    variance = rate * (1 - rate) + (rate + lift) * (1 - rate - lift)
    return int(np.ceil(quantiles**2 * variance / lift**2))


def two_rates_z(clicks_a, clicks_b, shown_a, shown_b):
    """Compare two rates: the z statistic of b minus a, with a pooled variance.

    Args:
        clicks_a, clicks_b: Number of successes in each arm; arrays of one shape compare many looks at once.
        shown_a, shown_b: Number of units in each arm, at least 2, of a shape that broadcasts.

    Returns:
        float array of the common shape, positive where b is ahead; 0 where both arms agree without variance.

    Raises:
        ValueError: If an arm has fewer than two outcomes, or successes are not between 0 and the units.

    Example:
        >>> two_rates_z(100, 120, 1000, 1000).round(2).item()
        1.43
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (clicks_a, clicks_b, shown_a, shown_b)))
    for name, clicks, shown in (("a", arrays[0], arrays[2]), ("b", arrays[1], arrays[3])):
        if not (shown >= 2).all():
            raise ValueError(f"arm {name} has {shown.min():g} unit(s) at a look, expected at least 2 outcomes: wait "
                             "for more before looking")
        if not ((clicks >= 0) & (clicks <= shown)).all():
            raise ValueError(f"clicks_{name} must lie between 0 and shown_{name}; found {clicks.min():g} to "
                             f"{clicks.max():g}: count each unit once")
    a, b, n, m = arrays
    pooled = (a + b) / (n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.divide(b / m - a / n, spread, out=np.zeros(spread.shape), where=spread > 0)


def sequential_boundary(looks, alpha=0.05, shape="pocock", draws=200_000, seed=0):
    """Limits for |z| at equally spaced looks that keep the total rate of false alarms at alpha, by simulation.

    Args:
        looks: Number of looks, at least 1, the last at the full sample.
        alpha: Two-sided probability of any false alarm, in (0, 1).
        shape: "pocock" for the same limit at each look, "obrien-fleming" for one that starts high and falls with
            the square root of the sample.
        draws: Number of simulated tests without effect.
        seed: Seed of the simulation.

    Returns:
        (looks,) float array: stop and report a difference when |z| passes the limit of the look.

    Raises:
        ValueError: If `looks` is below 1, `alpha` outside (0, 1) or `shape` unknown.

    Example:
        >>> sequential_boundary(5, draws=50_000).round(1).tolist()
        [2.4, 2.4, 2.4, 2.4, 2.4]

    Source: Pocock, S. (1977), Group sequential methods in the design and analysis of clinical trials, Biometrika
    64(2); O'Brien, P. & Fleming, T. (1979), A multiple testing procedure for clinical trials, Biometrics 35(3).
    """
    if looks < 1:
        raise ValueError(f"looks is {looks}, expected at least 1: a test is looked at once, at its end")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, expected a probability strictly between 0 and 1, such as 0.05")
    shapes = {"pocock": np.ones(looks), "obrien-fleming": np.sqrt(looks / np.arange(1, looks + 1))}
    if shape not in shapes:
        raise ValueError(f"shape is {shape!r}, expected one of {list(shapes)}")
    steps = np.random.default_rng(seed).normal(size=(draws, looks))
    z = np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, looks + 1))
    return shapes[shape] * np.quantile(np.abs(z / shapes[shape]).max(axis=1), 1 - alpha)
