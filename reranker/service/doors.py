"""Who may call what: the tokens and certificates of callers, asked before a call's message is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import grpc
from google.rpc import error_details_pb2

from reranker.service.buckets import Buckets, Rate
from reranker.service.errors import Failure, retry_in
from reranker.service.tokens import ANYBODY, AmbiguousCertificate, Caller, Identities, Permission, Tokens

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

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]] | None

_AUTHORIZATION = "authorization"
_SCHEME = "bearer "
_TENANT = "x-tenant-id"


class Doors:
    """Lets callers in by their tokens; without tokens everybody is let in.

    This process does `share` of the service's work: tenants with a limit have that share of it here.
    """

    def __init__(self, tokens: Tokens | None = None, share: float = 1.0) -> None:
        self._share = share
        self._buckets = Buckets()
        self._tokens: Tokens | None = None
        self.replace(tokens)

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that are good."""
        return self._tokens

    def replace(self, tokens: Tokens | None) -> None:
        """These tokens are good from now on."""
        share, rates = self._share, {} if tokens is None else tokens.rates
        self._tokens = tokens
        # At least one request: a share of a small burst may be less.
        self._buckets.set(
            {tenant: Rate(rate.per_second * share, max(1.0, rate.burst * share)) for tenant, rate in rates.items()}
        )

    def take(self, caller: Caller) -> None:
        """Count one request of a caller's; raises `Failure` where its tenant has made too many."""
        wait = self._buckets.take(caller.tenant)
        if wait:
            text = "the tenant has made as many requests as it may"
            broken = error_details_pb2.QuotaFailure.Violation(subject=f"tenant:{caller.tenant}", description=text)
            details = (retry_in(wait), error_details_pb2.QuotaFailure(violations=[broken]))
            raise Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_LIMIT", text, details=details)

    def at_arrival(self, method: str, metadata: Metadata) -> Caller | None:
        """Who calls a method, as `enter`; None where the certificate will say it, which gRPC does not tell yet."""
        return None if self.goes_by_certificate(metadata) else self.enter(method, metadata)

    def goes_by_certificate(self, metadata: Metadata) -> bool:
        """Whether a call is its certificate's: it brings no token, and certificates are known here."""
        if self._tokens is None or not self._tokens.certificates:
            return False
        return all(key != _AUTHORIZATION for key, _ in metadata or ())

    def enter(self, method: str, metadata: Metadata, identities: Identities | None = None) -> Caller:
        """Who calls a method, by its full name; raises `Failure` for whoever may not."""
        if self._tokens is None:
            return ANYBODY
        caller = self._caller(self._tokens, metadata, identities)
        permission = PERMISSIONS.get(method)
        if permission is None or not caller.may(permission):
            needed = f"needs the permission {permission}" if permission else "is open to nobody"
            raise Failure(grpc.StatusCode.PERMISSION_DENIED, "NOT_PERMITTED", f"{method.rpartition('/')[2]} {needed}")
        return caller

    def _caller(self, tokens: Tokens, metadata: Metadata, identities: Identities | None) -> Caller:
        """Whose token a call carries, or whose certificate it comes under; raises `Failure` for one with neither.

        Also for one in another tenant's name: that of `x-tenant-id`, or that of the certificate beside a token.
        """
        authorization, tenants = None, set()
        for key, value in metadata or ():
            if key == _AUTHORIZATION:
                authorization = _text(value)
            elif key == _TENANT and value:
                tenants.add(_text(value))
        certified = None if identities is None else _certified(tokens, identities)
        if authorization is None and certified is not None:
            caller = certified
        else:
            caller = _bearer(tokens, authorization or "")
            if certified is not None and certified.tenant != caller.tenant:
                text = "the token is not that of the tenant whose certificate the connection has"
                raise Failure(grpc.StatusCode.PERMISSION_DENIED, "WRONG_TENANT", text)
        if not tenants <= {caller.tenant}:
            text = f"the caller is not the tenant in {_TENANT}"
            raise Failure(grpc.StatusCode.PERMISSION_DENIED, "WRONG_TENANT", text)
        return caller


def _certified(tokens: Tokens, identities: Identities) -> Caller | None:
    try:
        return tokens.caller_certified(identities)
    except AmbiguousCertificate:
        text = "the certificate of the connection has the names of several tenants"
        raise Failure(grpc.StatusCode.PERMISSION_DENIED, "WRONG_TENANT", text) from None


def _bearer(tokens: Tokens, authorization: str) -> Caller:
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        text = "the metadata has no authorization: Bearer token"
        if tokens.certificates:
            text += ", and the connection no certificate of a tenant"
        raise Failure(grpc.StatusCode.UNAUTHENTICATED, "NO_TOKEN", text)
    caller = tokens.caller_of(authorization[len(_SCHEME) :].strip())
    if caller is None:
        raise Failure(grpc.StatusCode.UNAUTHENTICATED, "UNKNOWN_TOKEN", "the token is not one of this server's")
    return caller


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
