"""Who asks, and as what, is believed on a keyed connection alone."""

from __future__ import annotations

from contextvars import copy_context

from omnimind.servers import principal


def told(*, keyed: bool, **meta: str) -> tuple[str | None, str]:
    def request() -> tuple[str | None, str]:
        if keyed:
            principal.trust_connection()
        principal.note({"_meta": {f"omnimind/{key}": value for key, value in meta.items()}})
        return principal.current_or_none(), principal.role()

    return copy_context().run(request)


def test_whoever_is_alone_with_a_server_is_local_and_its_operator() -> None:
    assert told(keyed=False, principal="eve", role="user") == ("local", "operator")


def test_a_keyed_request_is_an_operators_only_if_the_gateway_says_so() -> None:
    assert told(keyed=True, principal="ann") == ("ann", "user")
    assert told(keyed=True, principal="ann", role="operator") == ("ann", "operator")
    assert told(keyed=True, principal="ann", role="admin") == ("ann", "user")


def test_an_operator_without_a_name_is_nobody() -> None:
    assert told(keyed=True, role="operator") == (None, "operator")


def test_the_role_of_one_request_is_not_the_next_ones() -> None:
    def requests() -> list[str]:
        principal.trust_connection()
        roles = []
        for meta in ({"omnimind/role": "operator"}, {}, None):
            principal.note({"_meta": meta})
            roles.append(principal.role())
        return roles

    assert copy_context().run(requests) == ["operator", "user", "user"]
