"""sh_binary as rules_shell gives it, for Bazel 4.2.3, where it is native."""

sh_binary = native.sh_binary
