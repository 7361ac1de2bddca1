"""What can be done: one rate, a sweep to the knee, a soak, a comparison, the generator alone."""
