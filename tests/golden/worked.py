"""The worked policies on real lists. Where no open data has a policy's attribute, another real one stands in for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import examples
from reranker.candidates import AttributeColumn, Candidates
from reranker.context import Context
from reranker.policy import Policy
from tests.golden.recorded import corpus, recorded

POLICIES = Path(examples.__path__[0]).parent / "policies"


@dataclass(frozen=True)
class Worked:
    """One policy, the lists that it is tried on, and who stands in for whom: attribute -> (real one, new values)."""

    name: str
    corpus: str
    kinds: tuple[str, ...]
    slots: int
    stands_in: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    advertised: tuple[int, ...] = ()  # slots that are sold; the items come from the end of the list
    step: int = 1

    @property
    def policy(self) -> Policy:
        """The policy as its file says."""
        return Policy.from_toml(POLICIES / f"{self.name}.toml")

    def requests(self) -> Iterator[tuple[Candidates, Context]]:
        """Candidates and context of every request."""
        targets = self._targets()
        for request in recorded(self.corpus, *self.kinds, step=self.step):
            own = request.candidates
            columns = dict(own.attributes)
            for name, (real, values) in self.stands_in.items():
                column = columns[real]
                renamed = tuple(values.get(value, value) for value in column.values)
                columns[name] = AttributeColumn(renamed, column.codes, column.offsets)
            candidates = Candidates(own.ids, own.scores, {"text": own.embeddings[""].matrix}, columns)
            order = request.order.tolist()
            sold = {slot: own.ids[order[-at]] for at, slot in enumerate(self.advertised, start=1)}
            yield candidates, Context(fixed=sold, targets=targets.get(request.id, {}))

    def _targets(self) -> dict[str, dict[str, dict[str, float]]]:
        """By request, the shares that its context names."""
        found = {}
        for record in corpus(self.corpus).records(*self.kinds):
            request = record.request
            found[request.request_id] = {
                target.attribute: {share.value: share.share for share in target.shares}
                for target in request.context.targets
            }
        return found


_HAIR = {"cool": "straight", "warm": "wavy", "olive": "curly", "neutral": "coily"}
_BODY = {"full_coverage": "plus", "radiant": "curve"}

WORKED = [
    Worked("skin-tone-range", "shades", ("text_search",), 10),
    Worked("inclusive-search", "shades", ("text_search",), 10),
    Worked("hair-pattern", "shades", ("text_search",), 12, {"hair_pattern": ("undertone", _HAIR)}),
    Worked("body-type", "shades", ("text_search",), 10, {"body_type": ("finish", _BODY)}, step=2),
    Worked("occupation-balance", "occupations", ("serp", "title_search"), 10),
    Worked("occupation-statistics", "occupations", ("serp", "title_search"), 10),
    Worked("generated-images", "occupations", ("serp", "title_search"), 12),
    Worked("creator-cap", "books", ("user_home",), 10),
    Worked("home-mix", "books", ("user_home",), 10),
    Worked("reading-rhythm", "books", ("user_home",), 10),
    Worked("genre-mix", "books", ("user_home",), 10),
    Worked(
        "brand-and-price",
        "books",
        ("text_search",),
        20,
        {"brand": ("creator", {}), "price_tier": ("popularity_tier", {})},
    ),
    Worked("tone-exposure", "shades", ("text_search",), 10),
    Worked("ad-slots", "shades", ("text_search",), 12, advertised=(3, 8), step=2),
]
