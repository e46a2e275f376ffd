// A profile in pprof's form, as a text: its fields by the numbers of profile.proto, messages in braces.
#ifndef RINGFENCE_TESTS_TOOLS_PPROF_TEXT_H
#define RINGFENCE_TESTS_TOOLS_PPROF_TEXT_H

#include <cstdint>
#include <string>

namespace ringfence_test {

inline uint64_t take_varint(const std::string &data, size_t *at) {
  uint64_t value = 0;
  for (unsigned shift = 0; *at < data.size(); shift += 7) {
    unsigned char const byte = static_cast<unsigned char>(data[(*at)++]);
    value |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128) {
      break;
    }
  }
  return value;
}

// `number` is that of the message in a profile; 0: the profile itself.
inline std::string text_of_message(const std::string &data, uint64_t number) {
  std::string out;
  for (size_t at = 0; at < data.size();) {
    uint64_t const tag = take_varint(data, &at);
    out += (number == 0 || out.empty() ? "" : " ") + std::to_string(tag >> 3) + ":";
    if ((tag & 7) == 0) {
      out += std::to_string(take_varint(data, &at)) + (number == 0 ? "\n" : "");
      continue;
    }
    auto const size = static_cast<size_t>(take_varint(data, &at));
    std::string const bytes = data.substr(at, size);
    at += size;
    if (number == 0 && tag >> 3 == 6) {
      out += "\"" + bytes + "\"";
    } else if (number == 2) { // of a sample: packed numbers
      out += "[";
      for (size_t k = 0; k < bytes.size();) {
        out += k == 0 ? "" : ",";
        out += std::to_string(take_varint(bytes, &k));
      }
      out += "]";
    } else {
      out += "{" + text_of_message(bytes, tag >> 3) + "}";
    }
    out += number == 0 ? "\n" : "";
  }
  return out;
}

// The text of a file that is stored in one block.
inline std::string pprof_text(const std::string &file) {
  return text_of_message(file.substr(15, file.size() - 15 - 8), 0);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_TOOLS_PPROF_TEXT_H
