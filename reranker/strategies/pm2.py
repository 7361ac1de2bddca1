"""PM-2: (1 - delta) r_i + delta sum_c A(i, c) qt_c / max_c qt_c, with the quotients qt_c = p_c / (2 s_c + 1)."""

from __future__ import annotations

from reranker.kernels.aspects import PM2
from reranker.strategies.by_aspect import AspectStrategy


class Pm2Strategy(AspectStrategy):
    """Dang and Croft 2012: slots are seats, handed to aspects in proportion to what is wanted of them.

    A pick's seat is shared by the aspects that it carries, s_c += A(i, c) / sum_c A(i, c). The paper's lambda, the part
    of the aspect whose seat it is, is 1/2: relevance has a knob of its own here. Quotients are shares of the largest
    that a free candidate can claim, so the knob means the same in every slot. O(N a + C) a slot.
    """

    form = PM2
