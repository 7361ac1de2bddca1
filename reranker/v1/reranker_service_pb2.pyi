from reranker.v1 import candidates_pb2 as _candidates_pb2
from reranker.v1 import context_pb2 as _context_pb2
from reranker.v1 import policy_pb2 as _policy_pb2
from reranker.v1 import slate_pb2 as _slate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DegradedReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADED_REASON_UNSPECIFIED: _ClassVar[DegradedReason]
    DEGRADED_REASON_DEADLINE: _ClassVar[DegradedReason]
    DEGRADED_REASON_SIGNALS: _ClassVar[DegradedReason]
    DEGRADED_REASON_EXPOSURE: _ClassVar[DegradedReason]
    DEGRADED_REASON_CLIENT_FALLBACK: _ClassVar[DegradedReason]
DEGRADED_REASON_UNSPECIFIED: DegradedReason
DEGRADED_REASON_DEADLINE: DegradedReason
DEGRADED_REASON_SIGNALS: DegradedReason
DEGRADED_REASON_EXPOSURE: DegradedReason
DEGRADED_REASON_CLIENT_FALLBACK: DegradedReason

class PolicyOverrides(_message.Message):
    __slots__ = ("diversity", "relevance_floor", "seed")
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FLOOR_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    diversity: float
    relevance_floor: float
    seed: int
    def __init__(self, diversity: _Optional[float] = ..., relevance_floor: _Optional[float] = ..., seed: _Optional[int] = ...) -> None: ...

class RerankRequest(_message.Message):
    __slots__ = ("request_id", "candidates", "slate_size", "policy_name", "inline_policy", "overrides", "context", "return_ids", "explain", "measures", "omit_cursor")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    SLATE_SIZE_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAME_FIELD_NUMBER: _ClassVar[int]
    INLINE_POLICY_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    RETURN_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    OMIT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    candidates: _candidates_pb2.CandidateList
    slate_size: int
    policy_name: str
    inline_policy: _policy_pb2.Policy
    overrides: PolicyOverrides
    context: _context_pb2.Context
    return_ids: bool
    explain: bool
    measures: bool
    omit_cursor: bool
    def __init__(self, request_id: _Optional[str] = ..., candidates: _Optional[_Union[_candidates_pb2.CandidateList, _Mapping]] = ..., slate_size: _Optional[int] = ..., policy_name: _Optional[str] = ..., inline_policy: _Optional[_Union[_policy_pb2.Policy, _Mapping]] = ..., overrides: _Optional[_Union[PolicyOverrides, _Mapping]] = ..., context: _Optional[_Union[_context_pb2.Context, _Mapping]] = ..., return_ids: bool = ..., explain: bool = ..., measures: bool = ..., omit_cursor: bool = ...) -> None: ...

class StageTimings(_message.Message):
    __slots__ = ("decode_us", "policy_us", "signals_us", "plan_us", "select_us", "report_us", "encode_us", "total_us")
    DECODE_US_FIELD_NUMBER: _ClassVar[int]
    POLICY_US_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_US_FIELD_NUMBER: _ClassVar[int]
    PLAN_US_FIELD_NUMBER: _ClassVar[int]
    SELECT_US_FIELD_NUMBER: _ClassVar[int]
    REPORT_US_FIELD_NUMBER: _ClassVar[int]
    ENCODE_US_FIELD_NUMBER: _ClassVar[int]
    TOTAL_US_FIELD_NUMBER: _ClassVar[int]
    decode_us: int
    policy_us: int
    signals_us: int
    plan_us: int
    select_us: int
    report_us: int
    encode_us: int
    total_us: int
    def __init__(self, decode_us: _Optional[int] = ..., policy_us: _Optional[int] = ..., signals_us: _Optional[int] = ..., plan_us: _Optional[int] = ..., select_us: _Optional[int] = ..., report_us: _Optional[int] = ..., encode_us: _Optional[int] = ..., total_us: _Optional[int] = ...) -> None: ...

class SignalCounts(_message.Message):
    __slots__ = ("missing_embeddings", "unknown_ids", "absent_attributes", "unknown_values")
    MISSING_EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_IDS_FIELD_NUMBER: _ClassVar[int]
    ABSENT_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_VALUES_FIELD_NUMBER: _ClassVar[int]
    missing_embeddings: int
    unknown_ids: int
    absent_attributes: _containers.RepeatedScalarFieldContainer[str]
    unknown_values: _containers.RepeatedCompositeFieldContainer[UnknownCount]
    def __init__(self, missing_embeddings: _Optional[int] = ..., unknown_ids: _Optional[int] = ..., absent_attributes: _Optional[_Iterable[str]] = ..., unknown_values: _Optional[_Iterable[_Union[UnknownCount, _Mapping]]] = ...) -> None: ...

class UnknownCount(_message.Message):
    __slots__ = ("attribute", "candidates")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    candidates: int
    def __init__(self, attribute: _Optional[str] = ..., candidates: _Optional[int] = ...) -> None: ...

class RelevanceFloor(_message.Message):
    __slots__ = ("required", "diversity", "best_retained")
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    BEST_RETAINED_FIELD_NUMBER: _ClassVar[int]
    required: float
    diversity: float
    best_retained: float
    def __init__(self, required: _Optional[float] = ..., diversity: _Optional[float] = ..., best_retained: _Optional[float] = ...) -> None: ...

class RerankResponse(_message.Message):
    __slots__ = ("request_id", "positions", "item_ids", "item_numbers", "gains", "policy_name", "policy_revision", "arm", "status", "tier", "degraded", "quotas", "relevance_retained", "measures", "explanations", "signals", "timings", "cursor", "notes", "relevance_floor", "catalog_version", "exposure")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    ITEM_NUMBERS_FIELD_NUMBER: _ClassVar[int]
    GAINS_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAME_FIELD_NUMBER: _ClassVar[int]
    POLICY_REVISION_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_RETAINED_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FLOOR_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    positions: _containers.RepeatedScalarFieldContainer[int]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    item_numbers: _containers.RepeatedScalarFieldContainer[int]
    gains: _containers.RepeatedScalarFieldContainer[float]
    policy_name: str
    policy_revision: str
    arm: str
    status: _slate_pb2.SlateStatus
    tier: _slate_pb2.QuotaTier
    degraded: DegradedReason
    quotas: _containers.RepeatedCompositeFieldContainer[_slate_pb2.QuotaOutcome]
    relevance_retained: float
    measures: _slate_pb2.SlateMeasures
    explanations: _containers.RepeatedCompositeFieldContainer[_slate_pb2.Explanation]
    signals: SignalCounts
    timings: StageTimings
    cursor: bytes
    notes: _containers.RepeatedScalarFieldContainer[str]
    relevance_floor: RelevanceFloor
    catalog_version: str
    exposure: _containers.RepeatedCompositeFieldContainer[_slate_pb2.ExposureOutcome]
    def __init__(self, request_id: _Optional[str] = ..., positions: _Optional[_Iterable[int]] = ..., item_ids: _Optional[_Iterable[str]] = ..., item_numbers: _Optional[_Iterable[int]] = ..., gains: _Optional[_Iterable[float]] = ..., policy_name: _Optional[str] = ..., policy_revision: _Optional[str] = ..., arm: _Optional[str] = ..., status: _Optional[_Union[_slate_pb2.SlateStatus, str]] = ..., tier: _Optional[_Union[_slate_pb2.QuotaTier, str]] = ..., degraded: _Optional[_Union[DegradedReason, str]] = ..., quotas: _Optional[_Iterable[_Union[_slate_pb2.QuotaOutcome, _Mapping]]] = ..., relevance_retained: _Optional[float] = ..., measures: _Optional[_Union[_slate_pb2.SlateMeasures, _Mapping]] = ..., explanations: _Optional[_Iterable[_Union[_slate_pb2.Explanation, _Mapping]]] = ..., signals: _Optional[_Union[SignalCounts, _Mapping]] = ..., timings: _Optional[_Union[StageTimings, _Mapping]] = ..., cursor: _Optional[bytes] = ..., notes: _Optional[_Iterable[str]] = ..., relevance_floor: _Optional[_Union[RelevanceFloor, _Mapping]] = ..., catalog_version: _Optional[str] = ..., exposure: _Optional[_Iterable[_Union[_slate_pb2.ExposureOutcome, _Mapping]]] = ...) -> None: ...

class RerankStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: RerankRequest
    def __init__(self, request: _Optional[_Union[RerankRequest, _Mapping]] = ...) -> None: ...

class RerankStreamResponse(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: RerankResponse
    error: RequestError
    def __init__(self, response: _Optional[_Union[RerankResponse, _Mapping]] = ..., error: _Optional[_Union[RequestError, _Mapping]] = ...) -> None: ...

class RequestError(_message.Message):
    __slots__ = ("code", "message", "violations")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    violations: _containers.RepeatedCompositeFieldContainer[RequestViolation]
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., violations: _Optional[_Iterable[_Union[RequestViolation, _Mapping]]] = ...) -> None: ...

class RequestViolation(_message.Message):
    __slots__ = ("field", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    description: str
    def __init__(self, field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class ValidatePolicyRequest(_message.Message):
    __slots__ = ("toml", "policy")
    TOML_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    toml: str
    policy: _policy_pb2.Policy
    def __init__(self, toml: _Optional[str] = ..., policy: _Optional[_Union[_policy_pb2.Policy, _Mapping]] = ...) -> None: ...

class PolicyViolation(_message.Message):
    __slots__ = ("path", "description", "line")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    path: str
    description: str
    line: int
    def __init__(self, path: _Optional[str] = ..., description: _Optional[str] = ..., line: _Optional[int] = ...) -> None: ...

class ValidatePolicyResponse(_message.Message):
    __slots__ = ("violations", "revision")
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    violations: _containers.RepeatedCompositeFieldContainer[PolicyViolation]
    revision: str
    def __init__(self, violations: _Optional[_Iterable[_Union[PolicyViolation, _Mapping]]] = ..., revision: _Optional[str] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("policy", "revision")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    policy: _policy_pb2.Policy
    revision: str
    def __init__(self, policy: _Optional[_Union[_policy_pb2.Policy, _Mapping]] = ..., revision: _Optional[str] = ...) -> None: ...

class ListPoliciesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PolicySummary(_message.Message):
    __slots__ = ("name", "revision", "purpose")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: str
    purpose: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[str] = ..., purpose: _Optional[str] = ...) -> None: ...

class ListPoliciesResponse(_message.Message):
    __slots__ = ("policies",)
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[PolicySummary]
    def __init__(self, policies: _Optional[_Iterable[_Union[PolicySummary, _Mapping]]] = ...) -> None: ...
