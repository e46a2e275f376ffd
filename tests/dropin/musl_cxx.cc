// A C++ program for musl_test: musl_cxx good, mismatch, overflow, leak or double_free. With RUNTIME defined it is the
// library beside it, which stands in for a C++ library for musl: operator new and delete by malloc and free.
#ifdef RUNTIME

extern "C" void *malloc(decltype(sizeof 0) size);
extern "C" void free(void *block);

void *operator new(decltype(sizeof 0) size) {
  return malloc(size);
}

void *operator new[](decltype(sizeof 0) size) {
  return malloc(size);
}

void operator delete(void *block) noexcept {
  free(block);
}

void operator delete[](void *block) noexcept {
  free(block);
}

#else

extern "C" void free(void *block);

int main(int argc, char **argv) {
  char const how = argc > 1 ? argv[1][0] : 'g';
  int *volatile array = new int[4];
  if (how == 'o') {
    array[4] = 1;
  }
  if (how == 'm') {
    free(array);
  } else if (how == 'l') {
    array = nullptr;
  } else {
    delete[] array;
  }
  if (how == 'd') {
    delete[] array;
  }
  return 0;
}

#endif
