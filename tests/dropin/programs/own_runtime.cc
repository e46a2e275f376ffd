// A library with a C++ runtime of its own, hidden: its operator new is malloc to everybody else.
#include <string>

extern "C" std::string *make_text() {
  return new std::string(100, 'x');
}

extern "C" void drop_text(std::string *text) {
  delete text;
}
