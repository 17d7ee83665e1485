"""What COPY and UNLOAD share: walking over options, and the right to reach S3."""

from __future__ import annotations

import re
from collections.abc import Sequence

from loader.local.redshift.copy_statement import Credentials
from loader.local.redshift.errors import SqlError, syntax_error
from loader.local.redshift.tokens import Kind, Token

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_KEY_WORDS = ("access_key_id", "secret_access_key", "session_token")


class Words:
    """A place in the tokens of a statement."""

    def __init__(self, tokens: Sequence[Token], at: int, statement: str) -> None:
        self._tokens = tokens
        self._statement = statement
        self.at = at

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self._tokens)

    def near(self) -> str:
        """The current token's text; of a literal, which may be a secret, only that it is one."""
        if self.over:
            return ";"
        token = self._tokens[self.at]
        return "'...'" if token.kind is Kind.STRING else token.text

    def take(self, *words: str) -> str:
        """Take the current word if it is one of these."""
        if not self.over and self._tokens[self.at].is_word(*words):
            self.at += 1
            return self._tokens[self.at - 1].value
        return ""

    def take_kind(self, *kinds: Kind) -> str | None:
        """Take the current token's value if it is of one of these kinds."""
        if not self.over and self._tokens[self.at].kind in kinds:
            self.at += 1
            return self._tokens[self.at - 1].value
        return None

    def string(self) -> str:
        """Take a string literal.

        Raises:
            SqlError: 42601 where none stands.
        """
        value = self.take_kind(Kind.STRING)
        if value is None:
            # A secret may stand here: say where, never what.
            text = f"syntax error: a string literal is expected in {self._statement}"
            raise SqlError("42601", text)
        return value

    def raw_string(self) -> str:
        """Take a string literal as it is written, with its escapes.

        Raises:
            SqlError: 42601 where none stands.
        """
        self.string()
        text = self._tokens[self.at - 1].text
        return text[text.index("'") + 1 : -1].replace("''", "'")

    def number(self) -> int:
        """Take a whole number, bare or in quotes.

        Raises:
            SqlError: 42601 where none stands.
        """
        self.take("as")
        value = self.take_kind(Kind.NUMBER, Kind.STRING)
        if value is None or not value.isdigit():
            raise SqlError("42601", f"syntax error: a number is expected in {self._statement}")
        return int(value)

    def columns(self) -> list[str]:
        """Take a bracketed list of names.

        Raises:
            SqlError: 42601 where none stands.
        """
        found: list[str] = []
        if self.over or not self._tokens[self.at].is_op("("):
            raise syntax_error(self.near())
        self.at += 1
        while not self.over and not self._tokens[self.at].is_op(")"):
            token = self._tokens[self.at]
            if not token.is_name and not token.is_op(","):
                raise syntax_error(self.near())
            if token.is_name:
                found.append(token.value)
            self.at += 1
        self.at += 1
        return found

    def bad(self) -> SqlError:
        """The syntax error at the current token."""
        return syntax_error(self.near())


class Authorization:
    """IAM_ROLE, CREDENTIALS or the key words: exactly one of them (AWS docs: Authorization)."""

    def __init__(self, words: Words, statement: str) -> None:
        self._words = words
        self._statement = statement
        self._role = False
        self._keys: dict[str, str] = {}

    def read(self) -> bool:
        """Take an authorization clause, if one stands here.

        Raises:
            SqlError: it is malformed.
        """
        words = self._words
        if words.take("iam_role"):
            self._once(self._role)
            self._role = True
            if not words.take("default"):
                _check_role(words.string())
        elif word := words.take(*_KEY_WORDS):
            self._once(word in self._keys)
            words.take("as")
            self._keys[word] = words.string()
        elif words.take("credentials"):
            self._once(self._role or bool(self._keys))
            words.take("as")
            self._legacy(words.string())
        else:
            return False
        return True

    def _once(self, given: bool) -> None:
        if given:
            raise SqlError("42601", "conflicting or redundant options")

    def _legacy(self, text: str) -> None:
        """'aws_access_key_id=...;aws_secret_access_key=...[;token=...]' or 'aws_iam_role=...'."""
        pairs = dict(part.partition("=")[::2] for part in text.split(";") if part)
        if "master_symmetric_key" in pairs:
            raise SqlError("0A000", "stand-in: client-side encryption is not supported here")
        if "aws_iam_role" in pairs:
            _check_role(pairs["aws_iam_role"])
            self._role = True
        elif "aws_access_key_id" in pairs:
            self._keys = {
                "access_key_id": pairs["aws_access_key_id"],
                "secret_access_key": pairs.get("aws_secret_access_key", ""),
                "session_token": pairs.get("token", ""),
            }
        else:
            raise SqlError("XX000", "Invalid credentials. Must be of the format: credentials '...'")

    def credentials(self) -> Credentials | None:
        """The keys that were given; none for a role.

        Raises:
            SqlError: 42601 for no authorization, two, or half of one.
        """
        if not self._role and not self._keys:
            text = f"{self._statement} needs an authorization: IAM_ROLE or access keys"
            raise SqlError("42601", text)
        if self._role and self._keys:
            raise SqlError("42601", "conflicting or redundant options")
        if self._role:
            return None
        if "access_key_id" not in self._keys or "secret_access_key" not in self._keys:
            raise SqlError("42601", "ACCESS_KEY_ID and SECRET_ACCESS_KEY belong together")
        return Credentials(
            self._keys["access_key_id"],
            self._keys["secret_access_key"],
            self._keys.get("session_token", ""),
        )


def _check_role(text: str) -> None:
    """A chain of role names, or the session's own identity."""
    roles = text.split(",")
    if text.lower() not in ("session", "default") and not all(map(_ROLE.fullmatch, roles)):
        raise SqlError("XX000", f"Invalid IAM role: {text}")
