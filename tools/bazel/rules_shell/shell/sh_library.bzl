"""sh_library as rules_shell gives it, for Bazel 4.2.3, where it is native."""

sh_library = native.sh_library
