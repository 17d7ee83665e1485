"""The state that the registry log folds to: definitions and the map of users, up to a cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loader import config
from loader.lake.registry import accepted_messages, registry_log
from loader.lake.store import ObjectStore
from loader.model.control import UserMigration
from loader.model.definitions import Definition, fold_definitions
from loader.model.migrations import UserMap

#: By topic, then by partition: the offset after the last one that counts.
RegistryCut = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class RegistryState:
    """What the control topics said up to ``cut``.

    Attributes:
        definitions: every definition that stands, by id, ascending.
        users: who each user id is now.
        cut: by topic, then by partition, the offset after the last message that counted.
    """

    definitions: dict[str, Definition]
    users: UserMap
    cut: dict[str, dict[int, int]]


def present_cut(store: ObjectStore, topics: config.Topics) -> dict[str, dict[int, int]]:
    """The present end of every chain of the topics that a state is folded from."""
    log = registry_log(store)
    cut: dict[str, dict[int, int]] = {}
    for topic in (topics.definitions.name, topics.user_migrations.name):
        ends = {partition: log.tail(topic, partition) for partition in log.partitions(topic)}
        cut[topic] = {partition: tail.next for partition, tail in ends.items() if tail is not None}
    return cut


def read_registry(
    store: ObjectStore,
    topics: config.Topics,
    read_migration: Callable[[bytes | None], UserMigration],
    cut: RegistryCut | None = None,
) -> RegistryState:
    """Fold the registry log.

    Args:
        store: the lake.
        topics: the topics' names.
        read_migration: parses an accepted user migration: ``ControlReader(format,
            schemas).user_migration`` of the codec.
        cut: fold up to here, as an earlier state had it; None takes the present ends.

    Raises:
        NeedsOperator: the registry log is broken.
        UsageError: an accepted definition is beyond this version.
    """
    ends = present_cut(store, topics) if cut is None else {t: dict(c) for t, c in cut.items()}
    log = registry_log(store)
    definitions = fold_definitions(
        (message.key or b"", message.value)
        for _, message in accepted_messages(
            log, topics.definitions.name, ends.get(topics.definitions.name, {})
        )
    )
    users = UserMap.fold(
        read_migration(message.value)
        for _, message in accepted_messages(
            log, topics.user_migrations.name, ends.get(topics.user_migrations.name, {})
        )
    )
    return RegistryState(definitions, users, ends)
