from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CandidateList(_message.Message):
    __slots__ = ("item_ids", "item_numbers", "scores", "embeddings", "attributes", "catalog")
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    ITEM_NUMBERS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    item_numbers: _containers.RepeatedScalarFieldContainer[int]
    scores: _containers.RepeatedScalarFieldContainer[float]
    embeddings: _containers.RepeatedCompositeFieldContainer[EmbeddingColumn]
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeColumn]
    catalog: CatalogReference
    def __init__(self, item_ids: _Optional[_Iterable[str]] = ..., item_numbers: _Optional[_Iterable[int]] = ..., scores: _Optional[_Iterable[float]] = ..., embeddings: _Optional[_Iterable[_Union[EmbeddingColumn, _Mapping]]] = ..., attributes: _Optional[_Iterable[_Union[AttributeColumn, _Mapping]]] = ..., catalog: _Optional[_Union[CatalogReference, _Mapping]] = ...) -> None: ...

class CatalogReference(_message.Message):
    __slots__ = ("embeddings", "attributes")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedScalarFieldContainer[str]
    attributes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, embeddings: _Optional[_Iterable[str]] = ..., attributes: _Optional[_Iterable[str]] = ...) -> None: ...

class EmbeddingColumn(_message.Message):
    __slots__ = ("name", "dimension", "values", "float32", "float16", "int8", "int8_scales", "missing_rows")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    FLOAT32_FIELD_NUMBER: _ClassVar[int]
    FLOAT16_FIELD_NUMBER: _ClassVar[int]
    INT8_FIELD_NUMBER: _ClassVar[int]
    INT8_SCALES_FIELD_NUMBER: _ClassVar[int]
    MISSING_ROWS_FIELD_NUMBER: _ClassVar[int]
    name: str
    dimension: int
    values: _containers.RepeatedScalarFieldContainer[float]
    float32: bytes
    float16: bytes
    int8: bytes
    int8_scales: _containers.RepeatedScalarFieldContainer[float]
    missing_rows: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., dimension: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ..., float32: _Optional[bytes] = ..., float16: _Optional[bytes] = ..., int8: _Optional[bytes] = ..., int8_scales: _Optional[_Iterable[float]] = ..., missing_rows: _Optional[_Iterable[int]] = ...) -> None: ...

class AttributeColumn(_message.Message):
    __slots__ = ("name", "dictionary", "codes", "offsets", "probabilities", "numbers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DICTIONARY_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    dictionary: _containers.RepeatedScalarFieldContainer[str]
    codes: _containers.RepeatedScalarFieldContainer[int]
    offsets: _containers.RepeatedScalarFieldContainer[int]
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    numbers: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, name: _Optional[str] = ..., dictionary: _Optional[_Iterable[str]] = ..., codes: _Optional[_Iterable[int]] = ..., offsets: _Optional[_Iterable[int]] = ..., probabilities: _Optional[_Iterable[float]] = ..., numbers: _Optional[_Iterable[float]] = ...) -> None: ...
