"""The generator: client processes that send every request when it is due, whatever became of those before it."""
