"""What install.sh is given, by //tools:install and by the tests."""

INSTALL_FROM = [
    "command=$(rootpath //tools/ringfence)",
    "library=$(rootpath //checkers/dropin:ringfence)",
    "version=$(rootpath //:VERSION)",
    "license=$(rootpath //:LICENSE)",
    "cmake=$(rootpath //tools/cmake:RingfenceConfig.cmake.in)",
    "cmake_version=$(rootpath //tools/cmake:RingfenceConfigVersion.cmake.in)",
    "pkgconfig=$(rootpath //tools/cmake:ringfence.pc.in)",
    "manual=$(rootpath //tools/install:manual.py)",
    "core=$(rootpath //tools/install:core.members)",
    "checkers=$(rootpath //tools/install:checkers.members)",
    "malloc=$(rootpath //tools/install:malloc.members)",
    "--",
]

INSTALL_DATA = [
    "//:LICENSE",
    "//:VERSION",
    "//tools/cmake:RingfenceConfig.cmake.in",
    "//tools/cmake:RingfenceConfigVersion.cmake.in",
    "//tools/cmake:ringfence.pc.in",
    "//checkers/dropin:ringfence",
    "//tools/install:checkers",
    "//tools/install:checkers.members",
    "//tools/install:core",
    "//tools/install:core.members",
    "//tools/install:malloc",
    "//tools/install:malloc.members",
    "//tools/install:manual.py",
    "//tools/ringfence",
]

# The input of cmake_sources.sh.
_MEMBERS = ["//tools/install:%s.members" % name for name in ["core", "checkers", "malloc", "library", "command"]]

CMAKE_SOURCES = ["$(rootpath //tools/cmake:sources.cmake)"] + ["$(rootpath %s)" % members for members in _MEMBERS]

CMAKE_SOURCES_DATA = _MEMBERS + ["//tools/cmake:sources.cmake"]
