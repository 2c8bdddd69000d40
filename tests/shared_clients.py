"""Clients that a session builds once for each service, because botocore needs 20 ms for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import boto3


def sharing_clients(session: boto3.Session) -> AbstractContextManager[object]:
    """Let *session* return the same client for a service again, except for other credentials."""
    build: Any = session.client
    clients: dict[str, Any] = {}

    def client(service: str, **options: Any) -> Any:
        if options.keys() - {"config"}:
            return build(service, **options)
        if service not in clients:
            clients[service] = build(service, **options)
        return clients[service]

    return patch.object(session, "client", client)
