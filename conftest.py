"""Settings of hypothesis for every test: the same examples in each run, and many more for ./dev test long."""

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("long", max_examples=3000, stateful_step_count=200, deadline=None, print_blob=True)
settings.load_profile("same")
