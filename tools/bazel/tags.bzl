"""Tags of tests."""

# For tests that do the same whatever the build is: they run in one configuration.
RF_ONCE = [
    "no-asan",
    "no-m32",
    "no-tsan",
    "no-ubsan",
]
