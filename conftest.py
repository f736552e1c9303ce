"""Settings of hypothesis for every test: the same examples in each run, and many others for ./dev test long, which
takes about an hour with them on two cores. None is about time, which a busy machine has less of.
"""

from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow]
settings.register_profile(
    "same", derandomize=True, deadline=None, database=None, print_blob=True, suppress_health_check=slow
)
settings.register_profile(
    "long", max_examples=1000, stateful_step_count=60, deadline=None, print_blob=True, suppress_health_check=slow
)
settings.load_profile("same")
