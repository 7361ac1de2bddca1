import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from reranker.v1 import reranker_service_pb2 as _reranker_service_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RequestLog(_message.Message):
    __slots__ = ("metadata", "request", "response")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    metadata: RequestLogMetadata
    request: _reranker_service_pb2.RerankRequest
    response: _reranker_service_pb2.RerankResponse
    def __init__(self, metadata: _Optional[_Union[RequestLogMetadata, _Mapping]] = ..., request: _Optional[_Union[_reranker_service_pb2.RerankRequest, _Mapping]] = ..., response: _Optional[_Union[_reranker_service_pb2.RerankResponse, _Mapping]] = ...) -> None: ...

class RequestLogMetadata(_message.Message):
    __slots__ = ("time", "sampling_rate", "origin", "kind", "request_hash", "tenant")
    TIME_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_RATE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HASH_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    sampling_rate: float
    origin: str
    kind: str
    request_hash: bytes
    tenant: str
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sampling_rate: _Optional[float] = ..., origin: _Optional[str] = ..., kind: _Optional[str] = ..., request_hash: _Optional[bytes] = ..., tenant: _Optional[str] = ...) -> None: ...
