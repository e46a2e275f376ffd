# For the makefile of a firmware: Ringfence as one object.
#
#   RINGFENCE := path/to/ringfence
#   RINGFENCE_PARTS := tlsf guard report       # tools/amalgamate.py --list names them
#   include $(RINGFENCE)/tools/amalgamate.mk
#   firmware.elf: $(RINGFENCE_OBJECT)
#   CFLAGS += -I$(RINGFENCE_BUILD)             # for #include "ringfence.h"
#
# The object is compiled with $(CC), $(CPPFLAGS), $(CFLAGS) and $(TARGET_ARCH), as yours are. RINGFENCE_FLAGS: --mode
# and the like, of tools/amalgamate.py. The header is made before anything is compiled, and `make` alone makes what it
# would without this file. Where `make clean all` removes the folder in between, objects of yours have to name the
# header: $(OBJECTS): | $(RINGFENCE_BUILD)/ringfence.h
RINGFENCE_GOAL := $(.DEFAULT_GOAL)
RINGFENCE_BUILD ?= ringfence-build
RINGFENCE_FLAGS ?= --mode guard --no-malloc
RINGFENCE_OBJECT := $(RINGFENCE_BUILD)/ringfence.o

# Made again where the parts, the flags or a source of Ringfence's have changed.
$(shell mkdir -p $(RINGFENCE_BUILD))
ifneq ($(shell cat $(RINGFENCE_BUILD)/words 2>/dev/null),$(RINGFENCE_FLAGS) $(RINGFENCE_PARTS))
$(shell echo '$(RINGFENCE_FLAGS) $(RINGFENCE_PARTS)' >$(RINGFENCE_BUILD)/words)
endif

# It is there, unless a goal before removed the folder.
$(RINGFENCE_BUILD)/words:
	mkdir -p $(RINGFENCE_BUILD)
	echo '$(RINGFENCE_FLAGS) $(RINGFENCE_PARTS)' >$@

$(RINGFENCE_BUILD)/ringfence.c: $(RINGFENCE_BUILD)/words $(RINGFENCE)/tools/amalgamate.py \
    $(shell find $(RINGFENCE)/VERSION $(RINGFENCE)/lib $(RINGFENCE)/checkers -name VERSION -o -name '*.[ch]' \
      -o -name '*.inc' -o -name BUILD.bazel)
	python3 $(RINGFENCE)/tools/amalgamate.py $(RINGFENCE_FLAGS) $(RINGFENCE_PARTS) $(RINGFENCE_BUILD)

$(RINGFENCE_BUILD)/ringfence.h: $(RINGFENCE_BUILD)/ringfence.c

$(RINGFENCE_OBJECT): $(RINGFENCE_BUILD)/ringfence.c
	$(CC) $(CPPFLAGS) $(CFLAGS) $(TARGET_ARCH) -std=c11 -c -o $@ $<

# A file that is included is made before all others: no object of the program's has to name ringfence.h. Not where the
# folder is to be removed: make takes what it made in the beginning as made until it ends.
$(RINGFENCE_BUILD)/made.mk: $(RINGFENCE_BUILD)/ringfence.h
	touch $@
ifeq ($(filter %clean,$(MAKECMDGOALS)),)
include $(RINGFENCE_BUILD)/made.mk
endif

.DEFAULT_GOAL := $(RINGFENCE_GOAL)
