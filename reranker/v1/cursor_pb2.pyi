from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Cursor(_message.Message):
    __slots__ = ("policy_revision", "shown", "items", "tallies", "trails", "embeddings")
    POLICY_REVISION_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TALLIES_FIELD_NUMBER: _ClassVar[int]
    TRAILS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    policy_revision: str
    shown: int
    items: _containers.RepeatedScalarFieldContainer[int]
    tallies: _containers.RepeatedCompositeFieldContainer[CursorTally]
    trails: _containers.RepeatedCompositeFieldContainer[CursorTrail]
    embeddings: _containers.RepeatedCompositeFieldContainer[CursorEmbedding]
    def __init__(self, policy_revision: _Optional[str] = ..., shown: _Optional[int] = ..., items: _Optional[_Iterable[int]] = ..., tallies: _Optional[_Iterable[_Union[CursorTally, _Mapping]]] = ..., trails: _Optional[_Iterable[_Union[CursorTrail, _Mapping]]] = ..., embeddings: _Optional[_Iterable[_Union[CursorEmbedding, _Mapping]]] = ...) -> None: ...

class CursorTally(_message.Message):
    __slots__ = ("subject", "values", "counts", "fixed", "labelled", "shown")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    subject: str
    values: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    fixed: _containers.RepeatedScalarFieldContainer[int]
    labelled: int
    shown: int
    def __init__(self, subject: _Optional[str] = ..., values: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ..., fixed: _Optional[_Iterable[int]] = ..., labelled: _Optional[int] = ..., shown: _Optional[int] = ...) -> None: ...

class CursorTrail(_message.Message):
    __slots__ = ("attribute", "values", "offsets")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    values: _containers.RepeatedScalarFieldContainer[int]
    offsets: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, attribute: _Optional[str] = ..., values: _Optional[_Iterable[int]] = ..., offsets: _Optional[_Iterable[int]] = ...) -> None: ...

class CursorEmbedding(_message.Message):
    __slots__ = ("name", "dimension", "float16")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    FLOAT16_FIELD_NUMBER: _ClassVar[int]
    name: str
    dimension: int
    float16: bytes
    def __init__(self, name: _Optional[str] = ..., dimension: _Optional[int] = ..., float16: _Optional[bytes] = ...) -> None: ...
