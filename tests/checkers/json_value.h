// As much of a JSON parser as the tests need: strict, small, and not the one under test.
#ifndef RINGFENCE_TESTS_CHECKERS_JSON_VALUE_H
#define RINGFENCE_TESTS_CHECKERS_JSON_VALUE_H

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace ringfence {

class Json {
public:
  enum Kind { kNothing, kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

  Kind kind = kNothing;
  long long number = 0;
  std::string text; // of a string, escapes resolved; of a number, as written
  std::vector<Json> items;
  std::map<std::string, Json> members;

  // A member; one of kind kNothing where there is none.
  const Json &operator[](const std::string &name) const {
    static const Json nothing;
    auto const found = members.find(name);
    return found == members.end() ? nothing : found->second;
  }

  // False where `line` is not exactly one value and a line feed.
  static bool parse(const std::string &line, Json &out) {
    Parser parser = {line, 0};
    return parser.value(out) && parser.at + 1 == line.size() && line[parser.at] == '\n';
  }

private:
  struct Parser {
    const std::string &in;
    size_t at;

    bool take(const std::string &word) {
      if (in.compare(at, word.size(), word) != 0) {
        return false;
      }
      at += word.size();
      return true;
    }

    bool value(Json &out) {
      switch (at < in.size() ? in[at] : '\0') {
      case '{':
        return object(out);
      case '[':
        return array(out);
      case '"':
        out.kind = kString;
        return string(out.text);
      case 'n':
        out.kind = kNull;
        return take("null");
      case 't':
        out.kind = kTrue;
        return take("true");
      case 'f':
        out.kind = kFalse;
        return take("false");
      default:
        return number_value(out);
      }
    }

    bool number_value(Json &out) {
      size_t const start = at;
      at += at < in.size() && in[at] == '-' ? 1 : 0;
      size_t const digits = at;
      while (at < in.size() && in[at] >= '0' && in[at] <= '9') {
        at++;
      }
      bool const whole = at > digits && (in[digits] != '0' || at == digits + 1);
      if (at + 1 < in.size() && in[at] == '.') {
        for (at++; at < in.size() && in[at] >= '0' && in[at] <= '9'; at++) {
        }
      }
      out.kind = kNumber;
      out.text = in.substr(start, at - start);
      out.number = std::strtoll(out.text.c_str(), nullptr, 10);
      return whole && in[at - 1] != '.';
    }

    bool string(std::string &out) {
      for (at++; at < in.size() && in[at] != '"'; at++) {
        if (static_cast<unsigned char>(in[at]) < 0x20) {
          return false;
        }
        if (in[at] != '\\') {
          out += in[at];
        } else if (!escape(out)) {
          return false;
        }
      }
      return take("\"");
    }

    bool escape(std::string &out) {
      at++;
      if (at < in.size() && (in[at] == '"' || in[at] == '\\')) {
        out += in[at];
        return true;
      }
      if (at + 4 >= in.size() || in[at] != 'u') {
        return false;
      }
      out += "<" + in.substr(at + 1, 4) + ">";
      at += 4;
      return true;
    }

    bool array(Json &out) {
      out.kind = kArray;
      at++;
      while (!take("]")) {
        out.items.emplace_back();
        if ((out.items.size() > 1 && !take(",")) || !value(out.items.back())) {
          return false;
        }
      }
      return true;
    }

    bool object(Json &out) {
      out.kind = kObject;
      at++;
      while (!take("}")) {
        std::string name;
        if ((!out.members.empty() && !take(",")) || at >= in.size() || in[at] != '"' || !string(name) || !take(":") ||
            out.members.count(name) != 0 || !value(out.members[name])) {
          return false;
        }
      }
      return true;
    }
  };
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_JSON_VALUE_H
