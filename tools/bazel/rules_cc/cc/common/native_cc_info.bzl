"""Bazel 4's own CcInfo, under a name that another file may give back."""

native_cc_info = CcInfo
