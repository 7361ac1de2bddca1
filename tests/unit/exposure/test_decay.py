from __future__ import annotations

import pytest

from reranker.exposure.decay import BUCKETS, bucket_of, remains, weight_of

DAY = 86_400.0


@pytest.mark.parametrize("age", [0.0, 1.0, 3_600.0, DAY, 10.3 * DAY])
@pytest.mark.parametrize("now", [1.8e9, 1.8e9 + 12_345.6])
def test_what_was_given_decays_by_half_in_a_half_life(now: float, age: float) -> None:
    given = now - age
    worth = weight_of(given, DAY) * remains(bucket_of(given, DAY), now, DAY)
    assert worth == pytest.approx(2.0 ** (-age / DAY), rel=1e-9)


def test_what_is_very_old_is_nothing() -> None:
    now = 1.8e9
    assert remains(bucket_of(now - BUCKETS * DAY, DAY), now, DAY) == 0.0


def test_what_a_clock_ahead_has_written_waits_until_its_time_has_come() -> None:
    ahead = 1.8e9 + 10 * DAY
    bucket = bucket_of(ahead, DAY)
    assert remains(bucket, 1.8e9, DAY) == 0.0
    assert remains(bucket, ahead, DAY) * weight_of(ahead, DAY) == pytest.approx(1.0)
