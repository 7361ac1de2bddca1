"""Which key of a row, or which column, means what."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reranker.errors import FileViolation, InvalidInput


@dataclass(frozen=True, slots=True)
class Names:
    """Keys by what they are; None means the usual: `id`, `embedding`, and every other key as an attribute.

    Where embeddings or attributes are named, no other key is one. The main embedding is called "".
    """

    ids: str | None = None
    embeddings: Mapping[str, str] | None = None
    attributes: Mapping[str, str] | None = None

    @property
    def id_key(self) -> str:
        """The key of the id."""
        return "id" if self.ids is None else self.ids

    @property
    def embedding_keys(self) -> Mapping[str, str]:
        """Keys by the embedding's name."""
        return {"": "embedding"} if self.embeddings is None else self.embeddings

    def attribute_keys(self, present: Collection[str]) -> Mapping[str, str]:
        """Keys by the attribute's name, where these keys are there."""
        if self.attributes is not None:
            return self.attributes
        taken = {self.id_key, *self.embedding_keys.values()}
        return {key: key for key in present if key not in taken}

    def require(self, source: str, present: Collection[str], word: str) -> None:
        """Raise `InvalidInput` unless every key that was asked for by name is there, the id's included."""
        asked = {self.id_key, *(self.embeddings or {}).values(), *(self.attributes or {}).values()}
        absent = sorted(asked - set(present))
        if absent:
            known = ", ".join(sorted(present)[:20])
            raise InvalidInput(
                FileViolation(key, f"there is no such {word}; there are {known}", file=source) for key in absent
            )
