"""All pools of one world, and which of their rows each kind of event may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from loader.local.simulator import content, elements, properties
from loader.local.simulator.hashing import Floats, generator
from loader.local.simulator.pool import Properties, Texts

#: Types of events, by code; ``rage_click`` is one that no list names: data like any other.
TYPES: Final = (
    "session",
    "pageview",
    "click",
    "change",
    "submit",
    "touch",
    "edit_field",
    "gesture",
    "screen_view",
    "custom",
    "rage_click",
)
SESSION, PAGEVIEW, CLICK, CHANGE, SUBMIT, TOUCH, EDIT, GESTURE, SCREEN, CUSTOM, RAGE = range(11)


@dataclass(frozen=True, slots=True)
class Span:
    """Rows ``[first, first + count)`` of a pool."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The pools of one world. Fragments in the order of the event schema.

    Attributes:
        texts: pools of text fields, by the recipe column that indexes them.
        event_properties: the ``properties`` maps.
        session_properties: the ``session_properties`` maps.
        targets: rows of the ``target`` pool for each type code.
        cta: rows of the ``target`` pool that are calls to action.
        purchase: the ``target`` row that names a purchase, and the maps that go with it.
        custom_properties: maps of each further custom event, by its ``target`` row.
        generic: the generic maps.
        page_cdf: cumulated share of views by page.
        pricing: for each page whether it is the pricing page.
    """

    texts: dict[str, Texts]
    event_properties: Properties
    session_properties: Properties
    targets: dict[int, Span]
    cta: Span
    purchase: tuple[int, Span]
    custom_properties: dict[int, Span]
    generic: Span
    page_cdf: Floats
    pricing: np.ndarray[tuple[int], np.dtype[np.bool_]]


@lru_cache(maxsize=4)
def catalogue(seed: int) -> Catalogue:
    """Build the pools of a world; only the properties depend on ``seed``."""
    rng = generator(seed, 0x706F6F6C)
    targets, spans, cta = _targets()
    maps = properties.event_rows(rng)
    names = spans[CUSTOM].first
    purchases = Span(2 + properties.GENERIC, properties.PURCHASES)
    first = purchases.first + purchases.count
    cdf = np.cumsum(content.PAGE_WEIGHTS)
    device = ("library", "platform", "device_type")
    phone = ("device", "carrier", "app_name", "app_version")
    return Catalogue(
        texts={
            "device": Texts(device, _part(content.DEVICES, device)),
            "place": Texts(("country", "region", "city"), content.PLACES),
            "referrer": Texts(("referrer",), content.REFERRERS),
            "landing": Texts(
                ("landing_page", "landing_page_query", "landing_page_hash"), content.LANDINGS
            ),
            "browser": Texts(("browser",), _part(content.DEVICES, ("browser",))),
            "campaign": Texts(
                (
                    "search_keyword",
                    "utm_source",
                    "utm_campaign",
                    "utm_medium",
                    "utm_term",
                    "utm_content",
                ),
                content.CAMPAIGNS,
            ),
            "phone": Texts(phone, _part(content.DEVICES, phone)),
            "page": Texts(("domain", "path", "query", "hash", "title"), content.PAGES),
            "previous": Texts(("heap_previous_page",), content.PREVIOUS),
            "screen": Texts(
                ("view_controller", "screen_a11y_id", "screen_a11y_label"), content.SCREENS
            ),
            "target": Texts(
                (
                    "href",
                    "target_text",
                    "target_tag",
                    "target_id",
                    "target_class",
                    "action_method",
                    "target_view_class",
                    "target_view_name",
                    "target_a11y_id",
                    "target_a11y_label",
                    "hierarchy",
                    "name",
                ),
                targets,
            ),
        },
        event_properties=Properties("properties", maps),
        session_properties=Properties("session_properties", properties.session_rows(rng)),
        targets=spans,
        cta=cta,
        purchase=(names, purchases),
        custom_properties={
            names + 1 + index: Span(first + index * properties.PER_CUSTOM, properties.PER_CUSTOM)
            for index in range(len(elements.CUSTOM) - 1)
        },
        generic=Span(2, properties.GENERIC),
        page_cdf=np.asarray(cdf / cdf[-1], np.float64),
        pricing=np.array([page.get("path") == "/pricing" for page in content.PAGES]),
    )


def _targets() -> tuple[list[dict[str, str]], dict[int, Span], Span]:
    """Rows of the target pool (row 0 is none) and where each type's rows lie."""
    rows: list[dict[str, str]] = [{}]

    def add(more: Sequence[dict[str, str]]) -> Span:
        rows.extend(more)
        return Span(len(rows) - len(more), len(more))

    cta = add(elements.CTAS)
    clicks = add(elements.CLICKS)
    spans = {
        CLICK: clicks,
        RAGE: clicks,
        CHANGE: add(elements.CHANGES),
        SUBMIT: add(elements.SUBMITS),
        TOUCH: add(elements.TOUCHES),
        EDIT: add(elements.EDITS),
        GESTURE: add(elements.GESTURES),
        CUSTOM: add(elements.CUSTOM),
    }
    return rows, spans, cta


def _part(rows: Sequence[dict[str, str]], fields: Sequence[str]) -> list[dict[str, str]]:
    return [{name: row[name] for name in fields if name in row} for row in rows]
