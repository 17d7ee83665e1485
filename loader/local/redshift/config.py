"""What the stand-in has to know: where it listens, its backend, its login and the S3 it may read."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from loader.errors import UsageError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(_Part):
    """Where clients connect. Port 0 takes a free one. With a certificate TLS is offered."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    certificate_file: Path | None = None
    private_key_file: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """The server's side of TLS; None where there is no certificate.

        Raises:
            UsageError: the files cannot be used.
        """
        if self.certificate_file is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate_file, self.private_key_file)
        except OSError as error:
            raise UsageError(f"{self.certificate_file}: {error.strerror or error}.") from None
        return context


class BackendAddress(_Part):
    """A PostgreSQL that trusts this host. ``user`` is its superuser, used for the bootstrap."""

    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    user: str = "postgres"
    database: str = "dev"


class Login(_Part):
    """What a client must present. The user is a superuser of the stand-in's database."""

    user: str
    password: SecretStr


class S3(_Part):
    """The only S3 endpoint that COPY reaches, and the only keys that open it."""

    endpoint_url: str | None = None
    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None
    region: str = "us-east-1"


class StandInConfig(_Part):
    """The whole configuration; a JSON file with exactly these keys.

    Attributes:
        control_file: path of the fault rules (see :mod:`loader.local.redshift.faults`), read again
            whenever it changes; none = no faults.
    """

    listen: Listen = Listen()
    backend: BackendAddress
    login: Login
    s3: S3 | None = None
    control_file: Path | None = None


def load_config(path: Path) -> StandInConfig:
    """Read the JSON file.

    Raises:
        UsageError: the file is absent, not JSON, or has a wrong, missing or unknown key.
    """
    try:
        return StandInConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UsageError(f"{path}: {where}: {first['msg']}.") from None
