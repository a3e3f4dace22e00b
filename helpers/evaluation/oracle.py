"""The best that any model can do on the simulated shop, computed exactly.

A session of the simulated shop follows a hidden Markov model, so that the forward filter gives the probability of the
hidden state (user type and intent) after each event, and from it the true probability of everything that may
come next. No model that sees the same history can rank better, or predict with a lower log loss, on average.

The functions read these attributes of a `platform`: types (types,), device (types, devices), hour (types, 24),
initial (types, intents), transition (types, intents, intents), action (intents, 5), emission (intents, items). Actions are
numbered 0 view, 1 search, 2 add_to_cart, 3 purchase, 4 leave; -1 is padding, on the right.

Source: Rabiner, L. R. (1989), A tutorial on hidden Markov models, Proceedings of the IEEE 77(2), equations 19 to 21. The action of an
event also depends on what was seen before it (an autoregressive hidden Markov model), which the recursion allows.
"""

import numpy as np

VIEW, SEARCH, CART, PURCHASE, LEAVE = range(5)


def type_prior(platform, device=None, hour=None):
    """Infer a user's type from what is known when a session starts.

    Args:
        platform: See the module.
        device: (n,) int number of the device, or None if it is not known.
        hour: (n,) int hour of the day, 0 to 23, or None if it is not known.

    Returns:
        (n, types) probabilities; (1, types) if nothing is known.
    """
    weight = platform.types[None, :]
    if device is not None:
        weight = weight * platform.device[:, device].T
    if hour is not None:
        weight = weight * platform.hour[:, hour].T
    return weight / weight.sum(axis=1, keepdims=True)


def filter_states(platform, actions, items, prior=None):
    """Run the forward filter over whole sessions.

    Args:
        platform: See the module.
        actions: (n, length) int, 0 to 3, -1 for padding.
        items: (n, length) int number of the item viewed; read only where the action is a view.
        prior: (n, types) or (1, types) of `type_prior`; by default the shares of the types.

    Returns:
        states: (n, length, types, intents) P(type, intent at this event | events up to and including it).
        log_likelihood: (n,) log probability of the observed events, without the end of the session.

    Raises:
        ValueError: If an action is not known, or an item is not in the catalogue.
    """
    _check_events(platform, actions, items)
    prior = platform.types[None, :] if prior is None else prior
    predicted = np.broadcast_to(prior[..., None] * platform.initial, (len(actions), *platform.initial.shape))
    allowed = _allowed_before(actions)
    states = np.zeros((*actions.shape, *platform.initial.shape))
    log_likelihood = np.zeros(len(actions))
    for t in range(actions.shape[1]):
        open_ = actions[:, t] >= 0
        joint = predicted[open_] * _event_likelihood(
            platform, actions[open_, t], items[open_, t], allowed[open_, t])[:, None, :]
        total = joint.sum(axis=(1, 2))
        states[open_, t] = joint / total[:, None, None]
        log_likelihood[open_] += np.log(total)
        predicted = next_intents(platform, states[:, t])
    return states, log_likelihood


def _check_events(platform, actions, items):
    if actions.shape != items.shape:
        raise ValueError(f"actions and items must have one shape; found {actions.shape} and {items.shape}")
    if actions.max() >= LEAVE or actions.min() < -1:
        raise ValueError("actions must be 0 view, 1 search, 2 add_to_cart, 3 purchase, or -1 for padding; "
                         f"found {actions.min()} to {actions.max()}")
    viewed = items[actions == VIEW]
    catalogue = platform.emission.shape[1]
    if len(viewed) and not 0 <= viewed.min() <= viewed.max() < catalogue:
        raise ValueError(f"items must be numbers from 0 to {catalogue - 1}; found {viewed.min()} to {viewed.max()}")


def _allowed_before(actions):
    """(n, length + 1, 5): what could happen at each position, given the events before it."""
    viewed = np.logical_or.accumulate(actions == VIEW, axis=1)
    viewed = np.concatenate([np.zeros((len(actions), 1), bool), viewed], axis=1)
    started = np.arange(viewed.shape[1]) > 0
    always = np.ones_like(viewed)
    return np.stack([always, always, viewed, viewed, np.broadcast_to(started, viewed.shape)], axis=-1)


def _action_probabilities(platform, allowed):
    """(..., intents, 5): the actions of each intent, restricted to what is allowed (..., 5)."""
    weight = platform.action * allowed[..., None, :]
    return weight / weight.sum(axis=-1, keepdims=True)


def _event_likelihood(platform, action, item, allowed):
    """(m, intents): probability of each event under each intent."""
    of_action = _action_probabilities(platform, allowed)[np.arange(len(action)), :, action]
    of_item = platform.emission[:, np.where(action == VIEW, item, 0)].T
    return of_action * np.where((action == VIEW)[:, None], of_item, 1.0)


def next_intents(platform, states):
    """Move the filter one event on, before the event is seen.

    Args:
        platform: See the module.
        states: (..., types, intents) of `filter_states`.

    Returns:
        (..., types, intents) P(type, intent at the next event | events so far).
    """
    return np.einsum("...ci,cij->...cj", states, platform.transition)


def next_action_probabilities(platform, states, actions):
    """Compute P(next action | events so far) at every event.

    Args:
        platform: See the module.
        states: (n, length, types, intents) of `filter_states`.
        actions: (n, length) as given to it.

    Returns:
        (n, length, 5): view, search, add_to_cart, purchase, leave; zero at padding.
    """
    intents = next_intents(platform, states).sum(axis=-2)
    return np.einsum("nti,ntia->nta", intents, _action_probabilities(platform, _allowed_before(actions)[:, 1:]))


def next_item_probabilities(platform, states, actions):
    """Compute P(item | events so far, and the next event is a view) at every event.

    Args:
        platform: See the module.
        states: (n, length, types, intents) of `filter_states`.
        actions: (n, length) as given to it.

    Returns:
        (n, length, items); zero at padding.
    """
    intents = next_intents(platform, states).sum(axis=-2)
    view = _action_probabilities(platform, _allowed_before(actions)[:, 1:])[..., VIEW]
    weight = intents * view
    total = weight.sum(axis=-1, keepdims=True)
    return np.divide(weight, total, out=np.zeros_like(weight), where=total > 0) @ platform.emission


def will_buy_probabilities(platform, states, actions):
    """Compute P(a purchase later in the session | events so far) at every event.

    Args:
        platform: See the module.
        states: (n, length, types, intents) of `filter_states`.
        actions: (n, length) as given to it.

    Returns:
        (n, length); zero at padding.
    """
    allowed = _allowed_before(actions)[:, 1:]
    after_view = _buys_next(platform, PURCHASE, (VIEW, SEARCH, CART))
    intents = next_intents(platform, states)
    before = np.stack([_before_view(platform, transition, buys)
                       for transition, buys in zip(platform.transition, after_view)])
    buys = np.where(allowed[..., PURCHASE, None, None], after_view, before)
    return (intents * buys).sum(axis=(-1, -2))


def _buys_next(platform, target, going_on):
    """(types, intents): P(a purchase from the next event on | its intent), once an item was viewed."""
    stays = platform.action[:, list(going_on)].sum(axis=1)
    identity = np.eye(len(stays))
    return np.stack([np.linalg.solve(identity - stays[:, None] * transition, platform.action[:, target])
                     for transition in platform.transition])


def _before_view(platform, transition, after_view):
    """(intents,): the same while no item was viewed, so that nothing can be put in the cart or bought yet."""
    p = _action_probabilities(platform, np.array([True, True, False, False, True]))
    views = p[:, VIEW] * (transition @ after_view)
    return np.linalg.solve(np.eye(len(views)) - p[:, [SEARCH]] * transition, views)


def best_expected(probabilities, k=10):
    """Score the ranking by the true probabilities: the highest that any model can expect.

    Args:
        probabilities: (m, classes) true probabilities, each row summing to 1.
        k: Length of the list shown.

    Returns:
        Dict of accuracy, hit_rate, ndcg (all at their highest) and log_loss (at its lowest), averaged over rows.
    """
    best = -np.sort(-probabilities, axis=1)[:, :k]
    discount = 1 / np.log2(np.arange(2, best.shape[1] + 2))
    entropy = -np.where(probabilities > 0, probabilities * np.log(np.maximum(probabilities, 1e-300)), 0).sum(axis=1)
    return {
        "accuracy": best[:, 0].mean(),
        "hit_rate": best.sum(axis=1).mean(),
        "ndcg": (best * discount).sum(axis=1).mean(),
        "log_loss": entropy.mean(),
    }


def expected_hit_rate(probabilities, top_items):
    """Score a model's lists by the true probabilities instead of by what happened to come next.

    Args:
        probabilities: (m, items) true probabilities.
        top_items: (m, k) int items that a model shows, without repetition.

    Returns:
        float: the expected HR@k, never above that of `best_expected`.
    """
    return np.take_along_axis(probabilities, top_items, axis=1).sum(axis=1).mean()
