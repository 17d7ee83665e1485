"""The raw event and the user update: every column that a message may carry, and the rows of the lake.

A *raw* table is what the lake stores: the message's own columns, then the columns that tell where
each row came from (``_topic`` .. ``_schema_id``). Times are ``timestamp[us]`` in UTC without a zone
flag, which Redshift's COPY loads as TIMESTAMP unchanged (AWS docs: COPY from columnar formats).

Open-ended properties are ``map<string, string>`` whose values are **JSON text**: ``"pro"`` with its
quotes, ``5``, ``1.5``, ``true``, ``{"a":1}``. So the type a producer sent is kept for ever, and the
column stays columnar. A null property is an absent value: for an event it means nothing, for a user
update it clears.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

TIME: Final = pa.timestamp("us")
PROPERTIES: Final = pa.map_(pa.string(), pa.string())

#: Identifiers are unsigned 63-bit: what BIGINT holds.
MAX_ID: Final = (1 << 63) - 1

#: Session-level text columns, in the order of the warehouse.
SESSION_FIELDS: Final = (
    "library",
    "platform",
    "device_type",
    "country",
    "region",
    "city",
    "ip",
    "referrer",
    "landing_page",
    "landing_page_query",
    "landing_page_hash",
    "browser",
    "search_keyword",
    "utm_source",
    "utm_campaign",
    "utm_medium",
    "utm_term",
    "utm_content",
    "device",
    "carrier",
    "app_name",
    "app_version",
)

#: Pageview-level text columns.
PAGEVIEW_FIELDS: Final = (
    "domain",
    "path",
    "query",
    "hash",
    "title",
    "heap_previous_page",
    "view_controller",
    "screen_a11y_id",
    "screen_a11y_label",
)

#: Interaction columns that event tables carry.
INTERACTION_FIELDS: Final = (
    "href",
    "target_text",
    "action_method",
    "target_view_class",
    "target_view_name",
    "target_a11y_id",
    "target_a11y_label",
)

#: Raw only: definitions ask about them, no table shows them.
RAW_ONLY_FIELDS: Final = ("target_tag", "target_id", "target_class", "hierarchy")

REQUIRED_EVENT_FIELDS: Final = ("event_id", "user_id", "session_id", "time", "type")

#: Every nullable text field of an event message, in message order.
EVENT_TEXT_FIELDS: Final = (
    *SESSION_FIELDS,
    *PAGEVIEW_FIELDS,
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
)

#: What a decoder gives for an event: one column a field, then ``extra`` for unknown top-level fields.
EVENT_COLUMNS: Final = pa.schema(
    [
        pa.field("event_id", pa.int64(), nullable=False),
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("session_id", pa.int64(), nullable=False),
        pa.field("time", TIME, nullable=False),
        pa.field("type", pa.string(), nullable=False),
        *(pa.field(name, pa.string()) for name in EVENT_TEXT_FIELDS),
        pa.field("properties", PROPERTIES),
        pa.field("session_properties", PROPERTIES),
        pa.field("extra", PROPERTIES),
    ]
)

USER_UPDATE_TEXT_FIELDS: Final = ("identity", "handle", "email")

#: ``cleared`` names those of identity, handle and email that a JSON message set to null on purpose.
#: Avro has no "absent", so there a null means "not carried".
USER_UPDATE_COLUMNS: Final = pa.schema(
    [
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("time", TIME, nullable=False),
        *(pa.field(name, pa.string()) for name in USER_UPDATE_TEXT_FIELDS),
        pa.field("properties", PROPERTIES),
        pa.field("cleared", pa.list_(pa.string())),
        pa.field("extra", PROPERTIES),
    ]
)

#: Where a row came from. ``_schema_id`` is the writer's Avro schema id, 0 for JSON.
LINEAGE_COLUMNS: Final = pa.schema(
    [
        pa.field("_topic", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("_partition", pa.int32(), nullable=False),
        pa.field("_offset", pa.int64(), nullable=False),
        pa.field("_arrival_time", TIME, nullable=False),
        pa.field("_schema_id", pa.int32(), nullable=False),
    ]
)


def raw_schema(columns: pa.Schema) -> pa.Schema:
    """The schema of a raw file of the lake: ``columns`` followed by the lineage columns."""
    return pa.schema([*columns, *LINEAGE_COLUMNS])


#: The type of every column that a raw file may hold, whichever topic it is of.
RAW_TYPES: Final = {
    field.name: field.type
    for columns in (EVENT_COLUMNS, USER_UPDATE_COLUMNS, LINEAGE_COLUMNS)
    for field in columns
}
