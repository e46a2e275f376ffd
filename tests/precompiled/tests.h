/* Headers that most tests include. They are compiled once, for that takes longer than most tests by themselves. */
#ifndef RINGFENCE_TESTS_PRECOMPILED_TESTS_H
#define RINGFENCE_TESTS_PRECOMPILED_TESTS_H

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#endif
