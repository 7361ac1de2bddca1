"""What stops a load test before it has figures."""


class LoadtestError(Exception):
    """A scenario, a flag or the environment is wrong; the text says what and where."""


class GeneratorFailed(Exception):
    """A client process died or fell silent; there are no figures."""
