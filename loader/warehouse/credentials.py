"""How COPY is allowed to read the lake. The one place where a secret becomes part of SQL text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from loader import config
from loader.errors import UsageError

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_KEY = re.compile(r"[A-Za-z0-9/+=_-]{1,4096}")
MASK = "***"


@dataclass(frozen=True, slots=True)
class CopyAuthorization:
    """A role, or keys. Its ``repr`` holds no secret."""

    iam_role: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    def clause(self) -> str:
        """The authorization clause of COPY, with its secrets."""
        return self._render(self.secret_access_key or "", self.session_token or "")

    def shown(self) -> str:
        """The same clause with its secrets masked."""
        return self._render(MASK, MASK)

    def _render(self, secret: str, token: str) -> str:
        if self.iam_role == "default":
            return "IAM_ROLE default"
        if self.iam_role:
            return f"IAM_ROLE '{self.iam_role}'"
        clause = f"ACCESS_KEY_ID '{self.access_key_id}' SECRET_ACCESS_KEY '{secret}'"
        return f"{clause} SESSION_TOKEN '{token}'" if self.session_token else clause


def copy_authorization(settings: config.Settings) -> CopyAuthorization:
    """What the settings say; where ``warehouse.copy`` is empty, the lake's own keys.

    Raises:
        UsageError: no role and no keys, both, or one that is malformed.
    """
    given = settings.warehouse.copy_credentials
    if given.iam_role is not None:
        roles = given.iam_role.split(",")
        if given.access_key_id is not None:
            raise UsageError("warehouse.copy has a role and keys.", hint="Keep one of them.")
        if given.iam_role != "default" and not all(map(_ROLE.fullmatch, roles)):
            raise UsageError(
                "warehouse.copy.iam_role is not a role's ARN.",
                hint="arn:aws:iam::<12 digits>:role/<name>, or default.",
            )
        return CopyAuthorization(iam_role=given.iam_role)
    key, secret, token = given.access_key_id, given.secret_access_key, given.session_token
    if key is None:
        key, secret, token = settings.lake.access_key_id, settings.lake.secret_access_key, None
    if key is None or secret is None:
        raise UsageError(
            "COPY has no credentials for the lake.",
            hint="Set warehouse.copy.iam_role, or access_key_id and secret_access_key.",
        )
    secret_text = secret.get_secret_value()
    token_text = token.get_secret_value() if token else None
    for part in (key, secret_text, token_text):
        if part is not None and not _KEY.fullmatch(part):
            raise UsageError(
                "warehouse.copy: an access key holds a character that none of AWS's keys has.",
                hint="Look for a quote, a space or a line break.",
            )
    return CopyAuthorization(None, key, secret_text, token_text)
