// The library that the compiler's C++ headers need, where there is none for the board: memory, errors, strings and the
// trees below std::map and std::set. Without exceptions an error ends the program.
#include "tests/board/board.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <new>
#include <string>

// ---- Memory ----

// Aligned for any type, as not every malloc does (picolibc 1.8 on RISC-V). Before the block stands what malloc gave.
void *operator new(std::size_t size) {
  constexpr std::size_t kAlign = alignof(std::max_align_t);
  void *const given = std::malloc(size + 2 * kAlign);
  if (given == nullptr) {
    board_say("no memory left\n");
    board_end(1);
  }
  auto const block = (reinterpret_cast<std::uintptr_t>(given) + 2 * kAlign - 1) / kAlign * kAlign;
  reinterpret_cast<void **>(block)[-1] = given;
  return reinterpret_cast<void *>(block);
}

void *operator new[](std::size_t size) {
  return operator new(size);
}

void operator delete(void *p) noexcept {
  if (p != nullptr) {
    std::free(static_cast<void **>(p)[-1]);
  }
}

void operator delete[](void *p) noexcept {
  operator delete(p);
}

void operator delete(void *p, std::size_t) noexcept {
  operator delete(p);
}

void operator delete[](void *p, std::size_t) noexcept {
  operator delete(p);
}

extern "C" [[noreturn]] void __cxa_pure_virtual() {
  board_say("a pure virtual function\n");
  board_end(1);
}

template class std::basic_string<char>;

namespace std {

// ---- Errors ----

[[noreturn]] static void end_with(const char *what) {
  board_say(what);
  board_say("\n");
  board_end(1);
}

void __throw_bad_alloc() {
  end_with("bad_alloc");
}

void __throw_bad_array_new_length() {
  end_with("bad_array_new_length");
}

void __throw_bad_function_call() {
  end_with("bad_function_call");
}

void __throw_length_error(const char *what) {
  end_with(what);
}

void __throw_logic_error(const char *what) {
  end_with(what);
}

void __throw_out_of_range(const char *what) {
  end_with(what);
}

void __throw_out_of_range_fmt(const char *what, ...) {
  end_with(what);
}

// ---- Trees: searched as any, and not balanced, which a test has no need of ----

using Node = _Rb_tree_node_base;

// The first or last node below, or the next one above that is on the other side: of the header, whose children are the
// first and the last node and whose parent is the root.
static Node *step(Node *x, Node *Node::*toward, Node *Node::*back) {
  if (x->*toward != nullptr) {
    for (x = x->*toward; x->*back != nullptr;) {
      x = x->*back;
    }
    return x;
  }
  Node *above = x->_M_parent;
  while (x == above->*toward) {
    x = above;
    above = above->_M_parent;
  }
  return x->*toward != above ? above : x;
}

Node *_Rb_tree_increment(Node *x) noexcept {
  return step(x, &Node::_M_right, &Node::_M_left);
}

const Node *_Rb_tree_increment(const Node *x) noexcept {
  return step(const_cast<Node *>(x), &Node::_M_right, &Node::_M_left);
}

static bool is_header(const Node *x) {
  return x->_M_color == _S_red && x->_M_parent->_M_parent == x;
}

Node *_Rb_tree_decrement(Node *x) noexcept {
  return is_header(x) ? x->_M_right : step(x, &Node::_M_left, &Node::_M_right);
}

const Node *_Rb_tree_decrement(const Node *x) noexcept {
  return _Rb_tree_decrement(const_cast<Node *>(x));
}

void _Rb_tree_insert_and_rebalance(bool left, Node *x, Node *parent, Node &header) noexcept {
  x->_M_parent = parent;
  x->_M_left = x->_M_right = nullptr;
  x->_M_color = _S_black; // the header alone is red
  if (left) {
    parent->_M_left = x; // of the header: the first node
    if (parent == &header) {
      header._M_parent = header._M_right = x;
    } else if (parent == header._M_left) {
      header._M_left = x;
    }
  } else {
    parent->_M_right = x;
    if (parent == header._M_right) {
      header._M_right = x;
    }
  }
}

static void replace(Node *x, Node *with, Node &header) {
  if (header._M_parent == x) {
    header._M_parent = with;
  } else if (x->_M_parent->_M_left == x) {
    x->_M_parent->_M_left = with;
  } else {
    x->_M_parent->_M_right = with;
  }
  if (with != nullptr) {
    with->_M_parent = x->_M_parent;
  }
}

Node *_Rb_tree_rebalance_for_erase(Node *x, Node &header) noexcept {
  if (header._M_left == x) {
    header._M_left = x->_M_right == nullptr && x->_M_parent == &header ? &header : _Rb_tree_increment(x);
  }
  if (header._M_right == x) {
    header._M_right = x->_M_left == nullptr && x->_M_parent == &header ? &header : _Rb_tree_decrement(x);
  }
  if (x->_M_left == nullptr || x->_M_right == nullptr) {
    replace(x, x->_M_left != nullptr ? x->_M_left : x->_M_right, header);
    return x;
  }
  Node *const next = _Rb_tree_increment(x);
  replace(next, next->_M_right, header);
  replace(x, next, header);
  next->_M_left = x->_M_left;
  next->_M_right = x->_M_right;
  for (Node *child : {next->_M_left, next->_M_right}) {
    if (child != nullptr) {
      child->_M_parent = next;
    }
  }
  return x;
}

} // namespace std
