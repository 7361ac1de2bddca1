"""What explanations say of sensitive attributes, kept from callers without the permission to see it."""

from __future__ import annotations

from reranker.policy import Policy
from reranker.policy.blocks import intersections
from reranker.v1 import reranker_service_pb2

WITHHELD = "not shown: it may name values of a sensitive attribute, and the caller has no permission for these"
INTERSECTION = "an intersection"


def withhold(response: reranker_service_pb2.RerankResponse, policy: Policy, *, trusted: bool) -> None:
    """Take the sentences of explanations away, and from their bounds the values of attributes that are sensitive.

    A policy that is not `trusted`, because a caller made it, does not say what is sensitive: then all is. Counts over
    the whole slate (quota outcomes, measures) stay: they say nothing of a single item.
    """
    sensitive = {labels.attribute for labels in policy.message.labels.attributes if labels.sensitive}
    if trusted and not sensitive:
        return
    crossed = {
        subject: {attribute for attribute, _ in where} for subject, where in intersections(policy.message).items()
    }
    for explanation in response.explanations:
        explanation.text = WITHHELD
        for influence in explanation.forced_by:
            attributes = crossed.get(influence.attribute, {influence.attribute})
            if trusted and not attributes & sensitive:
                continue
            influence.ClearField("value")
            if influence.attribute in crossed:  # its name is its conditions, in words
                influence.attribute = INTERSECTION
