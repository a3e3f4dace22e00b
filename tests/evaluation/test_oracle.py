"""The oracle against brute-force enumeration, and against what happens in simulated sessions."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from helpers.data import simulator
from helpers.evaluation import oracle

V, S, C, P, L = range(5)


@dataclass
class Tiny:
    types: np.ndarray
    device: np.ndarray
    hour: np.ndarray
    initial: np.ndarray
    transition: np.ndarray
    action: np.ndarray
    emission: np.ndarray


def tiny(seed, types=2, intents=3, items=3):
    draw = np.random.default_rng(seed).dirichlet
    ones = np.ones
    return Tiny(
        types=draw(ones(types)), device=draw(ones(3), types), hour=draw(ones(24), types),
        initial=draw(ones(intents), types), transition=draw(ones(intents), (types, intents)),
        action=draw(ones(5), intents), emission=draw(ones(items), intents),
    )  # fmt: skip


def enumerate_states(platform, actions, items, prior):
    """P(type, intent at the last event, events) by adding up every hidden path."""
    joint = np.zeros(platform.initial.shape)
    intents = range(platform.initial.shape[1])
    for kind in range(len(prior)):
        for path in itertools.product(intents, repeat=len(actions)):
            p = prior[kind]
            viewed = False
            for t, (z, a) in enumerate(zip(path, actions)):
                p *= platform.initial[kind, z] if t == 0 else platform.transition[kind, path[t - 1], z]
                possible = [True, True, viewed, viewed, t > 0]
                p *= platform.action[z, a] * possible[a] / (platform.action[z] * possible).sum()
                p *= platform.emission[z, items[t]] if a == V else 1
                viewed |= a == V
            joint[kind, path[-1]] += p
    return joint


SESSIONS = [([V], [2]), ([S, S], [-1, -1]), ([V, C, V], [0, -1, 1]), ([S, V, P, V], [-1, 1, -1, 1])]


def padded(actions, items, length=5):
    fill = [-1] * (length - len(actions))
    return np.array([actions + fill]), np.array([items + fill])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("actions", "items"), SESSIONS)
def test_the_filter_equals_the_sum_over_all_hidden_paths(seed, actions, items):
    platform = tiny(seed)
    prior = oracle.type_prior(platform, device=np.array([1]), hour=np.array([20]))
    joint = enumerate_states(platform, actions, items, prior[0])
    states, log_likelihood = oracle.filter_states(platform, *padded(actions, items), prior)
    last = len(actions) - 1
    np.testing.assert_allclose(states[0, last], joint / joint.sum(), atol=1e-10)
    np.testing.assert_allclose(log_likelihood[0], np.log(joint.sum()), atol=1e-10)


@pytest.mark.parametrize(("actions", "items"), SESSIONS)
def test_predictions_equal_the_ratio_of_enumerated_sessions(actions, items):
    platform = tiny(7)
    known = enumerate_states(platform, actions, items, platform.types).sum()
    a, i = padded(actions, items)
    states, _ = oracle.filter_states(platform, a, i)
    last = len(actions) - 1

    def longer(action, item=-1):
        return enumerate_states(platform, [*actions, action], [*items, item], platform.types).sum() / known

    views = np.array([longer(V, item) for item in range(3)])
    action = oracle.next_action_probabilities(platform, states, a)[0, last]
    expected = [views.sum(), longer(S)] + ([longer(C), longer(P)] if V in actions else [0, 0])
    np.testing.assert_allclose(action[:4], expected, atol=1e-10)
    np.testing.assert_allclose(action.sum(), 1, atol=1e-10)
    item = oracle.next_item_probabilities(platform, states, a)[0, last]
    np.testing.assert_allclose(item, views / views.sum(), atol=1e-10)


def test_will_buy_equals_the_sum_over_ever_longer_sessions():
    platform = tiny(3, types=1, intents=2, items=2)
    actions, items = padded([V], [0], length=1)
    states, _ = oracle.filter_states(platform, actions, items)
    state, bought = states[0, 0, 0], 0.0
    for _ in range(400):
        ahead = state @ platform.transition[0]
        bought += ahead @ platform.action[:, P]
        state = ahead * platform.action[:, [V, S, C]].sum(axis=1)
    np.testing.assert_allclose(oracle.will_buy_probabilities(platform, states, actions)[0, 0], bought, atol=1e-10)


def test_will_buy_before_any_view_equals_the_frequency_of_simulated_purchases():
    shop = simulator.make_shop({"web": 0.0}, items=30, intents=4, types=2, seed=2)
    log = simulator.simulate(shop["web"], 20_000, seed=3)
    log = log[log["event_type"].isin(simulator.ACTIONS)].sort_values(["session_id", "timestamp"], kind="stable")
    by_session = log.groupby("session_id")["event_type"]
    searched_first = by_session.first() == "search"
    bought = by_session.apply(lambda types: (types == "purchase").any())[searched_first]
    actions, items = np.array([[S]]), np.array([[-1]])
    states, _ = oracle.filter_states(shop["web"], actions, items)
    expected = oracle.will_buy_probabilities(shop["web"], states, actions)[0, 0]
    assert abs(bought.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(bought))


def test_probabilities_are_calibrated_on_simulated_sessions(session_arrays):
    shop = simulator.make_shop({"web": 0.0}, items=50, seed=1)
    actions, items = session_arrays(shop["web"], sessions=4000, seed=2)
    states, _ = oracle.filter_states(shop["web"], actions, items)
    probabilities = oracle.next_action_probabilities(shop["web"], states, actions)
    after = np.concatenate([actions[:, 1:], np.full((len(actions), 1), -1)], axis=1)
    events = actions >= 0
    happened = np.where(after < 0, L, after)[events]
    for action in range(5):
        expected = probabilities[events][:, action]
        spread = np.sqrt((expected * (1 - expected)).sum())
        assert abs((happened == action).sum() - expected.sum()) < 4 * spread


@pytest.mark.parametrize("seed", range(5))
def test_no_ranking_expects_more_hits_than_the_oracle(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(20, 0.3), 50)
    limit = oracle.best_expected(probabilities, k=5)
    noisy = probabilities * rng.lognormal(0, 0.5 * seed, probabilities.shape)
    top = np.argsort(-noisy, axis=1)[:, :5]
    assert oracle.expected_hit_rate(probabilities, top) <= limit["hit_rate"] + 1e-12


def test_the_best_ranking_reaches_the_limit_and_entropy_is_the_lowest_log_loss():
    probabilities = np.array([[0.5, 0.3, 0.2, 0.0]])
    limit = oracle.best_expected(probabilities, k=2)
    assert limit["hit_rate"] == pytest.approx(0.8) and limit["accuracy"] == pytest.approx(0.5)
    assert limit["ndcg"] == pytest.approx(0.5 + 0.3 / np.log2(3))
    assert limit["log_loss"] == pytest.approx(-sum(p * np.log(p) for p in (0.5, 0.3, 0.2)))
    assert oracle.expected_hit_rate(probabilities, np.array([[0, 1]])) == pytest.approx(0.8)


def test_what_is_known_of_the_session_sharpens_the_type():
    platform = tiny(0)
    np.testing.assert_allclose(oracle.type_prior(platform), [platform.types])
    weight = platform.types * platform.device[:, 2] * platform.hour[:, 5]
    found = oracle.type_prior(platform, device=np.array([2]), hour=np.array([5]))
    np.testing.assert_allclose(found, [weight / weight.sum()])


@pytest.mark.parametrize(
    ("actions", "items", "message"),
    [
        (np.array([[0]]), np.array([[0, 1]]), "one shape"),
        (np.array([[4]]), np.array([[0]]), "found 4 to 4"),
        (np.array([[0]]), np.array([[9]]), "numbers from 0 to 2"),
    ],
)
def test_events_that_do_not_fit_the_platform_are_refused(actions, items, message):
    with pytest.raises(ValueError, match=message):
        oracle.filter_states(tiny(0), actions, items)
