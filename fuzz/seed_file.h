// Inputs for the program that replays them: loose files, folders, and seed files, which fuzz/seeds.py writes and
// describes.
#ifndef RINGFENCE_FUZZ_SEED_FILE_H
#define RINGFENCE_FUZZ_SEED_FILE_H

#include <string>
#include <vector>

namespace ringfence::fuzz {

struct Input {
  std::string name; // a path, FILE.seeds:LINE or FILE.seeds:NAME; each of them is an argument that selects this input
  std::string bytes;
};

// Appends the inputs that `argument` stands for: a folder, a loose file, FILE.seeds, FILE.seeds:LINE or
// FILE.seeds:NAME. Returns an empty string, or why an input cannot be read.
std::string read_inputs(const std::string &argument, std::vector<Input> *inputs);

} // namespace ringfence::fuzz

#endif
