"""The traffic simulator: people using a web and a mobile app, the same for the same options."""

from loader.local.simulator.messages import Messages
from loader.local.simulator.options import TrafficOptions
from loader.local.simulator.publish import publish
from loader.local.simulator.samples import sample_definitions
from loader.local.simulator.stream import (
    EVENTS,
    TOPICS,
    USER_MIGRATIONS,
    USER_UPDATES,
    TrafficChunk,
    generate,
)

__all__ = [
    "EVENTS",
    "TOPICS",
    "USER_MIGRATIONS",
    "USER_UPDATES",
    "Messages",
    "TrafficChunk",
    "TrafficOptions",
    "generate",
    "publish",
    "sample_definitions",
]
