"""The subjects of the conformance suite, by name: those of RF_SUBJECTS in subjects.h, and the checkers behind them."""

SUBJECTS = [
    "blockgroup",
    "handle",
    "lock_simple",
    "lock_std",
    "lock_tlsf",
    "memblocks",
    "memheap",
    "memheap_of_three",
    "mempool",
    "oom",
    "pool",
    "simple",
    "sizeclass",
    "sizeclass_fallback",
    "slab",
    "smallmem",
    "std",
    "tlsf",
]

CHECKERS = ["guard_small"]
