import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from reranker.v1 import policy_pb2 as _policy_pb2
from reranker.v1 import routes_pb2 as _routes_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PolicyAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_ACTION_UNSPECIFIED: _ClassVar[PolicyAction]
    POLICY_ACTION_PUBLISHED: _ClassVar[PolicyAction]
    POLICY_ACTION_APPROVED: _ClassVar[PolicyAction]
    POLICY_ACTION_ROLLED_BACK: _ClassVar[PolicyAction]
POLICY_ACTION_UNSPECIFIED: PolicyAction
POLICY_ACTION_PUBLISHED: PolicyAction
POLICY_ACTION_APPROVED: PolicyAction
POLICY_ACTION_ROLLED_BACK: PolicyAction

class PolicyRecord(_message.Message):
    __slots__ = ("number", "previous", "action", "time", "actor", "name", "publication", "policy", "routes", "revision", "diff", "report_digest", "note")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PUBLICATION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIFF_FIELD_NUMBER: _ClassVar[int]
    REPORT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    number: int
    previous: bytes
    action: PolicyAction
    time: _timestamp_pb2.Timestamp
    actor: str
    name: str
    publication: int
    policy: _policy_pb2.Policy
    routes: _routes_pb2.Routes
    revision: str
    diff: _containers.RepeatedScalarFieldContainer[str]
    report_digest: str
    note: str
    def __init__(self, number: _Optional[int] = ..., previous: _Optional[bytes] = ..., action: _Optional[_Union[PolicyAction, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., name: _Optional[str] = ..., publication: _Optional[int] = ..., policy: _Optional[_Union[_policy_pb2.Policy, _Mapping]] = ..., routes: _Optional[_Union[_routes_pb2.Routes, _Mapping]] = ..., revision: _Optional[str] = ..., diff: _Optional[_Iterable[str]] = ..., report_digest: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...
