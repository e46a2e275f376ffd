"""The arguments of install.sh, for //tools:install and the tests."""

INSTALL_FROM = [
    "command=$(rootpath //tools/ringfence)",
    "library=$(rootpath //checkers/dropin:ringfence)",
    "version=$(rootpath //:VERSION)",
    "license=$(rootpath //:LICENSE)",
    "cmake=$(rootpath //tools/cmake:RingfenceConfig.cmake.in)",
    "cmake_add_test=$(rootpath //tools/cmake:RingfenceAddTest.cmake)",
    "cmake_version=$(rootpath //tools/cmake:RingfenceConfigVersion.cmake.in)",
    "pkgconfig=$(rootpath //tools/cmake:ringfence.pc.in)",
    "manual=$(rootpath //tools/install:manual.py)",
    "gdb=$(rootpath //tools/gdb:ringfence.py)",
    "core=$(rootpath //tools/install:core.members)",
    "checkers=$(rootpath //tools/install:checkers.members)",
    "malloc=$(rootpath //tools/install:malloc.members)",
] + select({
    "//tools/bazel:i386": ["i386=$(rootpath //checkers/dropin:i386)"],
    "//conditions:default": [],
}) + select({
    "//tools/bazel:musl": ["musl=$(rootpath //checkers/dropin:musl)"],
    "//conditions:default": [],
}) + ["--"]

INSTALL_DATA = [
    "//:LICENSE",
    "//:VERSION",
    "//tools/cmake:RingfenceAddTest.cmake",
    "//tools/cmake:RingfenceConfig.cmake.in",
    "//tools/cmake:RingfenceConfigVersion.cmake.in",
    "//tools/cmake:ringfence.pc.in",
    "//checkers/dropin:ringfence",
    "//tools/gdb:ringfence.py",
    "//tools/install:checkers",
    "//tools/install:checkers.members",
    "//tools/install:completions.py",
    "//tools/install:core",
    "//tools/install:core.members",
    "//tools/install:malloc",
    "//tools/install:malloc.members",
    "//tools/install:manual.py",
    "//tools/ringfence",
] + select({
    "//tools/bazel:i386": ["//checkers/dropin:i386"],
    "//conditions:default": [],
}) + select({
    "//tools/bazel:musl": ["//checkers/dropin:musl"],
    "//conditions:default": [],
})

# The input of cmake_sources.sh.
_MEMBERS = ["//tools/install:%s.members" % name for name in [
    "core",
    "checkers",
    "malloc",
    "library",
    "command",
    "serve",
]]

CMAKE_SOURCES = ["$(rootpath //tools/cmake:sources.cmake)"] + ["$(rootpath %s)" % members for members in _MEMBERS]

CMAKE_SOURCES_DATA = _MEMBERS + ["//tools/cmake:sources.cmake"]

# The arguments of package.sh for the service.
SERVICE_FROM = [
    "serve=$(rootpath //tools/service:ringfence-serve)",
    "portable=$(rootpath //tools/service:portable)",
    "version=$(rootpath //:VERSION)",
    "license=$(rootpath //:LICENSE)",
    "unit=$(rootpath //docs:service/ringfence.service)",
    "manual=$(rootpath //tools/install:manual.py)",
    "--",
]

SERVICE_DATA = [
    "//:LICENSE",
    "//:VERSION",
    "//docs:service/ringfence.service",
    "//tools/install:completions.py",
    "//tools/install:manual.py",
    "//tools/service:portable",
    "//tools/service:ringfence-serve",
]
