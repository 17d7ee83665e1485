"""Clicks, and a labelled event that is defined by their text."""

from __future__ import annotations

from typing import Any

T0 = 1_767_225_600_000_000


def click(number: int, text: str = "Buy") -> dict[str, Any]:
    return {
        "event_id": number,
        "user_id": number % 3,
        "session_id": 1,
        "time": T0 + number,
        "type": "click",
        "library": "web",
        "target_text": text,
    }


def definition(
    id_: str = "cta", name: str = "CTA", text: str = "Buy", **more: Any
) -> dict[str, Any]:
    where = {"target_text": text}
    return {"id": id_, "name": name, "source": "web", "event": "click", "where": where, **more}
