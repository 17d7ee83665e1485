"""Blocks of the stream of events: who does what when.

The world is an endless sequence of events, made in blocks of ``BLOCK``. A block is a function of
the options and its number alone, so a run may begin anywhere. Inside a block everything is a NumPy
column; an event is described by its ids, its time and one row number per pool (its *recipe*).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from loader.local.simulator import catalogue as kinds
from loader.local.simulator.catalogue import Catalogue, Span
from loader.local.simulator.content import REFERRERS, WEB_DEVICES
from loader.local.simulator.hashing import Bools, Ints, generator, unique_ids
from loader.local.simulator.options import DAY_US, TrafficOptions
from loader.local.simulator.people import DEVICES_EACH, People, canonical_id, identity

BLOCK: Final = 16_384
#: Salts of the ids.
EVENT_ID, _SESSION_ID = 21, 22
_LONGEST: Final = 60
_WEB: Final = (
    (kinds.PAGEVIEW, 0.32),
    (kinds.CLICK, 0.47),
    (kinds.CHANGE, 0.09),
    (kinds.SUBMIT, 0.05),
    (kinds.CUSTOM, 0.065),
    (kinds.RAGE, 0.005),
)
_APP: Final = (
    (kinds.SCREEN, 0.30),
    (kinds.TOUCH, 0.42),
    (kinds.EDIT, 0.10),
    (kinds.GESTURE, 0.10),
    (kinds.CUSTOM, 0.08),
)
#: By how much clocks are off, in days; the last two are set to the epoch and drawn up to 2100.
_SKEWS: Final = (-0.01, 0.02, -3.0, 1.0, 400.0, -3650.0, np.nan, np.inf)

#: Columns of a recipe: row numbers of the text pools, in the order of the schema.
TEXT_POOLS: Final = (
    "device",
    "place",
    "referrer",
    "landing",
    "browser",
    "campaign",
    "phone",
    "page",
    "previous",
    "screen",
    "target",
)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of a block, one entry each.

    ``user`` is the id before, ``user_after`` the id from event ``identified_at`` on (a place in the
    session, ``_LONGEST`` or more where nobody identifies). ``skew`` is what the device's clock is off, in
    microseconds; ``reset`` marks clocks that show a wild time instead, which ``skew`` then is.
    """

    length: Ints
    person: Ints
    device: Ints
    session_id: Ints
    user: Ints
    user_after: Ints
    identified_at: Ints
    writes_at: Ints
    skew: Ints
    reset: Bools


@dataclass(frozen=True, slots=True)
class Block:
    """One block: events in order of their true time, and what the user topics get.

    Attributes:
        number: which block.
        index: of each event in the whole stream.
        columns: the recipe: ``event_id user_id session_id`` (0 .. 2^53-1), ``time`` (the device's,
            microseconds), ``type`` (code), ``ip``, ``properties session_properties`` and the pools.
        true_time: microseconds, when it really happened.
        session: which session of the block each event belongs to.
        place: which event of its session it is, from 0.
        sessions: the sessions.
    """

    number: int
    index: Ints
    columns: dict[str, Ints]
    true_time: Ints
    session: Ints
    place: Ints
    sessions: Sessions


def make_block(options: TrafficOptions, pools: Catalogue, number: int) -> Block:
    """Make block ``number``: events ``[number * BLOCK, (number + 1) * BLOCK)`` of the stream."""
    rng = generator(options.seed, 1, number)
    sessions = _sessions(options, rng, number)
    starts = np.cumsum(sessions.length) - sessions.length
    session = np.repeat(np.arange(len(sessions.length)), sessions.length)
    place = np.arange(BLOCK) - starts[session]
    web = sessions.device[session] < WEB_DEVICES
    first, span = _window(options, number)
    begin = first + np.sort(rng.random(len(starts))) * (span - first)
    gaps = (rng.exponential(18e6, BLOCK) + 1000).astype(np.int64)
    since = np.cumsum(gaps)
    true_time = begin.astype(np.int64)[session] + since - since[starts][session]

    code = _types(rng, web, place)
    page, previous = _pages(rng, pools, code, starts, session)
    target = _targets(rng, pools, code, page)
    purchase = np.flatnonzero((_inside(target, pools.cta))[:-1] & (place[1:] > 0))
    purchase = purchase[rng.random(len(purchase)) < 0.35] + 1
    code[purchase] = kinds.CUSTOM
    target[purchase] = pools.purchase[0]
    maps = _maps(rng, pools, code, target)

    count = len(sessions.length)
    per_session = {
        "place": People(options.seed, options.users).place(sessions.person),
        "ip": People(options.seed, options.users).address(sessions.person),
        "referrer": rng.integers(0, len(REFERRERS), count) * (rng.random(count) < 0.8),
        "campaign": rng.integers(0, len(pools.texts["campaign"]), count)
        * (rng.random(count) < 0.7),
        "session_properties": rng.integers(1, len(pools.session_properties), count)
        * (rng.random(count) < 0.6),
    }
    is_web = sessions.device < WEB_DEVICES
    for name in ("referrer", "campaign"):
        per_session[name] *= is_web
    shown = (code != kinds.SESSION) & web
    wrong = sessions.skew[session]
    columns = {
        "event_id": unique_ids(options.seed, EVENT_ID, np.arange(BLOCK) + number * BLOCK),
        "user_id": np.where(
            place >= sessions.identified_at[session],
            sessions.user_after[session],
            sessions.user[session],
        ),
        "session_id": sessions.session_id[session],
        "time": np.where(
            sessions.reset[session], wrong + since - since[starts][session], true_time + wrong
        ),
        "type": code,
        "device": sessions.device[session],
        "browser": sessions.device[session],
        "phone": sessions.device[session],
        "landing": np.where(is_web, page[starts], 0)[session],
        "page": np.where(shown, page, 0),
        "previous": np.where(shown, previous, 0),
        "screen": _screens(rng, pools, code, web),
        "target": target,
        "properties": maps,
        **{name: values[session] for name, values in per_session.items()},
    }
    order = np.argsort(true_time, kind="stable")
    return Block(
        number=number,
        index=np.arange(BLOCK) + number * BLOCK,
        columns={name: values[order] for name, values in columns.items()},
        true_time=true_time[order],
        session=session[order],
        place=place[order],
        sessions=sessions,
    )


def _window(options: TrafficOptions, number: int) -> tuple[int, int]:
    """First and last true time of session starts of a block, in microseconds."""
    first = options.first_time_us + round(number * BLOCK * options.gap_us)
    return first, options.first_time_us + round((number + 1) * BLOCK * options.gap_us)


def _sessions(options: TrafficOptions, rng: np.random.Generator, number: int) -> Sessions:
    length = np.minimum(1 + rng.geometric(1 / 11, BLOCK // 2), _LONGEST)
    ends = np.cumsum(length)
    count = int(np.searchsorted(ends, BLOCK)) + 1
    length = length[:count].astype(np.int64)
    length[-1] -= int(ends[count - 1]) - BLOCK
    people = People(options.seed, options.users)
    person = people.pick(rng.random(count))
    slot = np.searchsorted((0.5, 0.85), rng.random(count), side="right").astype(np.int64)
    slot = np.minimum(slot, DEVICES_EACH - 1)
    anonymous = people.anonymous(person, slot)
    canonical = np.array(
        [canonical_id(options.seed, identity(options.seed, p)) for p in person.tolist()]
    )
    known = people.is_known(person) & (rng.random(count) < 0.6)
    identifies = rng.random(count) < options.merges
    at = rng.integers(0, np.maximum(length, 1))
    writes = rng.random(count) < options.updates
    off = rng.random(count) < options.skewed_clocks
    kind = rng.integers(0, len(_SKEWS), count)
    days = np.asarray(_SKEWS)[kind]
    reset = off & ~np.isfinite(days)
    # A clock that starts at the epoch, or one that shows anything up to the year 2100.
    wild = np.where(np.isnan(days), 0.1, 130 * 365) * rng.random(count) * DAY_US
    skew = np.where(reset, wild, np.where(np.isfinite(days), days, 0.0) * DAY_US)
    return Sessions(
        length=length,
        person=person,
        device=people.device(person, slot),
        session_id=unique_ids(options.seed, _SESSION_ID, number * BLOCK + np.arange(count)),
        user=np.where(identifies | ~known, anonymous, canonical),
        user_after=canonical,
        identified_at=np.where(identifies, at, _LONGEST),
        writes_at=np.where(writes, rng.integers(0, np.maximum(length, 1)), -1),
        skew=np.where(off, skew, 0).astype(np.int64),
        reset=reset,
    )


def _types(rng: np.random.Generator, web: Bools, place: Ints) -> Ints:
    uniform = rng.random(BLOCK)
    code = np.empty(BLOCK, np.int64)
    for mask, shares in ((web, _WEB), (~web, _APP)):
        cdf = np.cumsum([part for _, part in shares])
        drawn = np.searchsorted(cdf / cdf[-1], uniform[mask], side="right")
        code[mask] = np.array([kind for kind, _ in shares])[drawn]
    code[place == 0] = kinds.SESSION
    second = place == 1
    code[second] = np.where(web[second], kinds.PAGEVIEW, kinds.SCREEN)
    return code


def _pages(
    rng: np.random.Generator, pools: Catalogue, code: Ints, starts: Ints, session: Ints
) -> tuple[Ints, Ints]:
    """Each event's page and the one before: the page stays until the next pageview."""
    drawn = np.searchsorted(pools.page_cdf, rng.random(BLOCK), side="right")
    views = code == kinds.PAGEVIEW
    last = np.maximum.accumulate(np.where(views, np.arange(BLOCK), 0))
    last = np.maximum(last, starts[session])
    # A session's first event shows the landing page, which is the first pageview's.
    landing = np.minimum(starts + 1, BLOCK - 1)
    drawn[starts] = np.where(views[landing], drawn[landing], drawn[starts])
    before = np.zeros(BLOCK, np.int64)
    where = np.flatnonzero(views)
    same = session[where[1:]] == session[where[:-1]]
    before[where[1:]] = np.where(same, drawn[where[:-1]], 0)
    return drawn[last], before[last]


def _targets(rng: np.random.Generator, pools: Catalogue, code: Ints, page: Ints) -> Ints:
    uniform = rng.random(BLOCK)
    target = np.zeros(BLOCK, np.int64)
    for kind, span in pools.targets.items():
        mask = code == kind
        # Names of custom events: the purchase is the first and comes after a call to action only.
        skip = 1 if kind == kinds.CUSTOM else 0
        target[mask] = span.first + skip + (uniform[mask] * (span.count - skip)).astype(np.int64)
    cta = (code == kinds.CLICK) & pools.pricing[page] & (rng.random(BLOCK) < 0.4)
    target[cta] = pools.cta.first + (uniform[cta] * pools.cta.count).astype(np.int64)
    return target


def _maps(rng: np.random.Generator, pools: Catalogue, code: Ints, target: Ints) -> Ints:
    """Row of the property maps: half of the plain events have none, a few an empty one."""
    uniform = rng.random(BLOCK)
    kind = rng.random(BLOCK)
    maps = np.where(kind < 0.5, 0, np.where(kind < 0.51, 1, _draw(uniform, pools.generic)))
    spans = {pools.purchase[0]: pools.purchase[1], **pools.custom_properties}
    for row, span in spans.items():
        mask = target == row
        maps[mask] = _draw(uniform[mask], span)
    maps[code == kinds.SESSION] = 0
    return maps


def _screens(rng: np.random.Generator, pools: Catalogue, code: Ints, web: Bools) -> Ints:
    screens = rng.integers(1, len(pools.texts["screen"]), BLOCK)
    return np.where(web | (code == kinds.SESSION), 0, screens)


def _draw(uniform: np.ndarray[tuple[int], np.dtype[np.float64]], span: Span) -> Ints:
    return span.first + (uniform * span.count).astype(np.int64)


def _inside(rows: Ints, span: Span) -> Bools:
    return (rows >= span.first) & (rows < span.first + span.count)
