"""What install.sh is given, by //tools:install and by the tests."""

INSTALL_FROM = [
    "command=$(rootpath //tools/ringfence)",
    "library=$(rootpath //checkers/dropin:ringfence)",
    "version=$(rootpath //:VERSION)",
    "license=$(rootpath //:LICENSE)",
    "cmake=$(rootpath //:cmake/RingfenceConfig.cmake.in)",
    "cmake_version=$(rootpath //:cmake/RingfenceConfigVersion.cmake.in)",
    "manual=$(rootpath //tools/install:manual.py)",
    "core=$(rootpath //tools/install:core.members)",
    "checkers=$(rootpath //tools/install:checkers.members)",
    "malloc=$(rootpath //tools/install:malloc.members)",
    "--",
]

INSTALL_DATA = [
    "//:LICENSE",
    "//:VERSION",
    "//:cmake/RingfenceConfig.cmake.in",
    "//:cmake/RingfenceConfigVersion.cmake.in",
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
