"""Hard bounds on one request's candidates: tables, tiers, look-ahead, and what became of each bound."""
