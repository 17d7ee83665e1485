"""A topic whose messages were refused because its format was configured wrong, and mended settings."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from loader.config import Settings
from loader.consumer import app
from loader.consumer.progress import Progress
from loader.lake.s3 import S3Store


def with_format(settings: Settings, format_: str) -> Settings:
    """The same settings with another format for events, and limits that let everything pass."""
    events = settings.topics.events.model_copy(update={"format": format_})
    limits = settings.dead_letters.model_copy(update={"max_ratio": 1.0, "max_consecutive": 1 << 30})
    topics = settings.topics.model_copy(update={"events": events})
    return settings.model_copy(update={"topics": topics, "dead_letters": limits})


@pytest.fixture
def misconfigured(settings: Settings) -> Settings:
    return with_format(settings, "avro")


@pytest.fixture
def store(settings: Settings) -> S3Store:
    return S3Store.open(settings.lake)


@pytest.fixture
def consume() -> Callable[[Settings], Progress]:
    def run(settings: Settings) -> Progress:
        return app.run(settings, until_caught_up=True, stop=threading.Event())

    return run
