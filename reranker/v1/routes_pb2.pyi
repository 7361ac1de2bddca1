from reranker.v1 import policy_pb2 as _policy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Routes(_message.Message):
    __slots__ = ("routes",)
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    def __init__(self, routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("when", "salt", "arms")
    WHEN_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    when: _containers.RepeatedCompositeFieldContainer[_policy_pb2.Condition]
    salt: str
    arms: _containers.RepeatedCompositeFieldContainer[_policy_pb2.ValueShare]
    def __init__(self, when: _Optional[_Iterable[_Union[_policy_pb2.Condition, _Mapping]]] = ..., salt: _Optional[str] = ..., arms: _Optional[_Iterable[_Union[_policy_pb2.ValueShare, _Mapping]]] = ...) -> None: ...
