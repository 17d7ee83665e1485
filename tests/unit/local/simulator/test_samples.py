"""The sample definitions are what the loader's own parser takes."""

from __future__ import annotations

from loader.local.simulator import sample_definitions
from loader.model.definitions import parse_definition


def test_the_samples_are_valid_definitions_with_tables_of_their_own() -> None:
    documents = sample_definitions()
    parsed = [parse_definition(document, document["id"]) for document in documents]
    assert [definition.table_name for definition in parsed] == [
        "funnel_view_pricing",
        "funnel_click_start_free_trial",
        "funnel_purchase",
    ]
    assert all(definition.enabled for definition in parsed)
