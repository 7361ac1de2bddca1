"""Texts that recur, by number: what Arrow and NumPy can sort and repeat without Python."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reranker.replay.segments import Indices


class Vocabulary:
    """Texts by number in the order in which they came; the empty text is 0."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    @property
    def texts(self) -> list[str]:
        """Every text so far, at its number."""
        return list(self._numbers)

    def number(self, text: str) -> int:
        """The number of a text, a new one where it is new."""
        return self._numbers.setdefault(text, len(self._numbers))

    def numbers(self, texts: Iterable[str]) -> Indices:
        """The number of each text."""
        return np.array([self.number(text) for text in texts], np.intp)

    def joined(self, left: Indices, right: Indices, between: str) -> Indices:
        """The numbers of pairs of texts, `between` standing between the two."""
        own = self.texts
        pairs, at = np.unique(left * len(own) + right, return_inverse=True)
        first, second = np.divmod(pairs, len(own))
        words = [f"{own[one]}{between}{own[other]}" for one, other in zip(first.tolist(), second.tolist(), strict=True)]
        return self.numbers(words)[at]

    def ranks(self) -> Indices:
        """The place of each text, at its number, in alphabetical order."""
        texts = self.texts
        ranks = np.empty(len(texts), np.intp)
        ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
        return ranks
