"""The subjects of the conformance suite: those of RF_SUBJECTS in subjects.h, and the checkers behind them."""

# Each has a source of its name, and needs this beside subjects.h.
SOURCES = {
    "blockgroup": ["//lib/blocks:blockgroup_allocator"],
    "guard_small": [
        ":tlsf",
        "//checkers/guard_small",
    ],
    "handle": ["//lib/handles:handle_allocator"],
    "lock": [
        ":simple",
        ":std",
        ":tlsf",
        "//lib/decorators:lock",
    ],
    "memblocks": ["//lib/blocks:memblocks_allocator"],
    "memheap": ["//lib/heaps:memheap"],
    "mempool": ["//lib/blocks:mempool"],
    "oom": [
        ":tlsf",
        "//lib/decorators:oom",
        "//lib/heaps:tlsf",
    ],
    "pool": [
        ":tlsf",
        "//lib/decorators:pool",
        "//lib/heaps:tlsf",
    ],
    "simple": ["//lib/heaps:simple"],
    "sizeclass": [
        "//lib/heaps:sizeclass",
        "//lib/heaps:std",
    ],
    "slab": ["//lib/heaps:slab"],
    "smallmem": ["//lib/heaps:smallmem"],
    "std": ["//lib/heaps:std"],
    "tlsf": ["//lib/heaps:tlsf"],
}

# Subjects whose source has another name.
VARIANTS = {
    "lock_simple": "lock",
    "lock_std": "lock",
    "lock_tlsf": "lock",
    "memheap_of_three": "memheap",
    "sizeclass_fallback": "sizeclass",
}

CHECKERS = ["guard_small"]

# lock is one over another only.
SUBJECTS = sorted([name for name in SOURCES if name != "lock" and name not in CHECKERS] + VARIANTS.keys())
