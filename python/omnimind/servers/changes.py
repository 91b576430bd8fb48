"""Telling subscribers that a resource changed, without telling one principal about another.

One connection of the gateway carries many principals, so the SDK's own bus, which tells everybody on it,
will not do. Here a subscriber hears of its own principal's changes. A subscription on a keyed connection
that names no principal is the gateway's own (it watches to drop cached answers): it hears of all of them.
Each message names its principal in `_meta`. Both eras are served: `subscriptions/listen`, and
`resources/subscribe` with `notifications/resources/updated`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_REQUEST,
    EmptyResult,
    ResourceUpdatedNotification,
    ResourceUpdatedNotificationParams,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from omnimind.servers import principal

SUBSCRIBERS: Final = 4096
_BACKLOG: Final = 256

log = logging.getLogger("omnimind.worker")

Request = ServerRequestContext[Any, Any]
Tell = Callable[[str, str], Awaitable[None]]
"""Told with the principal and the URI; raises when the subscriber is gone."""


@dataclass(eq=False)
class _Subscriber:
    owner: str | None
    uris: frozenset[str]
    tell: Tell


class Changes:
    """Who wants to hear of which resources."""

    def __init__(self) -> None:
        self._subscribers: dict[object, _Subscriber] = {}

    def serve_on(self, server: Server[Any]) -> None:
        """Answer the subscription methods of both eras on this server."""
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self._listen)
        server.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    async def publish(self, owner: str, uri: str) -> None:
        """This principal's resource changed."""
        for key, subscriber in list(self._subscribers.items()):
            if uri in subscriber.uris and subscriber.owner in (None, owner):
                try:
                    await subscriber.tell(owner, uri)
                except Exception as gone:
                    log.debug("dropped a subscriber: %s", gone)
                    self._subscribers.pop(key, None)

    async def _listen(
        self, ctx: Request, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        uris = tuple(params.notifications.resource_subscriptions or ())
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        send, receive = anyio.create_memory_object_stream[tuple[str, str]](_BACKLOG)

        async def tell(owner: str, uri: str) -> None:
            try:
                send.send_nowait((owner, uri))
            except anyio.WouldBlock:
                send.close()  # the client does not read; its stream ends and it may ask again
                raise

        key = object()
        self._add(key, _Subscriber(principal.current_or_none(), frozenset(uris), tell))
        try:
            await ctx.session.send_notification(
                SubscriptionsAcknowledgedNotification(
                    params=SubscriptionsAcknowledgedNotificationParams(
                        notifications=SubscriptionFilter(resource_subscriptions=list(uris) or None),
                        _meta=meta,
                    )
                ),
                related_request_id=ctx.request_id,
            )
            async for owner, uri in receive:
                await ctx.session.send_notification(
                    _updated(uri, {**meta, **_stamp(owner)}), related_request_id=ctx.request_id
                )
        finally:
            self._subscribers.pop(key, None)
            send.close()
            receive.close()
        return SubscriptionsListenResult(_meta=meta)

    async def _subscribe(self, ctx: Request, params: SubscribeRequestParams) -> EmptyResult:
        session = ctx.session

        async def tell(owner: str, uri: str) -> None:
            await session.send_notification(_updated(uri, _stamp(owner)))

        uri, owner = str(params.uri), principal.current_or_none()
        self._add((_connection(ctx), owner, uri), _Subscriber(owner, frozenset({uri}), tell))
        return EmptyResult()

    async def _unsubscribe(self, ctx: Request, params: UnsubscribeRequestParams) -> EmptyResult:
        self._subscribers.pop((_connection(ctx), principal.current_or_none(), str(params.uri)), None)
        return EmptyResult()

    def _add(self, key: object, subscriber: _Subscriber) -> None:
        if len(self._subscribers) >= SUBSCRIBERS:
            raise MCPError(code=INVALID_REQUEST, message=f"there are {SUBSCRIBERS:,} subscriptions already")
        self._subscribers[key] = subscriber


def _connection(ctx: Request) -> object:
    """What is the same for all requests of a legacy connection; the session object is new for each."""
    return ctx.session._connection


def _stamp(owner: str) -> dict[str, Any]:
    """On a keyed connection the gateway must learn whose change it is; elsewhere there is one user."""
    return {principal.META_KEY: owner} if principal.connection_is_trusted() else {}


def _updated(uri: str, meta: dict[str, Any]) -> ResourceUpdatedNotification:
    return ResourceUpdatedNotification(params=ResourceUpdatedNotificationParams(uri=uri, _meta=meta or None))
