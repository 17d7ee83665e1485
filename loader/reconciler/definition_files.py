"""``heap-loader events``: labelled events as files, and what of them is in the registry.

Files are the source, the definitions topic carries their changes, the registry holds what counts.
Nothing is published if any file is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from confluent_kafka import KafkaError, KafkaException, Message

from loader import config
from loader.errors import Unreachable, UsageError
from loader.kafka.clients import Cluster, explain, new_producer
from loader.lake.registry import accepted_messages, registry_log
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from loader.model.definitions import Definition, fold_definitions, parse_definition, to_document

SUFFIXES: Final = frozenset({".yaml", ".yml"})
_DELIVERY_SECONDS: Final = 60.0


class _StrictLoader(yaml.SafeLoader):
    """YAML without the silent loss of a key that is written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_definitions(path: Path) -> list[Definition]:
    """The definitions in a file, or in every ``*.yaml`` and ``*.yml`` under a folder.

    A file may hold several documents (``---``). Definitions come ascending by id.

    Raises:
        UsageError: a path or file that cannot be read, a wrong document, two documents with one id
            or with one table name.
    """
    definitions: dict[str, tuple[Definition, str]] = {}
    for file in _files(path):
        for document in _documents(file):
            definition = parse_definition(document, str(file))
            if definition.id in definitions:
                raise UsageError(
                    f"{file}: definition {definition.id!r} stands in {definitions[definition.id][1]} "
                    "too."
                )
            definitions[definition.id] = (definition, str(file))
    if not definitions:
        raise UsageError(f"{path}: no definition in it.")
    found = [definitions[id_][0] for id_ in sorted(definitions)]
    _refuse_one_name_twice({d.id: d for d in found})
    return found


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
    return [path]


def _documents(file: Path) -> list[Any]:
    try:
        text = file.read_text(encoding="utf-8")
        loaded = list(yaml.load_all(text, _StrictLoader))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not YAML: {error}") from None
    return [document for document in loaded if document is not None]


def _refuse_one_name_twice(definitions: dict[str, Definition]) -> None:
    owners: dict[str, str] = {}
    for id_, definition in definitions.items():
        owner = owners.setdefault(definition.table_name, id_)
        if owner != id_:
            raise UsageError(
                f"Definitions {owner!r} and {id_!r} both name the table {definition.table_name}.",
                hint="Give one of them another name or category.",
            )


def apply_definitions(
    settings: config.Settings,
    definitions: Sequence[Definition],
    report: Callable[[str], None],
    *,
    store: ObjectStore | None = None,
) -> list[dict[str, str]]:
    """Publish the definitions that differ from the registry, and say so line by line.

    What was published by an earlier apply and not yet taken over by `reconcile` is published again,
    which changes nothing.

    Args:
        settings: the whole configuration.
        definitions: as `read_definitions` gives them.
        report: takes one line a definition.
        store: instead of the configured lake.

    Returns:
        For each definition its ``id``, ``table`` and ``change``: ``created``, ``meaning`` (the table
        is replaced), ``name`` (it is renamed), ``settings`` (sync or archive state) or ``unchanged``.

    Raises:
        UsageError: a table name is taken by a definition that stands in the registry.
        Unreachable: Kafka or the lake stayed away.
    """
    standing = {d.id: d for d in list_definitions(settings, store=store)}
    changes = {d.id: _change(standing.get(d.id), d) for d in definitions}
    _refuse_one_name_twice(standing | {d.id: d for d in definitions})
    _publish(settings, [d for d in definitions if changes[d.id] != "unchanged"])
    applied = []
    for definition in definitions:
        change = changes[definition.id]
        report(f"{definition.id}: {_WORDS[change].format(table=definition.table_name)}")
        applied.append({"id": definition.id, "table": definition.table_name, "change": change})
    return applied


_WORDS: Final = {
    "created": "created, table {table}",
    "meaning": "changed (meaning), table {table} is replaced",
    "name": "changed (name), table {table}",
    "settings": "changed (settings), table {table}",
    "unchanged": "unchanged",
}


def _change(old: Definition | None, new: Definition) -> str:
    if old is None:
        return "created"
    if old.meaning_hash != new.meaning_hash:
        return "meaning"
    if (old.name, old.category) != (new.name, new.category):
        return "name"
    # The order of filters and values means nothing; nor is it worth a message.
    if (old.enabled, old.archived) != (new.enabled, new.archived):
        return "settings"
    return "unchanged"


def list_definitions(
    settings: config.Settings, *, store: ObjectStore | None = None
) -> list[Definition]:
    """The definitions that stand in the registry now, ascending by id.

    Raises:
        NeedsOperator: the registry log is broken.
        Unreachable: the lake stayed away.
    """
    log = registry_log(S3Store.open(settings.lake) if store is None else store)
    topic = settings.topics.definitions.name
    ends = {partition: log.tail(topic, partition) for partition in log.partitions(topic)}
    cut = {partition: tail.next for partition, tail in ends.items() if tail is not None}
    messages = accepted_messages(log, topic, cut)
    return list(fold_definitions((m.key or b"", m.value) for _, m in messages).values())


def _publish(settings: config.Settings, definitions: Sequence[Definition]) -> None:
    """Write definitions to their topic; returns when every one is acknowledged."""
    if not definitions:
        return
    topic = settings.topics.definitions.name
    where = f"Kafka at {settings.kafka.bootstrap_servers}"
    if topic not in Cluster(settings.kafka).partitions([topic]):
        raise Unreachable(f"{where} has no topic {topic}.", hint="Create it, or correct [topics].")
    producer = new_producer(settings.kafka)
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    try:
        for definition in definitions:
            value = orjson.dumps(to_document(definition))
            producer.produce(topic, value, definition.id.encode(), on_delivery=delivered)
        left = producer.flush(_DELIVERY_SECONDS)
    except KafkaException as error:
        raise explain(error.args[0], settings.kafka, f"publishing to {topic}") from None
    if failed:
        raise explain(failed[0], settings.kafka, f"publishing to {topic}")
    if left:
        raise Unreachable(
            f"{where}: {left} definitions were not acknowledged within {_DELIVERY_SECONDS:.0f} s.",
            hint="Apply again: what is already there is unchanged.",
        )
