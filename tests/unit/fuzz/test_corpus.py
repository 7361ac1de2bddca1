"""Requests that fuzzing found worth keeping, in this process and without Atheris: always a status code."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from fuzz import corpus
from fuzz.house import TARGETS, House
from fuzz.mutation import Mutator
from fuzz.seeds import REQUESTS, seeds
from reranker.v1.reranker_service_pb2 import RerankRequest

MOST_BYTES = 1_000_000
MUTATED = 400


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # from arithmetic: a number that is none
        yield House(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_is_answered(house: House, target: str) -> None:
    kept = corpus.read(target)
    codes = Counter(house.answer(target, data) for data in kept.values())
    assert codes.total() == len(kept) > 0
    assert codes["OK"]
    assert codes["INVALID_ARGUMENT"]


@pytest.mark.parametrize("target", TARGETS)
def test_some_mutations_more_are_answered(house: House, target: str) -> None:
    sound = seeds()[TARGETS[target]]
    mutator = Mutator(Random(20), REQUESTS[TARGETS[target]], sound)
    codes = Counter(house.answer(target, mutator.mutate(mutator.seed())) for _ in range(MUTATED))
    assert codes.total() == MUTATED


def test_the_corpus_is_small() -> None:
    assert sum(file.stat().st_size for file in corpus.FOLDER.iterdir()) <= MOST_BYTES


def test_the_same_seed_mutates_alike() -> None:
    sound = seeds()[TARGETS["Rerank"]]
    one, other = (Mutator(Random(3), RerankRequest, sound) for _ in range(2))
    assert [one.mutate(sound[0]) for _ in range(50)] == [other.mutate(sound[0]) for _ in range(50)]


def sound() -> RerankRequest:
    return RerankRequest.FromString(seeds()[TARGETS["Rerank"]][0])


def test_an_empty_slate_has_nobody_who_falls(house: House) -> None:
    request = sound()
    request.slate_size = 0
    request.inline_policy.placement.max_fall = 3
    request.inline_policy.quotas.add(attribute="genre").min_count.add(value="noir", count=1)
    assert house.answer("Rerank", request.SerializeToString()) == "OK"


def test_a_drawn_slate_is_explained_where_nobody_carries_what_decays(house: House) -> None:
    request = sound()
    request.explain = True
    request.inline_policy.Clear()
    request.inline_policy.name = "drawn"
    request.inline_policy.objective.sample = True
    request.inline_policy.decays.add(attribute="nobody", factor=0.5, floor=0.1)
    for seed in range(20):
        request.context.seed = seed
        assert house.answer("Rerank", request.SerializeToString()) == "OK"


def test_shares_of_next_to_nothing_have_measures(house: House) -> None:
    request = sound()
    request.measures = True
    for target in request.context.targets:
        target.shares[0].share = float(np.nextafter(0.0, 1.0))
    assert house.answer("Rerank", request.SerializeToString()) == "OK"
