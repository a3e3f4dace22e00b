"""The oracle of notebook 14: the true probabilities of the next view, for whoever sees the views and nothing else."""

import numpy as np

from helpers.data.simulator import possible_actions

VIEW = 0  # column of the actions; 1 to 3 are events that are no view, 4 ends the session


def next_view_probabilities(platform, viewed):
    """Compute P(item of the next view | the views so far) at every view.

    Between two views a visitor may search or fill the cart, unseen, and the hidden intent moves on. With P the intents'
    transitions, and N and V the diagonal matrices of the probabilities of an event that is no view, and of a view, the
    intent moves from one view to the next by P V + P N P V + P N P N P V + ... = (I - P N)^-1 P V: no event between,
    one, two, and so on.

    Args:
        platform: A platform of `helpers.data.simulator.make_shop`.
        viewed: int (n, length) tokens of the items viewed; item i of the platform is token i + 2, and 0 is padding.

    Returns:
        float (n, length, n_items): rows sum to 1, given that there is a next view.
    """
    first, viewed_before = _actions(platform, (False, False)), _view_to_view(platform, (True, True))
    begin = platform.types[:, None] * platform.initial
    searched = (begin * first[:, 1])[:, None] @ _view_to_view(platform, (True, False))
    state = np.repeat((begin * first[:, VIEW] + searched[:, 0])[None], len(viewed), axis=0)
    found = []
    for item in viewed.T:
        state = state * platform.emission[:, np.maximum(item - 2, 0)].T[:, None]
        state = np.einsum("sci,cij->scj", state / state.sum(axis=(1, 2), keepdims=True), viewed_before)
        found.append(state.sum(axis=1) @ platform.emission)
    found = np.stack(found, axis=1)
    return found / found.sum(axis=-1, keepdims=True)


def _actions(platform, situation):
    """(..., 5): the chances of the actions that are possible in the situation."""
    act = platform.action * possible_actions(*situation)
    return act / act.sum(axis=1, keepdims=True)


def _view_to_view(platform, situation):
    """(types, intents, intents): from the intent at one event to that at the next view."""
    act = _actions(platform, situation)
    other = act[:, 1:4].sum(axis=1)
    move = platform.transition
    return np.linalg.inv(np.eye(len(other)) - move * other) @ (move * act[:, VIEW])
