"""Folding of long chains beside the consumer's work: one thread, one checkpoint at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from loader.consumer.effects import Effect, Effects
from loader.errors import Transient
from loader.lake.chain import Chains
from loader.lake.commit_log import CommitRecord
from loader.logs import log


class Folder:
    """Folds chains in the background. A checkpoint is a cache: a fold that fails is tried again later.

    Args:
        chains: the commit log.
        effects: told of each effect.
    """

    def __init__(self, chains: Chains[CommitRecord], effects: Effects) -> None:
        self._chains = chains
        self._effects = effects
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="folder")
        self._folding: Future[None] | None = None

    def fold_if_due(self, topic: str, partition: int) -> None:
        """Begin to fold a chain that is long enough, unless another one is being folded.

        Raises:
            NeedsOperator: of an earlier fold: a chain is broken.
        """
        if self._folding is not None:
            if not self._folding.done():
                return
            self._folding.result()
            self._folding = None
        if self._chains.fold_due(topic, partition):
            self._folding = self._pool.submit(self._fold, topic, partition)

    def close(self) -> None:
        """End the thread; a fold under way ends first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fold(self, topic: str, partition: int) -> None:
        try:
            checkpoint = self._chains.next_checkpoint(topic, partition)
            if checkpoint is not None:
                with self._effects.doing(Effect.PUT_CHECKPOINT):
                    self._chains.put_checkpoint(checkpoint)
        except Transient as error:
            log.warning("chain not folded", topic=topic, partition=partition, error=str(error))
