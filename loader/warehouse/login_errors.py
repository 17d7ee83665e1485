"""Why a login failed, in the words of whoever has to mend it: address, network, TLS, AWS, login."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from loader import config
from loader.errors import LoaderError, Transient, Unreachable
from loader.warehouse import errors
from loader.warehouse.errors import Refused
from loader.warehouse.tunnel import Tunnel

# OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_WRONG_NAME: Final = (62, 64)
_EXPIRED: Final = 10
# too_many_connections, and the limit of a user or a database.
_FULL: Final = ("53300", "53400")
# What a login says that speaks of the password, the user or what it may.
_DENIED: Final = ("AccessDenied", "UnauthorizedOperation", "NotAuthorized", "InvalidClientToken")


def explain(
    error: Exception, settings: config.Warehouse, where: str, tunnel: Tunnel | None
) -> LoaderError:
    """The driver's exception as one of ours.

    Args:
        error: what :func:`redshift_connector.connect` raised.
        settings: the warehouse.
        where: its place, for messages.
        tunnel: the open tunnel, where there is one; it is asked whether it gets through.
    """
    fields = errors.fields_of(error)
    if fields:
        return _answered(fields, settings, where)
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, (BotoCoreError, ClientError)):
            return _aws(cause, where)
        if isinstance(cause, ssl.SSLError):
            return _tls(cause, settings, where)
    if tunnel is not None:
        # Where the bastion gets no further the driver sees an end of file, whatever it waited for.
        try:
            tunnel.check()
        except Unreachable as reason:
            return reason
    if "refuses SSL" in str(error):
        return Refused(
            f"{where}: it offers no TLS.",
            hint='A cluster always does: is it one? The stand-in of a laptop needs sslmode = "disable".',
        )
    return _network(causes, settings, where)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those that the driver put into its arguments or raised it from."""
    seen: list[BaseException] = [error]
    while seen:
        one = seen.pop()
        yield one
        seen.extend(part for part in one.args if isinstance(part, BaseException))
        if one.__cause__ is not None:
            seen.append(one.__cause__)


def _answered(fields: dict[str, str], settings: config.Warehouse, where: str) -> LoaderError:
    """The server itself said no."""
    code, text = fields.get("C", ""), fields.get("M", "")
    if code == "3D000":
        return Refused(f"{where}: {text}.", hint="Check warehouse.database.")
    if "pg_hba.conf" in text or "SSL off" in text:
        return Refused(
            f"{where}: it takes no connection without TLS: {text}.",
            hint='Set warehouse.sslmode = "verify-full".',
        )
    if code in _FULL:
        return Unreachable(
            f"{where} does not let us in now: {text}.",
            hint="All its connections are taken: end idle ones, or try later.",
        )
    found = errors.classify(fields, where, "login")
    if isinstance(found, Unreachable):
        return Refused(found.message, hint=_login_hint(settings))
    if isinstance(found, Transient):
        return Unreachable(f"{where} does not let us in now: {text}.", hint="It is tried again.")
    return found


def _login_hint(settings: config.Warehouse) -> str:
    if settings.authentication == "iam":
        return "Does the database user exist? warehouse.iam.auto_create makes it."
    return "Check warehouse.user and warehouse.password."


def _tls(error: ssl.SSLError, settings: config.Warehouse, where: str) -> Refused:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return Refused(
            f"{where}: no TLS connection: {getattr(error, 'reason', None) or error.strerror}.",
            hint="Does something between here and the cluster break TLS open?",
        )
    if error.verify_code in _WRONG_NAME:
        return Refused(
            f"{where}: its certificate is not for the name {settings.host}.",
            hint="Use the cluster's own endpoint as warehouse.host, with a tunnel too. For an address of "
            'your own before it: warehouse.sslmode = "verify-ca".',
        )
    what = "has expired" if error.verify_code == _EXPIRED else "is of nobody that is trusted here"
    return Refused(
        f"{where}: its certificate {what}: {error.verify_message}.",
        hint="Amazon's own authorities are known. For another one name its file in SSL_CERT_FILE.",
    )


def _aws(error: BotoCoreError | ClientError, where: str) -> LoaderError:
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        text = error.response.get("Error", {}).get("Message", "")
        hint = "Check warehouse.iam."
        if any(word in code for word in _DENIED):
            hint = (
                "The identity needs redshift:GetClusterCredentials on the dbuser and dbname "
                "(redshift-serverless:GetCredentials on the workgroup), and with auto_create "
                "redshift:CreateClusterUser."
            )
        elif "NotFound" in code:
            hint = "Check warehouse.iam.cluster_identifier, workgroup and region."
        return Refused(f"{where}: AWS gives no temporary password: {code}: {text}.", hint=hint)
    name = type(error).__name__
    if "Credential" in name or "Profile" in name or "Token" in name:
        return Refused(
            f"{where}: AWS credentials for a temporary password: {error}",
            hint="Set warehouse.iam.profile or keys, or give this machine a role.",
        )
    return Unreachable(f"{where}: AWS's Redshift API: {error}", hint="Check warehouse.iam.region.")


def _network(
    causes: tuple[BaseException, ...], settings: config.Warehouse, where: str
) -> Unreachable:
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return Unreachable(
                f"{where}: there is no such host.",
                hint="Check warehouse.host, and the name server.",
            )
        if isinstance(cause, TimeoutError) or "time out" in str(cause):
            return Unreachable(
                f"{where} does not answer within {settings.connect_timeout:g} s.",
                hint="A firewall drops such packets: let this machine's address into the cluster's "
                "security group, or use a bastion (warehouse.ssh_tunnel).",
            )
        if isinstance(cause, ConnectionRefusedError):
            return Unreachable(
                f"{where}: nothing listens there (connection refused).",
                hint="Is the cluster available (not paused), and warehouse.port right?",
            )
    said = next((c.strerror for c in causes if isinstance(c, OSError) and c.strerror), None)
    return Unreachable(
        f"{where} cannot be reached: {said or 'it closed the connection while we logged in'}.",
        hint="Is it up, and the address right?",
    )
