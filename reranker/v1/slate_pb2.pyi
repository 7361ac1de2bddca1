from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SlateStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SLATE_STATUS_UNSPECIFIED: _ClassVar[SlateStatus]
    SLATE_STATUS_SATISFIED: _ClassVar[SlateStatus]
    SLATE_STATUS_SUPPLY_LIMITED: _ClassVar[SlateStatus]
    SLATE_STATUS_RELAXED_MINIMAL: _ClassVar[SlateStatus]
    SLATE_STATUS_RELAXED_BEST_EFFORT: _ClassVar[SlateStatus]
    SLATE_STATUS_STRICT_UPSTREAM: _ClassVar[SlateStatus]
    SLATE_STATUS_NOT_TRIGGERED: _ClassVar[SlateStatus]

class QuotaTier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUOTA_TIER_UNSPECIFIED: _ClassVar[QuotaTier]
    QUOTA_TIER_NONE: _ClassVar[QuotaTier]
    QUOTA_TIER_LOWER_EXACT: _ClassVar[QuotaTier]
    QUOTA_TIER_PARTITION_EXACT: _ClassVar[QuotaTier]
    QUOTA_TIER_FLOW_EXACT: _ClassVar[QuotaTier]
    QUOTA_TIER_HEURISTIC: _ClassVar[QuotaTier]

class BoundKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BOUND_KIND_UNSPECIFIED: _ClassVar[BoundKind]
    BOUND_KIND_LOWER: _ClassVar[BoundKind]
    BOUND_KIND_UPPER: _ClassVar[BoundKind]
    BOUND_KIND_WINDOW: _ClassVar[BoundKind]
    BOUND_KIND_SIMILARITY: _ClassVar[BoundKind]

class OutcomeStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_STATUS_UNSPECIFIED: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_MET: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_BROKEN: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_SUSPENDED: _ClassVar[OutcomeStatus]

class OutcomeReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_REASON_UNSPECIFIED: _ClassVar[OutcomeReason]
    OUTCOME_REASON_SUPPLY: _ClassVar[OutcomeReason]
    OUTCOME_REASON_GUARD: _ClassVar[OutcomeReason]
    OUTCOME_REASON_CROWDING: _ClassVar[OutcomeReason]
    OUTCOME_REASON_CONFLICT: _ClassVar[OutcomeReason]
    OUTCOME_REASON_PINNED: _ClassVar[OutcomeReason]
    OUTCOME_REASON_UNKNOWN_LABELS: _ClassVar[OutcomeReason]
    OUTCOME_REASON_LOW_COVERAGE: _ClassVar[OutcomeReason]
    OUTCOME_REASON_NO_TARGET: _ClassVar[OutcomeReason]
    OUTCOME_REASON_REFINED: _ClassVar[OutcomeReason]
    OUTCOME_REASON_DEADLINE: _ClassVar[OutcomeReason]
SLATE_STATUS_UNSPECIFIED: SlateStatus
SLATE_STATUS_SATISFIED: SlateStatus
SLATE_STATUS_SUPPLY_LIMITED: SlateStatus
SLATE_STATUS_RELAXED_MINIMAL: SlateStatus
SLATE_STATUS_RELAXED_BEST_EFFORT: SlateStatus
SLATE_STATUS_STRICT_UPSTREAM: SlateStatus
SLATE_STATUS_NOT_TRIGGERED: SlateStatus
QUOTA_TIER_UNSPECIFIED: QuotaTier
QUOTA_TIER_NONE: QuotaTier
QUOTA_TIER_LOWER_EXACT: QuotaTier
QUOTA_TIER_PARTITION_EXACT: QuotaTier
QUOTA_TIER_FLOW_EXACT: QuotaTier
QUOTA_TIER_HEURISTIC: QuotaTier
BOUND_KIND_UNSPECIFIED: BoundKind
BOUND_KIND_LOWER: BoundKind
BOUND_KIND_UPPER: BoundKind
BOUND_KIND_WINDOW: BoundKind
BOUND_KIND_SIMILARITY: BoundKind
OUTCOME_STATUS_UNSPECIFIED: OutcomeStatus
OUTCOME_STATUS_MET: OutcomeStatus
OUTCOME_STATUS_BROKEN: OutcomeStatus
OUTCOME_STATUS_SUSPENDED: OutcomeStatus
OUTCOME_REASON_UNSPECIFIED: OutcomeReason
OUTCOME_REASON_SUPPLY: OutcomeReason
OUTCOME_REASON_GUARD: OutcomeReason
OUTCOME_REASON_CROWDING: OutcomeReason
OUTCOME_REASON_CONFLICT: OutcomeReason
OUTCOME_REASON_PINNED: OutcomeReason
OUTCOME_REASON_UNKNOWN_LABELS: OutcomeReason
OUTCOME_REASON_LOW_COVERAGE: OutcomeReason
OUTCOME_REASON_NO_TARGET: OutcomeReason
OUTCOME_REASON_REFINED: OutcomeReason
OUTCOME_REASON_DEADLINE: OutcomeReason

class SlotSpan(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class QuotaOutcome(_message.Message):
    __slots__ = ("attribute", "value", "bound", "required", "achieved", "share", "first_failing_prefix", "status", "reason", "over_fetch", "detail", "crowded_slots", "soft")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    ACHIEVED_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FAILING_PREFIX_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OVER_FETCH_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    CROWDED_SLOTS_FIELD_NUMBER: _ClassVar[int]
    SOFT_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    value: str
    bound: BoundKind
    required: float
    achieved: float
    share: float
    first_failing_prefix: int
    status: OutcomeStatus
    reason: OutcomeReason
    over_fetch: int
    detail: str
    crowded_slots: SlotSpan
    soft: bool
    def __init__(self, attribute: _Optional[str] = ..., value: _Optional[str] = ..., bound: _Optional[_Union[BoundKind, str]] = ..., required: _Optional[float] = ..., achieved: _Optional[float] = ..., share: _Optional[float] = ..., first_failing_prefix: _Optional[int] = ..., status: _Optional[_Union[OutcomeStatus, str]] = ..., reason: _Optional[_Union[OutcomeReason, str]] = ..., over_fetch: _Optional[int] = ..., detail: _Optional[str] = ..., crowded_slots: _Optional[_Union[SlotSpan, _Mapping]] = ..., soft: bool = ...) -> None: ...

class GroupMeasures(_message.Message):
    __slots__ = ("attribute", "values", "shares", "reference_shares", "reference_declared", "label_coverage", "div", "div_ceiling", "div_ceiling_guarded", "min_skew", "max_skew", "ndkl", "value_coverage", "subtopic_recall", "alpha_ndcg", "err_ia", "entropy", "gini", "awrf", "exposure_parity", "in_group_fairness", "calibration_kl", "rnd", "rkl", "rrd")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_SHARES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_DECLARED_FIELD_NUMBER: _ClassVar[int]
    LABEL_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    DIV_FIELD_NUMBER: _ClassVar[int]
    DIV_CEILING_FIELD_NUMBER: _ClassVar[int]
    DIV_CEILING_GUARDED_FIELD_NUMBER: _ClassVar[int]
    MIN_SKEW_FIELD_NUMBER: _ClassVar[int]
    MAX_SKEW_FIELD_NUMBER: _ClassVar[int]
    NDKL_FIELD_NUMBER: _ClassVar[int]
    VALUE_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    SUBTOPIC_RECALL_FIELD_NUMBER: _ClassVar[int]
    ALPHA_NDCG_FIELD_NUMBER: _ClassVar[int]
    ERR_IA_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_FIELD_NUMBER: _ClassVar[int]
    GINI_FIELD_NUMBER: _ClassVar[int]
    AWRF_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_PARITY_FIELD_NUMBER: _ClassVar[int]
    IN_GROUP_FAIRNESS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_KL_FIELD_NUMBER: _ClassVar[int]
    RND_FIELD_NUMBER: _ClassVar[int]
    RKL_FIELD_NUMBER: _ClassVar[int]
    RRD_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    values: _containers.RepeatedScalarFieldContainer[str]
    shares: _containers.RepeatedScalarFieldContainer[float]
    reference_shares: _containers.RepeatedScalarFieldContainer[float]
    reference_declared: bool
    label_coverage: float
    div: float
    div_ceiling: float
    div_ceiling_guarded: float
    min_skew: float
    max_skew: float
    ndkl: float
    value_coverage: float
    subtopic_recall: float
    alpha_ndcg: float
    err_ia: float
    entropy: float
    gini: float
    awrf: float
    exposure_parity: float
    in_group_fairness: float
    calibration_kl: float
    rnd: float
    rkl: float
    rrd: float
    def __init__(self, attribute: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ..., shares: _Optional[_Iterable[float]] = ..., reference_shares: _Optional[_Iterable[float]] = ..., reference_declared: bool = ..., label_coverage: _Optional[float] = ..., div: _Optional[float] = ..., div_ceiling: _Optional[float] = ..., div_ceiling_guarded: _Optional[float] = ..., min_skew: _Optional[float] = ..., max_skew: _Optional[float] = ..., ndkl: _Optional[float] = ..., value_coverage: _Optional[float] = ..., subtopic_recall: _Optional[float] = ..., alpha_ndcg: _Optional[float] = ..., err_ia: _Optional[float] = ..., entropy: _Optional[float] = ..., gini: _Optional[float] = ..., awrf: _Optional[float] = ..., exposure_parity: _Optional[float] = ..., in_group_fairness: _Optional[float] = ..., calibration_kl: _Optional[float] = ..., rnd: _Optional[float] = ..., rkl: _Optional[float] = ..., rrd: _Optional[float] = ...) -> None: ...

class ListMeasures(_message.Message):
    __slots__ = ("ndcg", "intra_list_average_distance", "intra_list_minimum_distance", "groups", "vendi_score", "log_determinant")
    NDCG_FIELD_NUMBER: _ClassVar[int]
    INTRA_LIST_AVERAGE_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    INTRA_LIST_MINIMUM_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    VENDI_SCORE_FIELD_NUMBER: _ClassVar[int]
    LOG_DETERMINANT_FIELD_NUMBER: _ClassVar[int]
    ndcg: float
    intra_list_average_distance: float
    intra_list_minimum_distance: float
    groups: _containers.RepeatedCompositeFieldContainer[GroupMeasures]
    vendi_score: float
    log_determinant: float
    def __init__(self, ndcg: _Optional[float] = ..., intra_list_average_distance: _Optional[float] = ..., intra_list_minimum_distance: _Optional[float] = ..., groups: _Optional[_Iterable[_Union[GroupMeasures, _Mapping]]] = ..., vendi_score: _Optional[float] = ..., log_determinant: _Optional[float] = ...) -> None: ...

class OrderMeasures(_message.Message):
    __slots__ = ("rank_biased_overlap", "kendall_tau", "mean_displacement", "max_displacement")
    RANK_BIASED_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    KENDALL_TAU_FIELD_NUMBER: _ClassVar[int]
    MEAN_DISPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    MAX_DISPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    rank_biased_overlap: float
    kendall_tau: float
    mean_displacement: float
    max_displacement: int
    def __init__(self, rank_biased_overlap: _Optional[float] = ..., kendall_tau: _Optional[float] = ..., mean_displacement: _Optional[float] = ..., max_displacement: _Optional[int] = ...) -> None: ...

class SlateMeasures(_message.Message):
    __slots__ = ("before", "after", "change")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    before: ListMeasures
    after: ListMeasures
    change: OrderMeasures
    def __init__(self, before: _Optional[_Union[ListMeasures, _Mapping]] = ..., after: _Optional[_Union[ListMeasures, _Mapping]] = ..., change: _Optional[_Union[OrderMeasures, _Mapping]] = ...) -> None: ...

class QuotaInfluence(_message.Message):
    __slots__ = ("attribute", "value", "bound", "blocked")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    value: str
    bound: BoundKind
    blocked: int
    def __init__(self, attribute: _Optional[str] = ..., value: _Optional[str] = ..., bound: _Optional[_Union[BoundKind, str]] = ..., blocked: _Optional[int] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("slot", "gain", "relevance_part", "diversity_part", "upstream_rank", "displacement", "nearest_slot", "nearest_similarity", "pinned", "rank_exhausted", "forced_by", "instead_of_rank", "text", "soft_part")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_PART_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_PART_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_RANK_FIELD_NUMBER: _ClassVar[int]
    DISPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    NEAREST_SLOT_FIELD_NUMBER: _ClassVar[int]
    NEAREST_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    RANK_EXHAUSTED_FIELD_NUMBER: _ClassVar[int]
    FORCED_BY_FIELD_NUMBER: _ClassVar[int]
    INSTEAD_OF_RANK_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOFT_PART_FIELD_NUMBER: _ClassVar[int]
    slot: int
    gain: float
    relevance_part: float
    diversity_part: float
    upstream_rank: int
    displacement: int
    nearest_slot: int
    nearest_similarity: float
    pinned: bool
    rank_exhausted: bool
    forced_by: _containers.RepeatedCompositeFieldContainer[QuotaInfluence]
    instead_of_rank: int
    text: str
    soft_part: float
    def __init__(self, slot: _Optional[int] = ..., gain: _Optional[float] = ..., relevance_part: _Optional[float] = ..., diversity_part: _Optional[float] = ..., upstream_rank: _Optional[int] = ..., displacement: _Optional[int] = ..., nearest_slot: _Optional[int] = ..., nearest_similarity: _Optional[float] = ..., pinned: bool = ..., rank_exhausted: bool = ..., forced_by: _Optional[_Iterable[_Union[QuotaInfluence, _Mapping]]] = ..., instead_of_rank: _Optional[int] = ..., text: _Optional[str] = ..., soft_part: _Optional[float] = ...) -> None: ...

class ExposureOutcome(_message.Message):
    __slots__ = ("attribute", "value", "target", "due", "given", "price", "half_life", "detail")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    value: str
    target: float
    due: float
    given: float
    price: float
    half_life: str
    detail: str
    def __init__(self, attribute: _Optional[str] = ..., value: _Optional[str] = ..., target: _Optional[float] = ..., due: _Optional[float] = ..., given: _Optional[float] = ..., price: _Optional[float] = ..., half_life: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...
