"""What was shown before and yet cannot count, for want of what the policy looks at: said, never dropped silently."""

from __future__ import annotations

from collections.abc import Iterator

from reranker.candidates import Candidates, EmbeddingColumn
from reranker.engine.aspects import aspect_attribute, looks_at_aspects
from reranker.engine.mix import main_embedding
from reranker.engine.page import Page
from reranker.policy.compile import CompiledPolicy
from reranker.texts import escaped

_RECENT, _PAGES = "recently shown items", "items of earlier pages"


def forgotten(rules: CompiledPolicy, candidates: Candidates, recent: Candidates, page: Page) -> tuple[str, ...]:
    """Notes on signals that no recently shown item, or no item of earlier pages, has, though the candidates have them.

    A label that some items lack is no more than unknown, and says nothing; so is a missing embedding.
    """
    return (*_embeddings(rules, candidates, recent, page), *_attributes(rules, candidates, recent, page))


def _embeddings(rules: CompiledPolicy, candidates: Candidates, recent: Candidates, page: Page) -> Iterator[str]:
    shown = page.embeddings() if page.shown else {}
    for name in _compared(rules, candidates):
        width = candidates.embeddings[name].matrix.shape[1]
        what = f"embedding {escaped(name)}" if name else "unnamed embedding"
        lacking = [_RECENT] if len(recent) and not _known(recent.embeddings.get(name), width) else []
        lacking += [_PAGES] if page.shown and not _known(shown.get(name), width) else []
        for who in lacking:
            yield f"{who} have no {what} of {width} numbers: they do not repel by it"


def _known(column: EmbeddingColumn | None, width: int) -> bool:
    return column is not None and column.matrix.shape[1] == width and bool(column.norms.any())


def _compared(rules: CompiledPolicy, candidates: Candidates) -> list[str]:
    """The names of the embeddings in which candidates are compared with what was shown before."""
    main = next(iter(candidates.embeddings)) if main_embedding(candidates) is not None else None
    names = [main] if main is not None and rules.similarity else []
    if _repels(rules):
        mixed = [signal.name for signal in rules.signals if signal.is_embedding]
        names += mixed if rules.signals else [main] if main is not None else []
    carried = candidates.embeddings
    return [name for name in dict.fromkeys(names) if name in carried and carried[name].norms.any()]


def _repels(rules: CompiledPolicy) -> bool:
    """Whether the strategy compares items with one another, and with those shown before."""
    blind = rules.window == 1 and rules.strategy in ("mmr", "dpp")
    return rules.strategy != "relevance" and rules.diversity > 0.0 and not looks_at_aspects(rules) and not blind


def _attributes(rules: CompiledPolicy, candidates: Candidates, recent: Candidates, page: Page) -> Iterator[str]:
    """Attributes by which what was shown before is counted or compared."""
    names = [block.attribute for block in rules.blocks if block.window is not None and block.window.window > 1]
    names += rules.soft_attributes
    names += rules.compared_attributes if _repels(rules) else ()
    aspect = aspect_attribute(rules, candidates)[0] if looks_at_aspects(rules) else ""
    names += [aspect] if aspect in rules.remembered_attributes else []
    for name in dict.fromkeys(names):
        column = recent.attributes.get(name)
        if name not in candidates.attributes or not len(recent):
            continue
        if column is None or not any(column.hard(rules.label_rule(name).threshold).listed()):
            yield f"{_RECENT} do not carry the attribute {escaped(name)}: what looks at it does not count them"
    if aspect and aspect not in rules.remembered_attributes:
        yield f"{' and '.join(_shown(recent, page))} count for no aspects: the policy names no attribute for them"


def _shown(recent: Candidates, page: Page) -> list[str]:
    return [who for who, some in ((_RECENT, len(recent)), (_PAGES, page.shown)) if some]
