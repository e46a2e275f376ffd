"""CcInfo, which newer Bazels no longer have as a global name."""

load(":native_cc_info.bzl", "native_cc_info")

CcInfo = native_cc_info
