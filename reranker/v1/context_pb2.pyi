from reranker.v1 import candidates_pb2 as _candidates_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Context(_message.Message):
    __slots__ = ("surface", "language", "country", "intent", "unit", "recent", "cursor", "refinement", "fixed", "targets", "without_profiling", "seed")
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    RECENT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    REFINEMENT_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_PROFILING_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    surface: str
    language: str
    country: str
    intent: str
    unit: str
    recent: _candidates_pb2.CandidateList
    cursor: bytes
    refinement: _containers.RepeatedCompositeFieldContainer[Refinement]
    fixed: _containers.RepeatedCompositeFieldContainer[FixedItem]
    targets: _containers.RepeatedCompositeFieldContainer[AttributeTargets]
    without_profiling: bool
    seed: int
    def __init__(self, surface: _Optional[str] = ..., language: _Optional[str] = ..., country: _Optional[str] = ..., intent: _Optional[str] = ..., unit: _Optional[str] = ..., recent: _Optional[_Union[_candidates_pb2.CandidateList, _Mapping]] = ..., cursor: _Optional[bytes] = ..., refinement: _Optional[_Iterable[_Union[Refinement, _Mapping]]] = ..., fixed: _Optional[_Iterable[_Union[FixedItem, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[AttributeTargets, _Mapping]]] = ..., without_profiling: bool = ..., seed: _Optional[int] = ...) -> None: ...

class Refinement(_message.Message):
    __slots__ = ("attribute", "values")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, attribute: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class FixedItem(_message.Message):
    __slots__ = ("slot", "item_id", "item_number")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_NUMBER_FIELD_NUMBER: _ClassVar[int]
    slot: int
    item_id: str
    item_number: int
    def __init__(self, slot: _Optional[int] = ..., item_id: _Optional[str] = ..., item_number: _Optional[int] = ...) -> None: ...

class AttributeTargets(_message.Message):
    __slots__ = ("attribute", "shares")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    shares: _containers.RepeatedCompositeFieldContainer[ValueTarget]
    def __init__(self, attribute: _Optional[str] = ..., shares: _Optional[_Iterable[_Union[ValueTarget, _Mapping]]] = ...) -> None: ...

class ValueTarget(_message.Message):
    __slots__ = ("value", "share")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    value: str
    share: float
    def __init__(self, value: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...
