"""MERGE: the whole grammar (AWS docs: MERGE), and its simplified form REMOVE DUPLICATES.

Both WHEN clauses or REMOVE DUPLICATES, no alias on the target, a table as source. PostgreSQL's MERGE
takes more of everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loader.local.redshift.errors import SqlError, syntax_error, unsupported
from loader.local.redshift.plan import Engine, Script, Write
from loader.local.redshift.refs import dotted, name_end
from loader.local.redshift.regions import before_write, note_merge
from loader.local.redshift.tokens import Token, closing, literal, render

_END = "syntax error at end of input"


@dataclass(frozen=True, slots=True)
class Merge:
    """A MERGE taken apart.

    Attributes:
        target: its name.
        source: its name.
        alias: how the condition calls the source, empty for its name.
        condition: what stands behind ON.
        simplified: it ends in REMOVE DUPLICATES.
    """

    target: tuple[Token, ...]
    source: tuple[Token, ...]
    alias: str
    condition: tuple[Token, ...]
    simplified: bool


class _Reader:
    """Tokens of a statement, read from left to right."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self._tokens)

    def fail(self) -> SqlError:
        if self.ended:
            return SqlError("42601", _END)
        return syntax_error(self._tokens[self.at].text)

    def sees(self, *words: str) -> bool:
        return not self.ended and self._tokens[self.at].is_word(*words)

    def words(self, *expected: str) -> None:
        for one in expected:
            if not self.sees(one):
                raise self.fail()
            self.at += 1

    def name(self) -> tuple[Token, ...]:
        end = name_end(self._tokens, self.at)
        if end == self.at:
            raise self.fail()
        taken = tuple(self._tokens[self.at : end])
        self.at = end
        return taken

    def bracket(self) -> None:
        if self.ended or not self._tokens[self.at].is_op("("):
            raise self.fail()
        self.at = closing(self._tokens, self.at) + 1

    def until(self, *words: str) -> tuple[Token, ...]:
        """Everything up to one of the words outside brackets."""
        start, depth = self.at, 0
        while not self.ended and not (depth == 0 and self.sees(*words)):
            token = self._tokens[self.at]
            depth += token.is_op("(") - token.is_op(")")
            self.at += 1
        if start == self.at:
            raise self.fail()
        return tuple(self._tokens[start : self.at])


def parse_merge(tokens: Sequence[Token]) -> Merge:
    """Read a MERGE.

    Raises:
        SqlError: 42601 at the first word outside the grammar, 0A000 where source and target are one.
    """
    read = _Reader(tokens)
    read.words("merge", "into")
    target = read.name()
    read.words("using")
    source = read.name()
    alias = ""
    if read.sees("as"):
        read.at += 1
        alias = read.name()[0].value
    elif not read.sees("on"):
        alias = read.name()[0].value
    if dotted(source) == dotted(target):
        raise unsupported("MERGE with the same table as source and target is not supported")
    read.words("on")
    condition = read.until("when", "remove", "do")
    if read.sees("remove"):
        read.words("remove", "duplicates")
        if not read.ended:
            raise read.fail()
        return Merge(target, source, alias, condition, simplified=True)
    _clauses(read)
    return Merge(target, source, alias, condition, simplified=False)


def _clauses(read: _Reader) -> None:
    read.words("when", "matched", "then")
    if read.sees("delete"):
        read.at += 1
    else:
        read.words("update", "set")
        for place, token in enumerate(assigned := read.until("when")):
            starts = place == 0 or (assigned[place - 1].is_op(",") and _outside(assigned[:place]))
            after = assigned[place + 1] if place + 1 < len(assigned) else None
            if starts and (not token.is_name or after is None or not after.is_op("=")):
                raise syntax_error(after.text if token.is_name and after else token.text)
    read.words("when", "not", "matched", "then", "insert")
    if not read.sees("values"):
        read.bracket()
    read.words("values")
    read.bracket()
    if not read.ended:
        raise read.fail()


def _outside(tokens: Sequence[Token]) -> bool:
    return sum(token.is_op("(") - token.is_op(")") for token in tokens) == 0


def remove_duplicates(merge: Merge) -> Script:
    """Matching rows are replaced by the source's, equal source rows collapse, the rest is added."""
    target, source = render(merge.target), render(merge.source)
    alias = f" AS {merge.alias}" if merge.alias else ""
    check = (
        f"SELECT pg_stand_in.same_columns({literal(target).text}::regclass,"
        f" {literal(source).text}::regclass)"
    )
    delete = f"DELETE FROM {target} USING {source}{alias} WHERE {render(merge.condition)}"  # noqa: S608
    insert = f"INSERT INTO {target} SELECT DISTINCT * FROM {source}"  # noqa: S608 - the client's own

    async def action(engine: Engine) -> str:
        if not engine.in_transaction:
            await engine.run("SHOW server_version")  # LOCK wants to be second in a pipeline
        await engine.run(f"LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE")
        await engine.run(source_check(merge))
        write = Write(target, bulk=False, merge=True)
        await before_write(write, engine)
        for command in (check, delete, insert):
            await engine.run(command)
        await note_merge(write, engine)
        return "MERGE"

    return Script(action)


def source_check(merge: Merge) -> str:
    """A query that fails where the source is no table."""
    return f"SELECT pg_stand_in.merge_source({literal(render(merge.source)).text})"
