"""Who may call what: the tokens of a server, asked before a call's message is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc

from reranker.service.errors import Failure
from reranker.service.tokens import ANYBODY, Caller, Permission, Tokens

PERMISSIONS: Mapping[str, Permission] = {
    "/reranker.v1.RerankerService/Rerank": Permission.RERANK,
    "/reranker.v1.RerankerService/RerankStream": Permission.RERANK,
    "/reranker.v1.RerankerService/ValidatePolicy": Permission.POLICIES,
    "/reranker.v1.RerankerService/GetPolicy": Permission.POLICIES,
    "/reranker.v1.RerankerService/ListPolicies": Permission.POLICIES,
    "/reranker.v1.SignalService/Put": Permission.SIGNALS,
    "/reranker.v1.SignalService/Get": Permission.SIGNALS,
    "/reranker.v1.SignalService/Delete": Permission.SIGNALS,
    "/reranker.v1.ExposureService/RecordImpressions": Permission.IMPRESSIONS,
}
"""What each method asks for. One that is not here is nobody's, where there are tokens."""

_SCHEME = "bearer "
_TENANT = "x-tenant-id"


class Doors:
    """Lets callers in by their tokens; without tokens everybody is let in. `tokens` may be replaced at any time."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self.tokens = tokens

    def enter(self, method: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Caller:
        """Who calls a method, by its full name; raises `Failure` for whoever may not."""
        if self.tokens is None:
            return ANYBODY
        caller = self.caller(metadata)
        permission = PERMISSIONS.get(method)
        if permission is None or not caller.may(permission):
            needed = f"needs the permission {permission}" if permission else "is open to nobody"
            raise Failure(grpc.StatusCode.PERMISSION_DENIED, "NOT_PERMITTED", f"{method.rpartition('/')[2]} {needed}")
        return caller

    def caller(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> Caller:
        """Whose token a call carries; raises `Failure` for one without, and for one in another tenant's name."""
        tokens = self.tokens
        if tokens is None:
            return ANYBODY
        authorization, tenant = "", ""
        for key, value in metadata or ():
            if key == "authorization":
                authorization = _text(value)
            elif key == _TENANT:
                tenant = _text(value)
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            text = "the metadata has no authorization: Bearer token"
            raise Failure(grpc.StatusCode.UNAUTHENTICATED, "NO_TOKEN", text)
        caller = tokens.caller_of(authorization[len(_SCHEME) :].strip())
        if caller is None:
            raise Failure(grpc.StatusCode.UNAUTHENTICATED, "UNKNOWN_TOKEN", "the token is not one of this server's")
        if tenant and tenant != caller.tenant:
            text = f"the token is not that of the tenant in {_TENANT}"
            raise Failure(grpc.StatusCode.PERMISSION_DENIED, "WRONG_TENANT", text)
        return caller


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
