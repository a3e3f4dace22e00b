"""Links, candidates and re-ranking against definitions written out in full, and against a known truth."""

import numpy as np
import pandas as pd
import pytest

from helpers.scenarios import recommendation

ALIKE = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])


def attributes_of(rng, n, width=4):
    directions = rng.normal(size=(n, width))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions @ directions.T


def mmr_by_definition(scores, similarity, k, trade_off):
    chosen = []
    while len(chosen) < k:
        def value(i):
            return trade_off * scores[i] - (1 - trade_off) * max((similarity[i, j] for j in chosen), default=0)

        chosen.append(max((i for i in range(len(scores)) if i not in chosen), key=value))
    return chosen


@pytest.mark.parametrize("trade_off", [0.0, 0.3, 0.7, 1.0])
def test_mmr_chooses_what_its_definition_says(trade_off):
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, similarity = rng.random(12), attributes_of(rng, 12)
        found = recommendation.mmr(scores, similarity, 8, trade_off)
        assert found.tolist() == mmr_by_definition(scores, similarity, 8, trade_off)


def test_mmr_finds_the_best_pair_after_the_best_item():
    rng = np.random.default_rng(1)
    scores, similarity = rng.random(9), attributes_of(rng, 9)
    first, second = recommendation.mmr(scores, similarity, 2, 0.5)
    assert first == scores.argmax()
    others = [i for i in range(9) if i != first]
    assert second == max(others, key=lambda i: 0.5 * scores[i] - 0.5 * similarity[i, first])


def test_mmr_with_scores_alone_sorts_and_shows_each_item_once():
    scores = np.array([0.2, 0.9, 0.9, 0.1])
    assert recommendation.mmr(scores, np.eye(4), 4, 1.0).tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize(("change", "message"), [
    ({"scores": []}, "at least one candidate"),
    ({"scores": [[1.0]]}, "shape"),
    ({"scores": [1.0, np.nan, 0.0]}, "candidate 1 is nan"),
    ({"similarity": np.eye(2)}, r"expected \(3, 3\)"),
    ({"similarity": np.ones((3, 2))}, "square"),
    ({"similarity": np.triu(np.ones((3, 3)))}, "symmetric"),
    ({"similarity": np.full((3, 3), np.nan)}, "symmetric"),
    ({"k": 0}, "from 1 to 3"),
    ({"k": 4}, "from 1 to 3"),
    ({"k": 1.5}, "from 1 to 3"),
    ({"trade_off": -0.1}, r"in \[0, 1\]"),
    ({"trade_off": 1.1}, r"in \[0, 1\]"),
    ({"trade_off": np.nan}, r"in \[0, 1\]"),
])
def test_mmr_says_what_is_wrong(change, message):
    given = {"scores": [1.0, 0.9, 0.5], "similarity": ALIKE, "k": 2, "trade_off": 0.5}
    with pytest.raises(ValueError, match=message):
        recommendation.mmr(**(given | change))


def test_merging_sums_reciprocal_ranks():
    merged = recommendation.merge_candidates({"a": [5, 3], "b": [3, 8], "c": []}, constant=1)
    assert merged["item"].tolist() == [3, 5, 8]
    assert merged["score"].tolist() == pytest.approx([1 / 3 + 1 / 2, 1 / 2, 1 / 3])
    assert merged["sources"].tolist() == ["a + b", "a", "b"]


def test_merging_one_list_keeps_its_order():
    assert recommendation.merge_candidates({"a": np.array([4, 2, 9])})["item"].tolist() == [4, 2, 9]


@pytest.mark.parametrize(("lists", "constant", "message"), [
    ({}, 60, "no candidates"),
    ({"a": [], "b": []}, 60, "all empty"),
    ({"a": [1, 2, 1]}, 60, "list of 'a' holds item 1 more than once"),
    ({"a": [1]}, -1, "at least 0"),
])
def test_merging_says_what_is_wrong(lists, constant, message):
    with pytest.raises(ValueError, match=message):
        recommendation.merge_candidates(lists, constant)


def test_diversity_is_that_of_all_pairs():
    rng = np.random.default_rng(2)
    similarity = attributes_of(rng, 10)
    lists = np.stack([rng.permutation(10)[:4] for _ in range(5)])
    by_hand = [np.mean([1 - similarity[a, b] for i, a in enumerate(row) for b in row[:i]]) for row in lists]
    assert recommendation.intra_list_diversity(lists, similarity).tolist() == pytest.approx(by_hand)


def test_coverage_and_popularity_of_everything_are_one():
    everything = np.array([[0, 1], [2, 3]])
    assert recommendation.coverage(everything, 4) == 1
    assert recommendation.average_popularity(everything, [9, 1, 1, 1]) == pytest.approx(1)
    assert recommendation.average_popularity([[0], [0]], [9, 1, 1, 1]) == pytest.approx(3)


@pytest.mark.parametrize(("lists", "message"), [
    ([], "at least one list"),
    ([0, 1], r"\(n, k\)"),
    ([[0.0, 1.0]], "whole numbers"),
    ([[0, 3]], "expected 0 to 2"),
    ([[-1, 1]], "expected 0 to 2"),
    ([[0, 1], [2, 2]], "list 1 holds item 2 more than once"),
])
def test_lists_that_do_not_fit_are_named(lists, message):
    for measure in (lambda: recommendation.coverage(lists, 3),
                    lambda: recommendation.intra_list_diversity(lists, ALIKE),
                    lambda: recommendation.average_popularity(lists, [1, 1, 1])):
        with pytest.raises(ValueError, match=message):
            measure()


def test_diversity_needs_pairs_and_popularity_needs_counts():
    with pytest.raises(ValueError, match="at least 2"):
        recommendation.intra_list_diversity([[0]], ALIKE)
    for counts in ([0, 0], [1, -1], [[1, 2]], [1, np.nan]):
        with pytest.raises(ValueError, match="counts have shape"):
            recommendation.average_popularity([[0, 1]], counts)


def visits(**columns):
    return pd.DataFrame(columns).astype(object)


def test_a_link_follows_bayes_rule():
    phone = visits(account=[None, None], city=["Oslo", "Lima"], language=["no", "es"])
    pc = visits(account=[None], city=["Oslo"], language=["es"])
    rates = {"city": (0.9, 0.2), "language": (0.8, 0.4)}
    link = recommendation.link_identities(phone, pc, rates, prior=0.6, use_from=0.4).iloc[0]
    odds = np.array([0.9 / 0.2 * 0.2 / 0.6, 0.1 / 0.8 * 0.8 / 0.4]) * 0.3
    assert link["earlier"] == 0 and link["status"] == "probable"
    assert link["probability"] == pytest.approx(odds[0] / (0.4 + odds.sum()))


def test_missing_clues_leave_the_prior_and_other_accounts_rule_out():
    phone = visits(account=["ann", "bob"], city=[None, "Oslo"])
    pc = visits(account=["cid", None, "bob"], city=["Oslo", None, "Lima"])
    links = recommendation.link_identities(phone, pc, {"city": (0.9, 0.1)}, prior=0.5, use_from=0.0)
    assert links["status"].tolist() == ["unknown", "probable", "known"]
    assert links["probability"].tolist() == pytest.approx([0, 0.25, 1])
    assert links["earlier"].iloc[2] == 1


def test_the_probability_of_a_link_is_calibrated():
    rng = np.random.default_rng(3)
    n, returning = 400, 240
    cities = rng.integers(12, size=n), rng.integers(20, size=n)
    moved = [np.where(rng.random(n) < 0.85, old, rng.integers(k, size=n)) for old, k in zip(cities, (12, 20))]
    phone = pd.DataFrame({"account": None, "a": cities[0], "b": cities[1]})[:returning]
    pc = pd.DataFrame({"account": None, "a": moved[0], "b": moved[1]})
    rates = {name: (0.85 + 0.15 / k, 1 / k) for name, k in (("a", 12), ("b", 20))}
    links = recommendation.link_identities(phone, pc, rates, prior=returning / n, use_from=0.5)
    right = links["earlier"].to_numpy() == np.arange(n)
    assert right.mean() == pytest.approx(links["probability"].mean(), abs=0.05)
    sure = links["probability"] > links["probability"].median()
    assert right[sure].mean() == pytest.approx(links["probability"][sure].mean(), abs=0.08)


@pytest.mark.parametrize(("change", "message"), [
    ({"earlier": visits(account=[], city=[])}, "earlier has 0 rows"),
    ({"later": visits(account=[None])}, r"lacks the columns \['city'\]"),
    ({"earlier": visits(account=["ann", "ann"], city=["Oslo", "Lima"])}, "account 'ann' stands in several rows"),
    ({"rates": {"city": (1.0, 0.1)}}, r"rates\['city'\]"),
    ({"rates": {"city": (0.9,)}}, r"expected \(m, u\)"),
    ({"prior": 0}, "prior is 0"),
    ({"use_from": 1.2}, "use_from is 1.2"),
])
def test_linking_says_what_is_wrong(change, message):
    given = {"earlier": visits(account=[None], city=["Oslo"]), "later": visits(account=[None], city=["Oslo"]),
             "rates": {"city": (0.9, 0.1)}, "prior": 0.5, "use_from": 0.5}
    with pytest.raises(ValueError, match=message):
        recommendation.link_identities(**(given | change))
