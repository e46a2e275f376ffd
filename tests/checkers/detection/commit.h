// The code that commits each bug and, where the scene is not bad, does the same correctly.
#ifndef RINGFENCE_TESTS_CHECKERS_DETECTION_COMMIT_H
#define RINGFENCE_TESTS_CHECKERS_DETECTION_COMMIT_H

#include "tests/checkers/detection/scene.h"

namespace ringfence::detection {

void write_outside(Scene &scene);
void read_outside(Scene &scene);
void overwrite_header(Scene &scene);
void write_after_free(Scene &scene);
void read_after_free(Scene &scene);
void read_uninitialised(Scene &scene);
void double_free(Scene &scene);
void free_inside(Scene &scene);
void free_stack(Scene &scene);
void free_global(Scene &scene);
void free_elsewhere(Scene &scene);
void leak(Scene &scene);
void overflowing_product(Scene &scene);
void negative_size(Scene &scene);
void bad_alignment(Scene &scene);
void use_after_deinit(Scene &scene);
void free_in_a_walk(Scene &scene);

} // namespace ringfence::detection

#endif // RINGFENCE_TESTS_CHECKERS_DETECTION_COMMIT_H
