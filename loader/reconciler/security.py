"""librdkafka's security properties (``[kafka.client]``) in Faust's terms.

Everything else in ``[kafka.client]`` tunes librdkafka and has no meaning for Faust's own client.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

import faust

from loader.errors import UsageError

_MECHANISMS: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})


def faust_security(client: Mapping[str, str | int | float | bool]) -> dict[str, Any]:
    """Arguments of ``faust.App`` for the connection to Kafka; empty for plain text.

    Args:
        client: librdkafka properties: ``security.protocol``, ``sasl.*``, ``ssl.*.location``.

    Raises:
        UsageError: a protocol or mechanism that Faust's client cannot speak, or an unreadable file.
    """
    protocol = str(client.get("security.protocol", "plaintext")).upper()
    if protocol == "PLAINTEXT":
        return {}
    if protocol not in {"SSL", "SASL_PLAINTEXT", "SASL_SSL"}:
        raise UsageError(f"kafka.client: security.protocol {protocol!r} is not one of Kafka's.")
    context = _tls(client) if protocol.endswith("SSL") else None
    if protocol == "SSL":
        return {"broker_credentials": faust.SSLCredentials(context)}
    mechanism = str(client.get("sasl.mechanism", client.get("sasl.mechanisms", "PLAIN"))).upper()
    if mechanism not in _MECHANISMS:
        raise UsageError(
            f"kafka.client: the reconciler cannot use sasl.mechanism {mechanism}.",
            hint=f"Use one of {', '.join(sorted(_MECHANISMS))}.",
        )
    credentials = faust.SASLCredentials(
        username=str(client.get("sasl.username", "")),
        password=str(client.get("sasl.password", "")),
        ssl_context=context,
        mechanism=mechanism,
    )
    return {"broker_credentials": credentials}


def _tls(client: Mapping[str, str | int | float | bool]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=_path(client, "ssl.ca.location"))
        certificate = _path(client, "ssl.certificate.location")
        if certificate is not None:
            password = client.get("ssl.key.password")
            context.load_cert_chain(
                certificate,
                _path(client, "ssl.key.location"),
                None if password is None else str(password),
            )
    except OSError as error:
        raise UsageError(f"kafka.client: TLS files: {error.strerror or error}.") from None
    if client.get("enable.ssl.certificate.verification") in {False, "false"}:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _path(client: Mapping[str, str | int | float | bool], name: str) -> str | None:
    value = client.get(name)
    return None if value is None else str(value)
