"""What a slate gave to the groups that a policy steers, where the policy did not make it: so that arms compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.bounded import bind
from reranker.engine.checks import check_request
from reranker.engine.lacking import lacking_violations
from reranker.engine.listing import list_candidates
from reranker.engine.page import first_page
from reranker.engine.seal import PROCESS
from reranker.engine.steer import Outlook
from reranker.exposure.tally import Served
from reranker.policy import Policy
from reranker.policy.compile import compiled


def exposure_given(
    candidates: Candidates, policy: Policy, positions: NDArray[np.int32], context: Context, arm: str
) -> tuple[Served, ...]:
    """What the candidates at `positions`, a first page, gave under the targets of `policy`; no price was in force.

    It is of the stream of `policy` and `arm`. Empty where the user narrowed the list or nothing is steered. Raises what
    `rerank` raises for candidates that the policy refuses. Costs what a plan of the policy's bounds costs.
    """
    rules = compiled(policy, len(positions))
    if not rules.exposure:
        return ()
    listing = list_candidates(policy, candidates, replace(context, cursor=b""), first_page(PROCESS))
    if listing.refined:
        return ()
    check_request(rules, listing.candidates, listing.context, len(positions), lacking_violations(rules, candidates))
    steer = bind(rules, listing, None, Outlook(None, arm)).steer
    ranks = np.empty(len(listing.order), np.int32)
    ranks[listing.order] = np.arange(len(ranks), dtype=np.int32)
    return steer.served(ranks[positions], 0, followed=False)
