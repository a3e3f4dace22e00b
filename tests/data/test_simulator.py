"""The simulated shop: its structure, its reference setting, and its truth."""

import numpy as np
import pandas as pd
import pytest

from helpers.data import simulator
from helpers.data.simulator import REFERENCE, draw_images, draw_users, make_shop, simulate
from helpers.evaluation import oracle


@pytest.fixture(scope="module")
def shop():
    return make_shop({"web": 0.0, "app": 0.2, "kiosk": 1.0}, items=40, item_overlap=0.5, seed=3)


@pytest.fixture(scope="module")
def log(shop):
    return simulate(shop["web"], sessions=600, seed=4, truth=True)


def test_every_table_of_probabilities_sums_to_one(shop):
    for platform in shop.values():
        for table in ("types", "device", "hour", "initial", "transition", "action", "emission"):
            np.testing.assert_allclose(getattr(platform, table).sum(axis=-1), 1, atol=1e-12)


def test_platforms_share_the_stated_part_of_the_catalogue(shop):
    web, app = (set(shop[name].items["item_id"]) for name in ("web", "app"))
    assert len(web) == len(app) == 40 and len(web & app) == 20
    assert not set(make_shop({"a": 0, "b": 0}, items=10, item_overlap=0)["b"].items["item_id"]) & {
        f"item-{i:04d}" for i in range(10)}


def test_without_shift_shared_items_are_liked_alike_and_with_full_shift_they_are_not():
    shop = make_shop({"web": 0.0, "twin": 0.0, "stranger": 1.0}, items=60, item_overlap=1.0, seed=5)
    np.testing.assert_allclose(shop["twin"].emission, shop["web"].emission)
    np.testing.assert_allclose(shop["twin"].transition, shop["web"].transition)
    correlation = np.corrcoef(np.log(shop["web"].emission).ravel(), np.log(shop["stranger"].emission).ravel())[0, 1]
    assert abs(correlation) < 0.3


def test_a_shift_is_the_same_redraw_at_every_strength():
    near, far = (make_shop({"web": 0.0, "app": s}, items=300, seed=1)["app"] for s in (0.2, 0.8))
    spread = [np.log(p.emission).std() for p in (near, far)]
    assert spread[0] == pytest.approx(spread[1], rel=0.2)


def test_the_same_seed_draws_the_same_log_and_another_seed_another(shop):
    first, again, other = (simulate(shop["app"], 50, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_the_log_is_sorted_and_a_session_belongs_to_one_user_on_one_device(log):
    assert log["timestamp"].is_monotonic_increasing
    assert str(log["timestamp"].dtype) == "datetime64[ms, UTC]"
    assert (log.groupby("session_id")[["user_id", "device", "platform"]].nunique() == 1).all(axis=None)


def test_sessions_start_with_a_view_or_a_search_and_never_log_leaving(log):
    shopping = log[log["event_type"].isin(simulator.ACTIONS)]
    first = shopping.groupby("session_id")["event_type"].first()
    assert set(first) <= {"view", "search"}
    assert "leave" not in set(log["event_type"])


def test_a_cart_or_purchase_concerns_the_item_last_viewed(log):
    for _, session in log.groupby("session_id"):
        seen = None
        for event in session.itertuples():
            if event.event_type == "view":
                seen = event.item_id
            elif event.event_type in ("add_to_cart", "purchase"):
                assert event.item_id == seen


def test_items_and_prices_are_missing_just_where_no_item_is_concerned(log):
    without = log["event_type"].isin(["search", "login", "payment"])
    assert log.loc[without, "item_id"].isna().all() and log.loc[~without, "item_id"].notna().all()
    assert log.loc[log["event_type"] == "payment", "price"].notna().all()
    assert (log["event_type"] == "payment").sum() == (log["event_type"] == "purchase").sum()


def test_intents_follow_each_other_as_the_transition_says(shop):
    log = simulate(shop["web"], sessions=4000, seed=9, truth=True)
    log = log[log["event_type"].isin(simulator.ACTIONS)].sort_values(["session_id", "timestamp"], kind="stable")
    same = log["session_id"].to_numpy()[1:] == log["session_id"].to_numpy()[:-1]
    kept = (log["intent"].to_numpy()[1:] == log["intent"].to_numpy()[:-1])[same]
    expected = shop["web"].transition[log["user_type"].to_numpy()[:-1], log["intent"].to_numpy()[:-1],
                                      log["intent"].to_numpy()[:-1]][same]
    leaving = 1 - shop["web"].action[:, simulator.LEAVE]
    assert leaving.min() > 0.5
    assert abs(kept.mean() - expected.mean()) < 0.05


def test_views_follow_the_emission_of_the_intent(shop):
    log = simulate(shop["app"], sessions=4000, seed=10, truth=True)
    views = log[log["event_type"] == "view"]
    number = pd.Index(shop["app"].items["item_id"]).get_indexer(views["item_id"])
    intent = views["intent"].value_counts().idxmax()
    chosen = number[views["intent"] == intent]
    expected = shop["app"].emission[intent] * len(chosen)
    observed = np.bincount(chosen, minlength=40)
    assert ((observed - expected) ** 2 / np.maximum(expected, 1e-9))[expected > 5].sum() < 2 * (expected > 5).sum() + 20


def test_users_can_be_shared_between_platforms(shop):
    users = draw_users(shop["web"], 20, prefix="both", seed=1)
    web, app = (simulate(shop[name], 80, users=users, seed=2) for name in ("web", "app"))
    assert set(web["user_id"]) == set(app["user_id"]) == set(users["user_id"])


def test_images_differ_by_each_attribute_and_agree_for_equal_attributes():
    items = pd.DataFrame({
        "category": ["boots", "dress", "boots", "boots", "boots"],
        "tier": ["basic", "basic", "premium", "basic", "basic"],
        "brand": ["Alda", "Alda", "Alda", "Bryn", "Alda"],
    })
    first, *others, twin = draw_images(items, size=16)
    assert all((first != other).any() for other in others)
    np.testing.assert_array_equal(first, twin)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(shift={"web": 0.0, "app": 1.5}), "between 0"),
        (dict(shift={"web": 0.3}), "source platform first"),
        (dict(shift={}), "source platform first"),
        (dict(shift={"web": 0.0}, item_overlap=2), "item_overlap"),
    ],
)
def test_a_shop_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_shop(**arguments)


def test_too_many_or_no_sessions_are_refused(shop):
    with pytest.raises(ValueError, match="draw more users"):
        simulate(shop["web"], 100, users=draw_users(shop["web"], 1), days=90)
    with pytest.raises(ValueError, match="at least 1"):
        simulate(shop["web"], 0)


def test_the_reference_setting_is_locked():
    assert REFERENCE == {
        "items": 300, "item_overlap": 0.5, "intents": 16, "types": 4, "shop_seed": 0,
        "small_shift": 0.2, "large_shift": 0.8, "source_sessions": 8000, "target_sessions": 5000,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "shift"), [("small_shift", 0.2), ("large_shift", 0.8)])
def test_the_reference_setting_has_a_wide_gap_between_popularity_and_oracle(name, shift, session_arrays):
    platform = make_shop({"web": 0.0, "app": shift}, seed=REFERENCE["shop_seed"])["app"]
    actions, items = session_arrays(platform, sessions=1500, seed=1)
    states, _ = oracle.filter_states(platform, actions, items)
    viewed_next = np.zeros(actions.shape, bool)
    viewed_next[:, :-1] = actions[:, 1:] == simulator.VIEW
    probabilities = oracle.next_item_probabilities(platform, states, actions)[viewed_next]
    views = session_arrays(platform, sessions=5000, seed=2)
    popular = np.argsort(-np.bincount(views[1][views[0] == simulator.VIEW], minlength=300))[:10]
    popularity = oracle.expected_hit_rate(probabilities, np.tile(popular, (len(probabilities), 1)))
    assert oracle.best_expected(probabilities)["hit_rate"] - popularity > 0.2
