"""A simulated shop on several platforms whose truth is known.

The shop is a generative model, small enough to reimplement from this page.

**Catalogue.** An item has a category, a price tier and a brand, each drawn uniformly. Its log popularity is
normal with standard deviation 0.5. Its price is the category's price, times 0.6, 1 or 1.8 for the tier, times
log-normal noise. Each platform after the first shares a stated part of its items with the first.

**Customers.** A user has one of a few types, drawn with fixed shares. The type decides on which device and at which
hour the user shops, and how a shopping intent leads to the next.

**Sessions.** A hidden Markov model, extended so that an action may depend on what was seen before. Write c for
the type and z for the intent.

    z_1     ~ initial[c]                        z_t ~ transition[c, z_{t-1}]
    action  ~ action[z_t], restricted to what is possible: a session cannot end, and nothing can be put in the
              cart or bought, before there was an event, or an item was viewed
    item    ~ emission[z_t]        if the action is a view; a cart or a purchase concerns the item last viewed

The session ends when the action is `leave`, which is not logged. Pauses between events are log-normal with a median of 30
seconds, and independent of everything else. `login` (before some sessions) and `payment` (after every purchase)
accompany the sessions, and carry no information on what follows.

**Emission.** An intent likes an item by its attributes, so that catalogues which share nothing still share structure:

    log emission[z, i] = taste[z, category_i] + taste[z, tier_i] + taste[z, brand_i] + popularity_i + constant

**Shift.** Each table of real numbers behind a platform (tastes, transition, initial and action logits, popularity) is
a mixture of the first platform's table B and an independent redraw R, at constant spread:

    table = ((1 - s) B + s R) / sqrt((1 - s)^2 + s^2)

so that shift s = 0 is equal behavior, s = 1 is unrelated behavior, and the difficulty stays the same. What all platforms
have in common is that an intent tends to last (`STICKY` is added to its logit) and how frequent each action is.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

ACTIONS = ("view", "search", "add_to_cart", "purchase", "leave")
VIEW, SEARCH, CART, PURCHASE, LEAVE = range(5)
DEVICES = ("desktop", "phone", "tablet")

CATEGORIES = {  # name: typical price
    "boots": 90, "sandals": 40, "shirt": 35, "dress": 60, "jacket": 120, "jeans": 70,
    "hat": 25, "bag": 80, "scarf": 20, "watch": 150, "belt": 30, "gloves": 22,
}  # fmt: skip
TIERS = {"basic": 0.6, "classic": 1.0, "premium": 1.8}
STICKY = 5.0
POPULARITY = 0.5
ACTION_LOGITS = np.log([0.66, 0.10, 0.10, 0.05, 0.09])

BRANDS = ("Alda", "Bryn", "Corvo", "Dalia", "Estro", "Fjord", "Galen", "Hesper", "Inka", "Juno")

REFERENCE = {
    "items": 300, "item_overlap": 0.5, "intents": 16, "types": 4, "shop_seed": 0,
    "small_shift": 0.2, "large_shift": 0.8, "source_sessions": 8000, "target_sessions": 5000,
}  # fmt: skip
"""The setting of every measurement, chosen once for a wide gap between popularity and oracle, and locked by a test."""


@dataclass(frozen=True)
class Platform:
    """One platform of the shop, with the probabilities that its customers follow.

    Attributes:
        name: The platform's name.
        items: One row an item: item_id, category, tier, brand, title, price.
        types: (types,) share of each user type.
        device: (types, 3) probability of each of DEVICES.
        hour: (types, 24) probability of the hour at which a session starts.
        initial: (types, intents) probability of the first intent.
        transition: (types, intents, intents) probability of the next intent.
        action: (intents, 5) probability of each of ACTIONS.
        emission: (intents, items) probability that a view shows the item.
    """

    name: str
    items: pd.DataFrame
    types: np.ndarray
    device: np.ndarray
    hour: np.ndarray
    initial: np.ndarray
    transition: np.ndarray
    action: np.ndarray
    emission: np.ndarray


def make_shop(shift, items=300, item_overlap=0.5, intents=16, types=4, seed=0):
    """Draw the catalogue and the behavior of every platform of a shop.

    Args:
        shift: Mapping from a platform's name to its shift in [0, 1]; the first is the source, with shift 0.
        items: Number of items on each platform.
        item_overlap: Share in [0, 1] of a platform's items that the first platform sells too.
        intents: Number of hidden shopping intents.
        types: Number of user types.
        seed: Seed of the shop itself; users and sessions have seeds of their own.

    Returns:
        Dict from name to `Platform`.

    Raises:
        ValueError: If a shift or the overlap is outside [0, 1], or the first shift is not 0.

    Example:
        >>> shop = make_shop({"web": 0.0, "app": 0.2}, items=20, seed=1)
        >>> shop["app"].emission.shape
        (16, 20)
    """
    _check_shop(shift, item_overlap)
    base = _draw_tables(intents, types, np.random.default_rng([seed, 0]))
    universe = _draw_items(items * len(shift), np.random.default_rng([seed, 1]))
    types_rng = np.random.default_rng([seed, 2])
    habits = dict(
        types=np.full(types, 1 / types),
        device=types_rng.dirichlet(np.full(len(DEVICES), 0.7), types),
        hour=_softmax(2 * np.cos((np.arange(24) - types_rng.uniform(8, 22, (types, 1))) * np.pi / 12)),
    )
    shop = {}
    for number, (name, s) in enumerate(shift.items()):
        redraw = _draw_tables(intents, types, np.random.default_rng([seed, 3, number]))
        tables = {key: _shifted(base[key], redraw[key], s) for key in base}
        shared = items if number == 0 else round(item_overlap * items)
        own = np.arange(number * items, (number + 1) * items - shared)
        chosen = universe.iloc[np.r_[:shared, own]].reset_index(drop=True)
        fashion = np.random.default_rng([seed, 4, number]).normal(0, POPULARITY, items)
        popularity = _shifted(chosen.pop("popularity").to_numpy(), fashion, s)
        shop[name] = Platform(
            name=name,
            items=chosen,
            **habits,
            initial=_softmax(tables["initial"]),
            transition=_softmax(tables["transition"] + STICKY * np.eye(intents)),
            action=_softmax(tables["action"] + ACTION_LOGITS),
            emission=_softmax(_taste(tables, chosen) + popularity),
        )
    return shop


def _check_shop(shift, item_overlap):
    outside = {name: s for name, s in shift.items() if not 0 <= s <= 1}
    if outside:
        raise ValueError(f"shift must lie between 0 (equal) and 1 (unrelated); found {outside}")
    if not shift or next(iter(shift.values())) != 0:
        raise ValueError("shift must name the source platform first, with shift 0, such as {'web': 0, 'app': 0.2}")
    if not 0 <= item_overlap <= 1:
        raise ValueError(f"item_overlap is a share between 0 and 1; found {item_overlap}")


def _draw_tables(intents, types, rng):
    return {
        "category": rng.normal(0, 2.5, (intents, len(CATEGORIES))),
        "tier": rng.normal(0, 1.5, (intents, len(TIERS))),
        "brand": rng.normal(0, 1.5, (intents, len(BRANDS))),
        "initial": rng.normal(0, 1.5, (types, intents)),
        "transition": rng.normal(0, 1.5, (types, intents, intents)),
        "action": rng.normal(0, 0.7, (intents, len(ACTIONS))),
    }


def _draw_items(count, rng):
    category = rng.integers(len(CATEGORIES), size=count)
    tier = rng.integers(len(TIERS), size=count)
    brand = rng.integers(len(BRANDS), size=count)
    price = np.array(list(CATEGORIES.values()))[category] * np.array(list(TIERS.values()))[tier]
    items = pd.DataFrame({
        "item_id": [f"item-{i:04d}" for i in range(count)],
        "category": np.array(list(CATEGORIES))[category],
        "tier": np.array(list(TIERS))[tier],
        "brand": np.array(BRANDS)[brand],
        "price": (price * rng.lognormal(0, 0.1, count)).round(2),
        "popularity": rng.normal(0, POPULARITY, count),
    })
    items.insert(4, "title", items["brand"] + " " + items["tier"] + " " + items["category"])
    return items


def _taste(tables, items):
    levels = {"category": list(CATEGORIES), "tier": list(TIERS), "brand": list(BRANDS)}
    return sum(tables[key][:, pd.Index(levels[key]).get_indexer(items[key])] for key in levels)


def _shifted(base, redraw, s):
    return ((1 - s) * base + s * redraw) / np.hypot(1 - s, s)


def _softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def draw_users(platform, count, prefix="user", seed=0):
    """Draw customers, each of one hidden type.

    Args:
        platform: A `Platform`, for the shares of the types.
        count: Number of users.
        prefix: Start of every user_id; two platforms whose users have the same ids share these users.
        seed: Seed of the draw.

    Returns:
        DataFrame with user_id (str) and user_type (int, hidden from every model).

    Example:
        >>> shop = make_shop({"web": 0.0}, items=20)
        >>> draw_users(shop["web"], 2, prefix="w", seed=1)["user_id"].tolist()
        ['w-000000', 'w-000001']
    """
    types = np.random.default_rng([seed, 5]).choice(len(platform.types), size=count, p=platform.types)
    return pd.DataFrame({"user_id": [f"{prefix}-{i:06d}" for i in range(count)], "user_type": types})


def simulate(platform, sessions, users=None, seed=0, start="2025-01-01", days=90, truth=False):
    """Draw a clean event log of one platform.

    Args:
        platform: A `Platform` of `make_shop`.
        sessions: Number of sessions.
        users: DataFrame of `draw_users`; by default new users, one for every four sessions.
        seed: Seed of users and sessions.
        start: First day (UTC).
        days: Number of days over which sessions are spread evenly.
        truth: Whether to add the hidden columns user_type and intent.

    Returns:
        Event log sorted by timestamp: user_id, platform, device, timestamp (datetime64[ms, UTC]), event_type,
        item_id (missing where no item is concerned), session_id (int64), price. Dtypes are plain: strings and floats.

    Raises:
        ValueError: If there are more sessions of a user than days, or fewer than one session.

    Example:
        >>> shop = make_shop({"web": 0.0}, items=20)
        >>> log = simulate(shop["web"], sessions=3, seed=1)
        >>> log["session_id"].nunique()
        3
    """
    if sessions < 1:
        raise ValueError(f"sessions must be at least 1; found {sessions}")
    rng = np.random.default_rng([seed, 6])
    users = draw_users(platform, -(-sessions // 4), f"{platform.name}-user", seed) if users is None else users
    visits = _draw_visits(platform, users, sessions, days, rng)
    steps = _draw_steps(platform, users["user_type"].to_numpy()[visits["user"]], rng)
    log = _as_log(platform, users, visits, steps, pd.Timestamp(start, tz="UTC"), rng)
    return log if truth else log.drop(columns=["user_type", "intent"])


def _draw_visits(platform, users, sessions, days, rng):
    """Who comes when, on which device; a user's visits fall on different days."""
    user = rng.permutation(np.arange(sessions) % len(users))
    visit = pd.Series(user).groupby(user).cumcount().to_numpy()
    if visit.max() >= days:
        raise ValueError(f"{visit.max() + 1} sessions of a user do not fit on {days} different days: "
                         "draw more users, or spread the sessions over more days")
    day = np.argsort(rng.random((len(users), days)), axis=1)[user, visit]
    kind = users["user_type"].to_numpy()[user]
    return {
        "user": user,
        "second": day * 86400 + _choose(platform.hour[kind], rng) * 3600 + rng.uniform(0, 3600, sessions),
        "device": _choose(platform.device[kind], rng),
    }


def _draw_steps(platform, kind, rng):
    """Intents, actions and items of all sessions, one step of all open sessions at a time."""
    session = np.arange(len(kind))
    intent = _choose(platform.initial[kind], rng)
    seen = np.full(len(kind), -1)
    steps = []
    while len(session):
        action = _choose(platform.action[intent] * possible_actions(len(steps) > 0, seen >= 0), rng)
        seen = np.where(action == VIEW, _choose(platform.emission[intent], rng), seen)
        stays = action != LEAVE
        session, intent, seen, action = session[stays], intent[stays], seen[stays], action[stays]
        steps.append(np.stack([session, np.full(len(session), len(steps)), intent, action, seen]))
        intent = _choose(platform.transition[kind[session], intent], rng)
    return dict(zip(("session", "step", "intent", "action", "seen"), np.concatenate(steps, axis=1)))


def possible_actions(started, viewed):
    """Say which of ACTIONS can come next.

    Args:
        started: Whether the session has an event already (bool, or array of bool).
        viewed: Whether an item was viewed already (same shape).

    Returns:
        Bool array of the common shape plus (5,).

    Example:
        >>> possible_actions(started=False, viewed=False).astype(int).tolist()
        [1, 1, 0, 0, 0]
    """
    started, viewed = np.broadcast_arrays(started, viewed)
    always = np.ones_like(viewed)
    return np.stack([always, always, viewed, viewed, started], axis=-1)


def _choose(weights, rng):
    """Draw one column of each row, with probabilities proportional to the weights."""
    total = np.cumsum(weights, axis=-1)
    return (rng.random(len(total))[:, None] * total[:, -1:] > total).sum(axis=-1)


def _as_log(platform, users, visits, steps, start, rng):
    session, action = steps["session"], steps["action"]
    by_session = np.lexsort((steps["step"], session))
    pause = np.minimum(rng.lognormal(np.log(30), 1.0, len(session)), 20 * 60)
    pause[steps["step"] == 0] = 0
    elapsed = pd.Series(pause[by_session]).groupby(session[by_session]).cumsum().to_numpy()
    second = visits["second"][session]
    second[by_session] += elapsed
    with_item = np.isin(action, (VIEW, CART, PURCHASE))
    item = platform.items.iloc[np.where(with_item, steps["seen"], 0)]
    log = pd.DataFrame({
        "user_id": users["user_id"].to_numpy()[visits["user"][session]],
        "platform": platform.name,
        "device": np.array(DEVICES)[visits["device"][session]],
        "timestamp": start + pd.to_timedelta((second * 1000).astype("int64"), unit="ms"),
        "event_type": np.array(ACTIONS)[action],
        "item_id": pd.Series(item["item_id"].to_numpy()).where(with_item),
        "session_id": session,
        "price": np.where(with_item, item["price"], np.nan),
        "user_type": users["user_type"].to_numpy()[visits["user"][session]],
        "intent": steps["intent"],
    })
    log = pd.concat([log, _companions(log, rng)]).sort_values("timestamp", kind="stable", ignore_index=True)
    return log.astype({"timestamp": "datetime64[ms, UTC]"})


def _companions(log, rng):
    """A login two seconds before three sessions in ten, and a payment one second after each purchase."""
    first = log.loc[log.groupby("session_id")["timestamp"].idxmin()]
    login = first[rng.random(len(first)) < 0.3]
    login = login.assign(event_type="login", timestamp=login["timestamp"] - pd.Timedelta("2s"), item_id=None, price=np.nan)
    payment = log[log["event_type"] == "purchase"]
    payment = payment.assign(event_type="payment", timestamp=payment["timestamp"] + pd.Timedelta("1s"), item_id=None)
    return pd.concat([login, payment])


def draw_images(items, size=32):
    """Render a small picture of each item: category as a shape, brand as its color, tier as its background.

    Args:
        items: DataFrame with the columns category, tier and brand.
        size: Height and width in pixels.

    Returns:
        uint8 array (items, size, size, 3).

    Example:
        >>> shop = make_shop({"web": 0.0}, items=20)
        >>> draw_images(shop["web"].items.head(2)).shape
        (2, 32, 32, 3)
    """
    y, x = np.mgrid[-1:1:size * 1j, -1:1:size * 1j]
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    pictures = np.empty((len(items), size, size, 3), np.uint8)
    for picture, (category, tier, brand) in zip(pictures, items[["category", "tier", "brand"]].to_numpy()):
        number, hue = list(CATEGORIES).index(category), BRANDS.index(brand) / len(BRANDS)
        petals = 0.55 + 0.12 * (number // 6 + 1) * np.cos((number % 6 + 1) * angle)
        color = 0.5 + 0.45 * np.cos(2 * np.pi * (hue + np.array([0, 1, 2]) / 3))
        background = {"basic": 0.95, "classic": 0.75, "premium": 0.15}[tier]
        picture[:] = 255 * np.where((radius < petals)[..., None], color, background)
    return pictures
