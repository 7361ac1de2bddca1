"""Messages to the engine's own types and back; every check here is on whole columns and reports every violation."""

from reranker.codec.answer import encode_slate
from reranker.codec.request import DecodedRequest, decode_request, in_words_of_the_wire

__all__ = ["DecodedRequest", "decode_request", "encode_slate", "in_words_of_the_wire"]
