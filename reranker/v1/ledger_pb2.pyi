from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LedgerReceipt(_message.Message):
    __slots__ = ("time", "slots", "accounts")
    TIME_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    time: float
    slots: int
    accounts: _containers.RepeatedCompositeFieldContainer[LedgerAccount]
    def __init__(self, time: _Optional[float] = ..., slots: _Optional[int] = ..., accounts: _Optional[_Iterable[_Union[LedgerAccount, _Mapping]]] = ...) -> None: ...

class LedgerAccount(_message.Message):
    __slots__ = ("stream", "half_life", "before", "relevance", "values", "shares", "prices", "rows", "codes")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    stream: bytes
    half_life: float
    before: int
    relevance: _containers.RepeatedScalarFieldContainer[float]
    values: _containers.RepeatedScalarFieldContainer[str]
    shares: _containers.RepeatedScalarFieldContainer[float]
    prices: _containers.RepeatedScalarFieldContainer[float]
    rows: _containers.RepeatedScalarFieldContainer[int]
    codes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, stream: _Optional[bytes] = ..., half_life: _Optional[float] = ..., before: _Optional[int] = ..., relevance: _Optional[_Iterable[float]] = ..., values: _Optional[_Iterable[str]] = ..., shares: _Optional[_Iterable[float]] = ..., prices: _Optional[_Iterable[float]] = ..., rows: _Optional[_Iterable[int]] = ..., codes: _Optional[_Iterable[int]] = ...) -> None: ...
