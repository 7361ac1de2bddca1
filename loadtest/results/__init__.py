"""What came of it: percentiles, series, costs, gates, and whether the generator is to be believed."""
