import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SlateImpression(_message.Message):
    __slots__ = ("request_id", "seen_slots", "time")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SEEN_SLOTS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    seen_slots: _containers.RepeatedScalarFieldContainer[int]
    time: _timestamp_pb2.Timestamp
    def __init__(self, request_id: _Optional[str] = ..., seen_slots: _Optional[_Iterable[int]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RecordImpressionsRequest(_message.Message):
    __slots__ = ("impressions",)
    IMPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    impressions: _containers.RepeatedCompositeFieldContainer[SlateImpression]
    def __init__(self, impressions: _Optional[_Iterable[_Union[SlateImpression, _Mapping]]] = ...) -> None: ...

class RecordImpressionsResponse(_message.Message):
    __slots__ = ("recorded", "repeated_ids", "unknown_ids")
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    REPEATED_IDS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_IDS_FIELD_NUMBER: _ClassVar[int]
    recorded: int
    repeated_ids: int
    unknown_ids: int
    def __init__(self, recorded: _Optional[int] = ..., repeated_ids: _Optional[int] = ..., unknown_ids: _Optional[int] = ...) -> None: ...
