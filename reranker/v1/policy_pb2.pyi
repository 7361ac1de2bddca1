from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Strategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STRATEGY_UNSPECIFIED: _ClassVar[Strategy]
    STRATEGY_RELEVANCE: _ClassVar[Strategy]
    STRATEGY_MMR: _ClassVar[Strategy]
    STRATEGY_MSD: _ClassVar[Strategy]
    STRATEGY_DPP: _ClassVar[Strategy]
    STRATEGY_SSD: _ClassVar[Strategy]
    STRATEGY_COVER: _ClassVar[Strategy]
    STRATEGY_XQUAD: _ClassVar[Strategy]
    STRATEGY_PM2: _ClassVar[Strategy]
    STRATEGY_DUM: _ClassVar[Strategy]
    STRATEGY_CALIBRATED: _ClassVar[Strategy]
    STRATEGY_ROUND_ROBIN: _ClassVar[Strategy]

class ScoreNormalisation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORE_NORMALISATION_UNSPECIFIED: _ClassVar[ScoreNormalisation]
    SCORE_NORMALISATION_AUTO: _ClassVar[ScoreNormalisation]
    SCORE_NORMALISATION_ZSCORE: _ClassVar[ScoreNormalisation]
    SCORE_NORMALISATION_MINMAX: _ClassVar[ScoreNormalisation]
    SCORE_NORMALISATION_RANK: _ClassVar[ScoreNormalisation]
    SCORE_NORMALISATION_NONE: _ClassVar[ScoreNormalisation]

class Similarity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIMILARITY_UNSPECIFIED: _ClassVar[Similarity]
    SIMILARITY_AUTO: _ClassVar[Similarity]
    SIMILARITY_COSINE: _ClassVar[Similarity]
    SIMILARITY_COSINE_SHIFTED: _ClassVar[Similarity]

class SimilarityKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIMILARITY_KIND_UNSPECIFIED: _ClassVar[SimilarityKind]
    SIMILARITY_KIND_COSINE: _ClassVar[SimilarityKind]
    SIMILARITY_KIND_EQUALITY: _ClassVar[SimilarityKind]
    SIMILARITY_KIND_JACCARD: _ClassVar[SimilarityKind]
    SIMILARITY_KIND_ORDINAL: _ClassVar[SimilarityKind]
    SIMILARITY_KIND_PREFIX: _ClassVar[SimilarityKind]

class TargetSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TARGET_SOURCE_UNSPECIFIED: _ClassVar[TargetSource]
    TARGET_SOURCE_REQUEST: _ClassVar[TargetSource]
    TARGET_SOURCE_POOL: _ClassVar[TargetSource]

class Generator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GENERATOR_UNSPECIFIED: _ClassVar[Generator]
    GENERATOR_DET_GREEDY: _ClassVar[Generator]
    GENERATOR_DET_CONS: _ClassVar[Generator]
    GENERATOR_DET_RELAXED: _ClassVar[Generator]
    GENERATOR_DET_CONST_SORT: _ClassVar[Generator]

class FairStarRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAIR_STAR_RULE_UNSPECIFIED: _ClassVar[FairStarRule]
    FAIR_STAR_RULE_CONSERVATIVE: _ClassVar[FairStarRule]
    FAIR_STAR_RULE_CLOSEST: _ClassVar[FairStarRule]

class FairStarPool(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAIR_STAR_POOL_UNSPECIFIED: _ClassVar[FairStarPool]
    FAIR_STAR_POOL_INFINITE: _ClassVar[FairStarPool]
    FAIR_STAR_POOL_FINITE: _ClassVar[FairStarPool]

class DecayShape(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECAY_SHAPE_UNSPECIFIED: _ClassVar[DecayShape]
    DECAY_SHAPE_RECIPROCAL: _ClassVar[DecayShape]
    DECAY_SHAPE_EXPONENTIAL: _ClassVar[DecayShape]
    DECAY_SHAPE_STEP: _ClassVar[DecayShape]

class LabelCount(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_COUNT_UNSPECIFIED: _ClassVar[LabelCount]
    LABEL_COUNT_HARD: _ClassVar[LabelCount]
    LABEL_COUNT_EXPECTED: _ClassVar[LabelCount]
    LABEL_COUNT_CONFIDENT: _ClassVar[LabelCount]

class UnknownLabel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN_LABEL_UNSPECIFIED: _ClassVar[UnknownLabel]
    UNKNOWN_LABEL_NEUTRAL: _ClassVar[UnknownLabel]
    UNKNOWN_LABEL_EXCLUDE: _ClassVar[UnknownLabel]
    UNKNOWN_LABEL_GROUP: _ClassVar[UnknownLabel]

class InfeasibleMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INFEASIBLE_MODE_UNSPECIFIED: _ClassVar[InfeasibleMode]
    INFEASIBLE_MODE_RELAX: _ClassVar[InfeasibleMode]
    INFEASIBLE_MODE_STRICT: _ClassVar[InfeasibleMode]
    INFEASIBLE_MODE_FAIL: _ClassVar[InfeasibleMode]

class RefinementMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFINEMENT_MODE_UNSPECIFIED: _ClassVar[RefinementMode]
    REFINEMENT_MODE_FILTER: _ClassVar[RefinementMode]
    REFINEMENT_MODE_BOOST: _ClassVar[RefinementMode]
    REFINEMENT_MODE_IGNORE: _ClassVar[RefinementMode]

class MissingSignal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MISSING_SIGNAL_UNSPECIFIED: _ClassVar[MissingSignal]
    MISSING_SIGNAL_NEUTRAL: _ClassVar[MissingSignal]
    MISSING_SIGNAL_KEEP_IN_PLACE: _ClassVar[MissingSignal]
    MISSING_SIGNAL_REJECT: _ClassVar[MissingSignal]
STRATEGY_UNSPECIFIED: Strategy
STRATEGY_RELEVANCE: Strategy
STRATEGY_MMR: Strategy
STRATEGY_MSD: Strategy
STRATEGY_DPP: Strategy
STRATEGY_SSD: Strategy
STRATEGY_COVER: Strategy
STRATEGY_XQUAD: Strategy
STRATEGY_PM2: Strategy
STRATEGY_DUM: Strategy
STRATEGY_CALIBRATED: Strategy
STRATEGY_ROUND_ROBIN: Strategy
SCORE_NORMALISATION_UNSPECIFIED: ScoreNormalisation
SCORE_NORMALISATION_AUTO: ScoreNormalisation
SCORE_NORMALISATION_ZSCORE: ScoreNormalisation
SCORE_NORMALISATION_MINMAX: ScoreNormalisation
SCORE_NORMALISATION_RANK: ScoreNormalisation
SCORE_NORMALISATION_NONE: ScoreNormalisation
SIMILARITY_UNSPECIFIED: Similarity
SIMILARITY_AUTO: Similarity
SIMILARITY_COSINE: Similarity
SIMILARITY_COSINE_SHIFTED: Similarity
SIMILARITY_KIND_UNSPECIFIED: SimilarityKind
SIMILARITY_KIND_COSINE: SimilarityKind
SIMILARITY_KIND_EQUALITY: SimilarityKind
SIMILARITY_KIND_JACCARD: SimilarityKind
SIMILARITY_KIND_ORDINAL: SimilarityKind
SIMILARITY_KIND_PREFIX: SimilarityKind
TARGET_SOURCE_UNSPECIFIED: TargetSource
TARGET_SOURCE_REQUEST: TargetSource
TARGET_SOURCE_POOL: TargetSource
GENERATOR_UNSPECIFIED: Generator
GENERATOR_DET_GREEDY: Generator
GENERATOR_DET_CONS: Generator
GENERATOR_DET_RELAXED: Generator
GENERATOR_DET_CONST_SORT: Generator
FAIR_STAR_RULE_UNSPECIFIED: FairStarRule
FAIR_STAR_RULE_CONSERVATIVE: FairStarRule
FAIR_STAR_RULE_CLOSEST: FairStarRule
FAIR_STAR_POOL_UNSPECIFIED: FairStarPool
FAIR_STAR_POOL_INFINITE: FairStarPool
FAIR_STAR_POOL_FINITE: FairStarPool
DECAY_SHAPE_UNSPECIFIED: DecayShape
DECAY_SHAPE_RECIPROCAL: DecayShape
DECAY_SHAPE_EXPONENTIAL: DecayShape
DECAY_SHAPE_STEP: DecayShape
LABEL_COUNT_UNSPECIFIED: LabelCount
LABEL_COUNT_HARD: LabelCount
LABEL_COUNT_EXPECTED: LabelCount
LABEL_COUNT_CONFIDENT: LabelCount
UNKNOWN_LABEL_UNSPECIFIED: UnknownLabel
UNKNOWN_LABEL_NEUTRAL: UnknownLabel
UNKNOWN_LABEL_EXCLUDE: UnknownLabel
UNKNOWN_LABEL_GROUP: UnknownLabel
INFEASIBLE_MODE_UNSPECIFIED: InfeasibleMode
INFEASIBLE_MODE_RELAX: InfeasibleMode
INFEASIBLE_MODE_STRICT: InfeasibleMode
INFEASIBLE_MODE_FAIL: InfeasibleMode
REFINEMENT_MODE_UNSPECIFIED: RefinementMode
REFINEMENT_MODE_FILTER: RefinementMode
REFINEMENT_MODE_BOOST: RefinementMode
REFINEMENT_MODE_IGNORE: RefinementMode
MISSING_SIGNAL_UNSPECIFIED: MissingSignal
MISSING_SIGNAL_NEUTRAL: MissingSignal
MISSING_SIGNAL_KEEP_IN_PLACE: MissingSignal
MISSING_SIGNAL_REJECT: MissingSignal

class Policy(_message.Message):
    __slots__ = ("name", "about", "objective", "similarity_signals", "guard", "placement", "quotas", "spacings", "decays", "calibration", "labels", "on_infeasible", "refinement", "signals", "exposure", "shadow")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    GUARD_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    SPACINGS_FIELD_NUMBER: _ClassVar[int]
    DECAYS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ON_INFEASIBLE_FIELD_NUMBER: _ClassVar[int]
    REFINEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    about: About
    objective: Objective
    similarity_signals: _containers.RepeatedCompositeFieldContainer[SimilaritySignal]
    guard: Guard
    placement: Placement
    quotas: _containers.RepeatedCompositeFieldContainer[Quota]
    spacings: _containers.RepeatedCompositeFieldContainer[Spacing]
    decays: _containers.RepeatedCompositeFieldContainer[Decay]
    calibration: Calibration
    labels: Labels
    on_infeasible: OnInfeasible
    refinement: RefinementRule
    signals: Signals
    exposure: _containers.RepeatedCompositeFieldContainer[Exposure]
    shadow: Shadow
    def __init__(self, name: _Optional[str] = ..., about: _Optional[_Union[About, _Mapping]] = ..., objective: _Optional[_Union[Objective, _Mapping]] = ..., similarity_signals: _Optional[_Iterable[_Union[SimilaritySignal, _Mapping]]] = ..., guard: _Optional[_Union[Guard, _Mapping]] = ..., placement: _Optional[_Union[Placement, _Mapping]] = ..., quotas: _Optional[_Iterable[_Union[Quota, _Mapping]]] = ..., spacings: _Optional[_Iterable[_Union[Spacing, _Mapping]]] = ..., decays: _Optional[_Iterable[_Union[Decay, _Mapping]]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., labels: _Optional[_Union[Labels, _Mapping]] = ..., on_infeasible: _Optional[_Union[OnInfeasible, _Mapping]] = ..., refinement: _Optional[_Union[RefinementRule, _Mapping]] = ..., signals: _Optional[_Union[Signals, _Mapping]] = ..., exposure: _Optional[_Iterable[_Union[Exposure, _Mapping]]] = ..., shadow: _Optional[_Union[Shadow, _Mapping]] = ...) -> None: ...

class About(_message.Message):
    __slots__ = ("purpose", "owner", "review_by")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REVIEW_BY_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    owner: str
    review_by: str
    def __init__(self, purpose: _Optional[str] = ..., owner: _Optional[str] = ..., review_by: _Optional[str] = ...) -> None: ...

class Objective(_message.Message):
    __slots__ = ("strategy", "diversity", "window", "relevance_floor", "candidate_window", "score_normalisation", "similarity", "score_zero", "sample")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FLOOR_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_WINDOW_FIELD_NUMBER: _ClassVar[int]
    SCORE_NORMALISATION_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_ZERO_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    strategy: Strategy
    diversity: float
    window: int
    relevance_floor: float
    candidate_window: int
    score_normalisation: ScoreNormalisation
    similarity: Similarity
    score_zero: float
    sample: bool
    def __init__(self, strategy: _Optional[_Union[Strategy, str]] = ..., diversity: _Optional[float] = ..., window: _Optional[int] = ..., relevance_floor: _Optional[float] = ..., candidate_window: _Optional[int] = ..., score_normalisation: _Optional[_Union[ScoreNormalisation, str]] = ..., similarity: _Optional[_Union[Similarity, str]] = ..., score_zero: _Optional[float] = ..., sample: bool = ...) -> None: ...

class SimilaritySignal(_message.Message):
    __slots__ = ("signal", "attribute", "kind", "weight")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    signal: str
    attribute: str
    kind: SimilarityKind
    weight: float
    def __init__(self, signal: _Optional[str] = ..., attribute: _Optional[str] = ..., kind: _Optional[_Union[SimilarityKind, str]] = ..., weight: _Optional[float] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("attribute", "values")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, attribute: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class Guard(_message.Message):
    __slots__ = ("min_score", "min_share_of_best", "where")
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MIN_SHARE_OF_BEST_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    min_score: float
    min_share_of_best: float
    where: _containers.RepeatedCompositeFieldContainer[Condition]
    def __init__(self, min_score: _Optional[float] = ..., min_share_of_best: _Optional[float] = ..., where: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("keep_top", "max_fall")
    KEEP_TOP_FIELD_NUMBER: _ClassVar[int]
    MAX_FALL_FIELD_NUMBER: _ClassVar[int]
    keep_top: int
    max_fall: int
    def __init__(self, keep_top: _Optional[int] = ..., max_fall: _Optional[int] = ...) -> None: ...

class Share(_message.Message):
    __slots__ = ("number", "fraction")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    number: float
    fraction: str
    def __init__(self, number: _Optional[float] = ..., fraction: _Optional[str] = ...) -> None: ...

class ValueShare(_message.Message):
    __slots__ = ("value", "share")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    value: str
    share: Share
    def __init__(self, value: _Optional[str] = ..., share: _Optional[_Union[Share, _Mapping]] = ...) -> None: ...

class ValueCount(_message.Message):
    __slots__ = ("value", "count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    value: str
    count: int
    def __init__(self, value: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class FairStar(_message.Message):
    __slots__ = ("protected", "proportion", "significance", "rule", "pool")
    PROTECTED_FIELD_NUMBER: _ClassVar[int]
    PROPORTION_FIELD_NUMBER: _ClassVar[int]
    SIGNIFICANCE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    protected: _containers.RepeatedScalarFieldContainer[str]
    proportion: float
    significance: float
    rule: FairStarRule
    pool: FairStarPool
    def __init__(self, protected: _Optional[_Iterable[str]] = ..., proportion: _Optional[float] = ..., significance: _Optional[float] = ..., rule: _Optional[_Union[FairStarRule, str]] = ..., pool: _Optional[_Union[FairStarPool, str]] = ...) -> None: ...

class Quota(_message.Message):
    __slots__ = ("attribute", "where", "min_share", "max_share", "target_source", "target", "tolerance", "min_coverage", "min_count", "max_count", "within", "at_least_one_of_each", "values", "max_per_value", "window", "max_similarity", "fair_star", "generator", "weight", "soft")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    MIN_SHARE_FIELD_NUMBER: _ClassVar[int]
    MAX_SHARE_FIELD_NUMBER: _ClassVar[int]
    TARGET_SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    MIN_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MIN_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_COUNT_FIELD_NUMBER: _ClassVar[int]
    WITHIN_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_ONE_OF_EACH_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_VALUE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    FAIR_STAR_FIELD_NUMBER: _ClassVar[int]
    GENERATOR_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SOFT_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    where: _containers.RepeatedCompositeFieldContainer[Condition]
    min_share: _containers.RepeatedCompositeFieldContainer[ValueShare]
    max_share: _containers.RepeatedCompositeFieldContainer[ValueShare]
    target_source: TargetSource
    target: _containers.RepeatedCompositeFieldContainer[ValueShare]
    tolerance: float
    min_coverage: float
    min_count: _containers.RepeatedCompositeFieldContainer[ValueCount]
    max_count: _containers.RepeatedCompositeFieldContainer[ValueCount]
    within: int
    at_least_one_of_each: bool
    values: _containers.RepeatedScalarFieldContainer[str]
    max_per_value: int
    window: int
    max_similarity: float
    fair_star: FairStar
    generator: Generator
    weight: float
    soft: bool
    def __init__(self, attribute: _Optional[str] = ..., where: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., min_share: _Optional[_Iterable[_Union[ValueShare, _Mapping]]] = ..., max_share: _Optional[_Iterable[_Union[ValueShare, _Mapping]]] = ..., target_source: _Optional[_Union[TargetSource, str]] = ..., target: _Optional[_Iterable[_Union[ValueShare, _Mapping]]] = ..., tolerance: _Optional[float] = ..., min_coverage: _Optional[float] = ..., min_count: _Optional[_Iterable[_Union[ValueCount, _Mapping]]] = ..., max_count: _Optional[_Iterable[_Union[ValueCount, _Mapping]]] = ..., within: _Optional[int] = ..., at_least_one_of_each: bool = ..., values: _Optional[_Iterable[str]] = ..., max_per_value: _Optional[int] = ..., window: _Optional[int] = ..., max_similarity: _Optional[float] = ..., fair_star: _Optional[_Union[FairStar, _Mapping]] = ..., generator: _Optional[_Union[Generator, str]] = ..., weight: _Optional[float] = ..., soft: bool = ...) -> None: ...

class Spacing(_message.Message):
    __slots__ = ("attribute", "penalty", "window", "decay")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    PENALTY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    DECAY_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    penalty: float
    window: int
    decay: DecayShape
    def __init__(self, attribute: _Optional[str] = ..., penalty: _Optional[float] = ..., window: _Optional[int] = ..., decay: _Optional[_Union[DecayShape, str]] = ...) -> None: ...

class Decay(_message.Message):
    __slots__ = ("attribute", "factor", "floor")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    factor: float
    floor: float
    def __init__(self, attribute: _Optional[str] = ..., factor: _Optional[float] = ..., floor: _Optional[float] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("attribute", "target_source", "target")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    TARGET_SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    target_source: TargetSource
    target: _containers.RepeatedCompositeFieldContainer[ValueShare]
    def __init__(self, attribute: _Optional[str] = ..., target_source: _Optional[_Union[TargetSource, str]] = ..., target: _Optional[_Iterable[_Union[ValueShare, _Mapping]]] = ...) -> None: ...

class Labels(_message.Message):
    __slots__ = ("count", "threshold", "confidence", "unknown", "attributes")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    count: LabelCount
    threshold: float
    confidence: float
    unknown: UnknownLabel
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeLabels]
    def __init__(self, count: _Optional[_Union[LabelCount, str]] = ..., threshold: _Optional[float] = ..., confidence: _Optional[float] = ..., unknown: _Optional[_Union[UnknownLabel, str]] = ..., attributes: _Optional[_Iterable[_Union[AttributeLabels, _Mapping]]] = ...) -> None: ...

class AttributeLabels(_message.Message):
    __slots__ = ("attribute", "count", "threshold", "confidence", "unknown", "values", "sensitive")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    count: LabelCount
    threshold: float
    confidence: float
    unknown: UnknownLabel
    values: _containers.RepeatedScalarFieldContainer[str]
    sensitive: bool
    def __init__(self, attribute: _Optional[str] = ..., count: _Optional[_Union[LabelCount, str]] = ..., threshold: _Optional[float] = ..., confidence: _Optional[float] = ..., unknown: _Optional[_Union[UnknownLabel, str]] = ..., values: _Optional[_Iterable[str]] = ..., sensitive: bool = ...) -> None: ...

class OnInfeasible(_message.Message):
    __slots__ = ("mode",)
    MODE_FIELD_NUMBER: _ClassVar[int]
    mode: InfeasibleMode
    def __init__(self, mode: _Optional[_Union[InfeasibleMode, str]] = ...) -> None: ...

class RefinementRule(_message.Message):
    __slots__ = ("mode",)
    MODE_FIELD_NUMBER: _ClassVar[int]
    mode: RefinementMode
    def __init__(self, mode: _Optional[_Union[RefinementMode, str]] = ...) -> None: ...

class Signals(_message.Message):
    __slots__ = ("unknown_id", "missing_embedding")
    UNKNOWN_ID_FIELD_NUMBER: _ClassVar[int]
    MISSING_EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    unknown_id: MissingSignal
    missing_embedding: MissingSignal
    def __init__(self, unknown_id: _Optional[_Union[MissingSignal, str]] = ..., missing_embedding: _Optional[_Union[MissingSignal, str]] = ...) -> None: ...

class Exposure(_message.Message):
    __slots__ = ("attribute", "target_source", "target", "per", "half_life", "band", "min_count")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    TARGET_SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PER_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    MIN_COUNT_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    target_source: TargetSource
    target: _containers.RepeatedCompositeFieldContainer[ValueShare]
    per: _containers.RepeatedScalarFieldContainer[str]
    half_life: str
    band: float
    min_count: int
    def __init__(self, attribute: _Optional[str] = ..., target_source: _Optional[_Union[TargetSource, str]] = ..., target: _Optional[_Iterable[_Union[ValueShare, _Mapping]]] = ..., per: _Optional[_Iterable[str]] = ..., half_life: _Optional[str] = ..., band: _Optional[float] = ..., min_count: _Optional[int] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("policy", "fraction")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    policy: str
    fraction: float
    def __init__(self, policy: _Optional[str] = ..., fraction: _Optional[float] = ...) -> None: ...
