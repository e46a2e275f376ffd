#include "seed_file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace ringfence::fuzz {
namespace {

namespace fs = std::filesystem;

const char kSuffix[] = ".seeds";
const char kEmptyInput[] = "=";

bool is_seed_file(const std::string &path) {
  size_t const length = strlen(kSuffix);
  return path.size() > length && path.compare(path.size() - length, length, kSuffix) == 0;
}

// The value of a base64 digit, or -1.
int digit(char c) {
  static const char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *const found = c != '\0' ? strchr(kDigits, c) : nullptr;
  return found != nullptr ? static_cast<int>(found - kDigits) : -1;
}

// False unless `text` is what an encoder makes of some bytes: whole groups of four, and unused bits are zero.
bool decode(const std::string &text, std::string *bytes) {
  if (text == kEmptyInput) {
    return true;
  }
  size_t const digits = text.find_last_not_of('=') + 1;
  size_t const padding = text.size() - digits;
  if (text.empty() || text.size() % 4 != 0 || padding > 2) {
    return false;
  }
  uint32_t pending = 0;
  unsigned bits = 0;
  for (size_t i = 0; i < digits; i++) {
    int const value = digit(text[i]);
    if (value < 0) {
      return false;
    }
    pending = pending << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes->push_back(static_cast<char>(pending >> bits & 0xff));
      pending &= (1U << bits) - 1;
    }
  }
  return pending == 0;
}

bool is_name(const std::string &name) {
  auto const is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

// `which` selects one input by line or name; all of them where it is empty.
std::string read_seed_file(const std::string &path, const std::string &which, std::vector<Input> *inputs) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  size_t number = 0;
  size_t const before = inputs->size();
  while (std::getline(file, line)) {
    std::string const here = std::to_string(++number);
    size_t const space = line.rfind(' ');
    bool const named = space != std::string::npos;
    std::string const name = named ? line.substr(0, space) : here;
    Input input{path + ":" + name, ""};
    if (!decode(named ? line.substr(space + 1) : line, &input.bytes)) {
      return path + ":" + here + ": invalid base64";
    }
    if (named && !is_name(name)) {
      return path + ":" + here + ": '" + name + "' is not a name";
    }
    if (which.empty() || which == here || which == name) {
      inputs->push_back(std::move(input));
    }
  }
  if (!file.eof()) {
    return "cannot read " + path;
  }
  if (number == 0) {
    return path + ": no inputs in this file";
  }
  return inputs->size() == before ? path + ": no line or name '" + which + "'" : "";
}

std::string read_file(const std::string &path, std::vector<Input> *inputs) {
  if (is_seed_file(path)) {
    return read_seed_file(path, "", inputs);
  }
  std::ifstream file(path, std::ios::binary);
  Input input{path, std::string(std::istreambuf_iterator<char>(file), {})};
  if (!file.is_open() || file.bad()) {
    return "cannot read " + path;
  }
  inputs->push_back(std::move(input));
  return "";
}

std::string read_folder(const std::string &folder, std::vector<Input> *inputs) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) {
      paths.push_back(it->path().string());
    }
  }
  if (error) {
    return "cannot read " + folder;
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string &path : paths) {
    std::string trouble = read_file(path, inputs);
    if (!trouble.empty()) {
      return trouble;
    }
  }
  return "";
}

} // namespace

std::string read_inputs(const std::string &argument, std::vector<Input> *inputs) {
  std::error_code error;
  if (fs::is_directory(argument, error)) {
    return read_folder(argument, inputs);
  }
  size_t const colon = argument.rfind(':');
  if (colon != std::string::npos && is_seed_file(argument.substr(0, colon)) && !fs::exists(argument, error)) {
    return read_seed_file(argument.substr(0, colon), argument.substr(colon + 1), inputs);
  }
  return read_file(argument, inputs);
}

} // namespace ringfence::fuzz
