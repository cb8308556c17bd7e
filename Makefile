# Postern is built by this one hand-written file. `make help` lists the targets; V=1 shows the commands.
#
#   CC, CFLAGS, CPPFLAGS, LDFLAGS, LDLIBS   added after our own flags, never replaced by them
#   PREFIX, DESTDIR                         where `make install` puts things (default /usr/local)
#   WERROR=0                                warnings do not stop the build
#   ALLOCATOR=                              the C library's malloc instead of jemalloc
#   VARIANT=asan|ubsan|tsan|...             the same targets in build/<variant>/ (see "Variants")
#   FUZZ_SECONDS, PYTEST_ARGS, J            duration of fuzz-NAME, pytest arguments, parallel jobs

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash -o pipefail

PREFIX ?= /usr/local
WERROR ?= 1
FUZZ_SECONDS ?= 60
PYTEST_ARGS ?=
J ?= $(shell nproc 2>/dev/null || echo 2)
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
VERSION := $(strip $(shell cat VERSION 2>/dev/null || echo 0.1.0))

Q := $(if $(V),,@)
# Said by make itself: a shell for each line would cost a tenth of a build from the cache.
say = $(if $(V),,$(info $(empty)  $(1)	$(2)))

# --- Variants: each has its own directory, compiler flags and run-time options -----------------------------------------
VARIANT ?=
SUFFIX := $(if $(VARIANT),-$(VARIANT))
BUILD := build$(if $(VARIANT),/$(VARIANT))
HARDEN := 1
OPT := -O2 -g
SAN :=
SANLINK = $(SAN)
ifeq ($(VARIANT),debug)
OPT := -Og -g3
else ifeq ($(VARIANT),clang)
override CC := clang
else ifeq ($(VARIANT),asan)
SAN := -fsanitize=address,undefined
OOM := 1
# gcc's two shared runtimes forget UBSAN_OPTIONS=log_path when they meet in one program; the static ones do not.
SANLINK = $(SAN) $(if $(findstring clang,$(CC)),,-static-libasan -static-libubsan)
else ifeq ($(VARIANT),ubsan)
SAN := -fsanitize=undefined
else ifeq ($(VARIANT),tsan)
SAN := -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
override CC := clang
SAN := -fsanitize=fuzzer-no-link,address,undefined
FUZZ_MAIN := -fsanitize=fuzzer
else ifeq ($(VARIANT),valgrind)
OPT := -O1 -g
HARDEN :=
else ifeq ($(VARIANT),cover)
OPT := -O0 -g --coverage
HARDEN :=
SANLINK := --coverage
else ifneq ($(VARIANT),)
$(error unknown VARIANT=$(VARIANT))
endif
ifneq ($(SAN),)
OPT := -O1 -g1 -fno-omit-frame-pointer
SAN += -fno-sanitize-recover=all
HARDEN :=
endif
ifneq ($(filter -O0,$(CFLAGS)),)
HARDEN :=
endif

# --- Flags -------------------------------------------------------------------------------------------------------------
# Of the daemon; sanitizers and valgrind bring their own. See malloc_conf in b2bua/base/mem.c.
ALLOCATOR ?= $(if $(SAN)$(filter valgrind,$(VARIANT)),,-ljemalloc)
# Each library is included from one folder only (scripts/check-layers); --as-needed drops what no code uses.
PKGS := libevent_core libevent_pthreads libssl libcrypto libmicrohttpd sqlite3 yaml-0.1 libsrtp2 libpcre2-8 libcurl jansson
ifneq ($(filter-out clean help fmt fmt-check check-layers check-size check-banned uninstall,$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) || echo PKG_CONFIG_FAILED)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS))
ifneq ($(filter -ljemalloc,$(ALLOCATOR)),)
PKG_CFLAGS += $(shell $(PKG_CONFIG) --cflags jemalloc || echo PKG_CONFIG_FAILED)
endif
ifneq ($(filter PKG_CONFIG_FAILED,$(PKG_CFLAGS)),)
$(error a library is missing: run scripts/setup)
endif
endif

MACHINE := $(shell uname -m)
CF_PROTECT := $(if $(filter x86_64 i%86,$(MACHINE)),-fcf-protection,$(if $(filter aarch64,$(MACHINE)),-mbranch-protection=standard))
WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wcast-align -Wpointer-arith
ifeq ($(WERROR),1)
WARN += -Werror
endif
CPP_ALL = -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' $(if $(HARDEN),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3) \
	-I. -Ib2bua $(PKG_CFLAGS) $(CPPFLAGS)
# Hidden: a function of ours must not take the place of a library's own of the same name, inside that library.
C_ALL = -std=c11 $(OPT) $(WARN) -pthread -fPIE -fno-common -fvisibility=hidden -fstack-protector-strong -fstack-clash-protection \
	$(CF_PROTECT) $(SAN) $(CFLAGS)
LD_ALL = -pthread -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack $(SANLINK) $(LDFLAGS)
LIBS = -Wl,--as-needed $(PKG_LIBS) $(LDLIBS)
# Some 150 test programs are linked in each variant: by mold where it is there, in a fifth of the time.
LD_TEST := $(if $(shell command -v mold 2>/dev/null),-fuse-ld=mold)

# --- Sources -----------------------------------------------------------------------------------------------------------
MAIN := $(wildcard b2bua/main.c)
NFT_MAIN := b2bua/nft/main.c
SRC := $(filter-out $(NFT_MAIN),$(sort $(wildcard b2bua/*/*.c sbc-policy/*.c admin-http/*.c admin-http/*/*.c)))
UNIT := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELP := $(filter-out $(UNIT),$(sort $(wildcard tests/unit/*.c)))
FLOW := $(sort $(wildcard tests/flow/test_*.c))
FLOW_HELP := $(filter-out $(FLOW),$(sort $(wildcard tests/flow/*.c))) tests/unit/tls_rig.c
FUZZ := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELP := $(filter-out $(FUZZ) tests/fuzz/driver.c,$(sort $(wildcard tests/fuzz/*.c)))
MICRO := $(sort $(wildcard tests/bench/micro_*.c))
FLOOD := tests/bench/flood.c
FLOOR := tests/bench/floor.c tests/bench/floor_rtp.c
BENCH := $(filter-out $(MICRO) $(FLOOD) $(FLOOR),$(sort $(wildcard tests/bench/*.c)))
# Files carried inside the binary: FOLDER/NAME.EXT becomes embed_NAME_EXT[] (NUL-terminated) and embed_NAME_EXT_len.
EMBED := $(sort $(wildcard b2bua/*/*.yaml b2bua/*/*.sql admin-http/*.yaml admin-http/*.json admin-http/console/*))
CODE := $(sort $(wildcard $(foreach d,b2bua sbc-policy admin-http tests,$(d)/*.[ch] $(d)/*/*.[ch])))

OBJ := $(SRC:%.c=$(BUILD)/obj/%.o) $(EMBED:%=$(BUILD)/obj/%.embed.o)
LIB := $(BUILD)/libpostern.a
BIN := $(BUILD)/postern
NFT_BIN := $(BUILD)/postern-nft
UNIT_BIN := $(UNIT:%.c=$(BUILD)/%)
FLOW_BIN := $(FLOW:%.c=$(BUILD)/%)
FUZZ_BIN := $(FUZZ:%.c=$(BUILD)/%)
OOM_OBJ := $(if $(OOM),$(BUILD)/obj/tests/oom/oom.o)
OOM_LINK := $(if $(OOM),$(foreach f,malloc calloc realloc,-Xlinker --wrap=$(f)))
objs = $(1:%.c=$(BUILD)/obj/%.o)

# --- Build -------------------------------------------------------------------------------------------------------------
.PHONY: all debug release lib tests
all: $(if $(MAIN),$(BIN) $(NFT_BIN),$(LIB)) ## build build/postern and its helper (release, hardened)
release: all
lib: $(LIB)
debug: ## build build/debug/postern (-Og)
	$(Q)$(MAKE) --no-print-directory VARIANT=debug all
tests: $(UNIT_BIN) $(FLOW_BIN) $(FUZZ_BIN) ## build all test programs, run none

# The stamp changes when the flags or the list of sources change, and only then.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(CPP_ALL) $(filter-out -Werror,$(C_ALL)) $(LD_ALL) $(LD_TEST) $(LIBS) $(ALLOCATOR))' '$(OBJ)' >$@.$$PPID
	@if cmp -s $@.$$PPID $@; then rm -f $@.$$PPID; else mv -f $@.$$PPID $@; fi
.PHONY: FORCE
FORCE:

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) -MMD -MP $(CPP_ALL) $(C_ALL) -c -o $@ $<

$(BUILD)/obj/%.embed.c: % Makefile
	@mkdir -p $(@D)
	@n='embed_$(subst .,_,$(subst -,_,$(*F)))'; \
	{ echo '#include <stddef.h>'; \
	  echo "extern const unsigned char $$n[]; extern const size_t $${n}_len;"; \
	  echo "const unsigned char $$n[] = {"; od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g'; echo '0};'; \
	  echo "const size_t $${n}_len = sizeof($$n) - 1;"; } >$@
$(BUILD)/obj/%.embed.o: $(BUILD)/obj/%.embed.c $(BUILD)/flags
	$(call say,EMBED,$*)
	$(Q)$(CC) $(CPP_ALL) $(C_ALL) -c -o $@ $<

$(LIB): $(OBJ) $(BUILD)/flags
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(OBJ)

$(BIN): $(call objs,$(MAIN)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(C_ALL) $(LD_ALL) -o $@ $^ $(LIBS) $(ALLOCATOR)

# The helper carries of the library what it uses: base/ and nft/. No other library is linked.
$(NFT_BIN): $(call objs,$(NFT_MAIN)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(C_ALL) $(LD_ALL) -o $@ $^

# Helpers come before the library, so that they can take a module's place.
define test_program
$(BUILD)/tests/$(1)/test_%: $(BUILD)/obj/tests/$(1)/test_%.o $(call objs,$(2)) $(OOM_OBJ) $(LIB)
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(C_ALL) $$(LD_ALL) $$(LD_TEST) $(OOM_LINK) -o $$@ $$^ -lcmocka $$(LIBS)
endef
$(eval $(call test_program,unit,$(UNIT_HELP)))
$(eval $(call test_program,flow,$(FLOW_HELP)))

$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(call objs,$(FUZZ_HELP)) \
		$(if $(FUZZ_MAIN),,$(BUILD)/obj/tests/fuzz/driver.o) $(LIB)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(C_ALL) $(LD_ALL) $(LD_TEST) $(FUZZ_MAIN) -o $@ $^ $(LIBS)

$(BUILD)/bench/micro_%: $(BUILD)/obj/tests/bench/micro_%.o $(LIB)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(C_ALL) $(LD_ALL) -o $@ $^ $(LIBS)

$(BUILD)/bench/flood: $(call objs,$(FLOOD))
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(C_ALL) $(LD_ALL) -o $@ $^

$(BUILD)/bench/floor $(BUILD)/bench/floor_rtp: $(BUILD)/bench/%: $(call objs,tests/bench/%.c)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(C_ALL) $(LD_ALL) -o $@ $^

$(BUILD)/bench/loadgen: $(call objs,$(BENCH))
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(C_ALL) $(LD_ALL) -o $@ $^ -lcrypto -lm

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# --- Tests -------------------------------------------------------------------------------------------------------------
RUN_TESTS = scripts/run-tests --jobs $(J) --logs $(BUILD)/log
RUNTIME := UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
	ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1
# A sanitizer report of a daemon under end-to-end test goes to a file: no test can overlook it.
E2E_REPORTS := $(abspath $(BUILD))/reports
E2E_RUNTIME := UBSAN_OPTIONS=print_stacktrace=1:log_path=$(E2E_REPORTS)/ubsan \
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:log_path=$(E2E_REPORTS)/tsan \
	ASAN_OPTIONS=strict_string_checks=1:detect_leaks=1:log_path=$(E2E_REPORTS)/asan

.PHONY: check test unit flow e2e test-oom asan ubsan tsan valgrind cover
test: unit flow fuzz-smoke ## unit + flow tests and the fuzz corpora
unit: $(UNIT_BIN) ## unit tests (cmocka)
	$(Q)$(RUNTIME) $(RUN_TESTS) unit$(SUFFIX) $(UNIT_BIN)
flow: $(FLOW_BIN) ## flow tests: fake transport, virtual clock
	$(Q)$(RUNTIME) $(RUN_TESTS) flow$(SUFFIX) $(FLOW_BIN)

e2e: all ## end-to-end tests: the real daemon in a network namespace of its own (PYTEST_ARGS=...)
	$(call say,E2E,$(BIN))
	@rm -rf $(E2E_REPORTS) && mkdir -p $(E2E_REPORTS)
	$(Q)$(E2E_RUNTIME) POSTERN_BIN=$(abspath $(BIN)) POSTERN_VARIANT=$(VARIANT) scripts/run-e2e \
		--junit $(abspath $(BUILD))/e2e --reports $(E2E_REPORTS) $(PYTEST_ARGS)

test-oom: ## unit and flow tests again, each with allocation n failing
	$(Q)$(MAKE) --no-print-directory VARIANT=asan oom-walk
.PHONY: oom-walk
oom-walk: $(UNIT_BIN) $(FLOW_BIN)
	$(Q)scripts/oom-walk --jobs $(J) --logs $(BUILD)/log $(UNIT_BIN) $(FLOW_BIN)

asan: ## unit, flow, corpora and end-to-end under AddressSanitizer + UBSan
	$(Q)$(MAKE) --no-print-directory VARIANT=asan unit flow fuzz-smoke e2e
ubsan: ## the same under UndefinedBehaviorSanitizer alone
	$(Q)$(MAKE) --no-print-directory VARIANT=ubsan unit flow fuzz-smoke e2e
tsan: ## the same under ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory VARIANT=tsan unit flow e2e
valgrind: ## unit and flow tests under valgrind: no errors, no leaks
	$(Q)$(MAKE) --no-print-directory VARIANT=valgrind valgrind-run
.PHONY: valgrind-run
valgrind-run: $(UNIT_BIN) $(FLOW_BIN)
	$(Q)$(RUN_TESTS) --timeout 600 --wrap "valgrind -q --leak-check=full --show-leak-kinds=definite,possible \
		--errors-for-leak-kinds=definite,possible --error-exitcode=99" valgrind $(UNIT_BIN) $(FLOW_BIN)
cover: ## line coverage of unit + flow, with a floor for sip, sdp, tx and policy
	$(Q)find build/cover -name '*.gcda' -delete 2>/dev/null || true
	$(Q)$(MAKE) --no-print-directory VARIANT=cover unit flow
	$(Q)scripts/cover build/cover/obj

# --- Fuzzing -----------------------------------------------------------------------------------------------------------
.PHONY: fuzz-smoke fuzz-build
fuzz-smoke: $(FUZZ_BIN) ## replay tests/fuzz/corpus/ through each fuzz target
	$(Q)$(RUNTIME) $(RUN_TESTS) --corpus tests/fuzz/corpus fuzz$(SUFFIX) $(FUZZ_BIN)
fuzz-build: $(FUZZ_BIN)
fuzz-%: ## fuzz-NAME: tests/fuzz/fuzz_NAME.c under libFuzzer for FUZZ_SECONDS
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz build/fuzz/tests/fuzz/fuzz_$*
	@mkdir -p build/fuzz/corpus/$* tests/fuzz/corpus/$*
	$(Q)build/fuzz/tests/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=2048 \
		-artifact_prefix=build/fuzz/$*- -print_final_stats=1 build/fuzz/corpus/$* tests/fuzz/corpus/$*

# --- Bench -------------------------------------------------------------------------------------------------------------
.PHONY: bench bench-srtp bench-policy bench-egress loadgen
loadgen: $(BUILD)/bench/loadgen
bench: all loadgen ## measure: one figure a line, NAME VALUE UNIT
	$(Q)POSTERN_BIN=$(abspath $(BIN)) LOADGEN=$(abspath $(BUILD)/bench/loadgen) $(PYTHON) tests/bench/run.py
.PHONY: bench-flood
bench-flood: all loadgen $(BUILD)/bench/flood ## calls of a peer while 100,000 packets/s of strangers come; a denied packet
	$(Q)POSTERN_BIN=$(abspath $(BIN)) LOADGEN=$(abspath $(BUILD)/bench/loadgen) $(PYTHON) tests/bench/flood.py
.PHONY: bench-peer
bench-peer: all loadgen $(BUILD)/bench/floor ## the cost of a call beside Kamailio's, in turns (needs scripts/setup --bench)
	$(Q)POSTERN_BIN=$(abspath $(BIN)) LOADGEN=$(abspath $(BUILD)/bench/loadgen) $(PYTHON) tests/bench/peer.py
bench-srtp: $(BUILD)/bench/micro_srtp ## SRTP alone: ns per packet, bytes per key pair, both engines
	$(Q)$<

bench-policy: $(BUILD)/bench/micro_policy ## measure: prefix look-up and a decision over 10,000 routes
	$(Q)$<
bench-egress: $(BUILD)/bench/micro_egress ## measure: the last look at an outgoing message
	$(Q)$<
.PHONY: bench-media
bench-media: all loadgen $(BUILD)/bench/floor_rtp ## the relay of media beside rtpengine, in turns (needs scripts/setup --bench)
	$(Q)POSTERN_BIN=$(abspath $(BIN)) LOADGEN=$(abspath $(BUILD)/bench/loadgen) $(PYTHON) tests/bench/media.py

# --- Rules -------------------------------------------------------------------------------------------------------------
.PHONY: fmt fmt-check lint tidy cppcheck check-layers check-size check-banned compile-both
check: fmt-check lint compile-both unit flow fuzz-smoke ## what to run before every commit
compile-both:
	$(Q)$(MAKE) --no-print-directory WERROR=1 all tests
	$(Q)$(MAKE) --no-print-directory WERROR=1 VARIANT=clang all tests
fmt: ## format the code with clang-format
	$(Q)$(if $(CODE),$(CLANG_FORMAT) -i $(CODE))
fmt-check: ## is the code formatted?
	$(call say,FMT,$(words $(CODE)) files)
	$(Q)$(if $(CODE),$(CLANG_FORMAT) --dry-run --Werror $(CODE))
lint: check-layers check-size check-banned tidy cppcheck ## clang-tidy, cppcheck and the house rules
check-layers check-size check-banned:
	$(call say,CHECK,$@)
	$(Q)scripts/$@

# One stamp per file: only what changed, or whose headers changed, is looked at again.
TIDY_OK := $(patsubst %,build/tidy/%.ok,$(filter %.c,$(CODE)))
tidy:
	$(Q)$(MAKE) --no-print-directory --keep-going -j$(J) --output-sync=target tidy-stamps
.PHONY: tidy-stamps
tidy-stamps: $(TIDY_OK)
	@:
build/tidy/%.c.ok: %.c .clang-tidy
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang -MM -MP -MT $@ -MF $(@:.ok=.d) -std=c11 $(CPP_ALL) $<
	$(Q)$(CLANG_TIDY) --quiet --warnings-as-errors='*' $< -- -std=c11 $(CPP_ALL) 2> >(grep -vE '^[0-9]+ warnings? ' >&2)
	@touch $@
-include $(TIDY_OK:.ok=.d)

# Suppressed: cppcheck 2.10 cannot parse a compound literal inside ?: (internalAstError), and cannot be told
# that an argument is NULL only when another one is an error (nullPointerRedundantCheck; clang-tidy follows paths).
cppcheck:
	$(call say,CPPCHECK,$(words $(SRC) $(MAIN) $(NFT_MAIN)) files)
	@mkdir -p build/cppcheck
	$(Q)$(if $(SRC),cppcheck --quiet --std=c11 --enable=warning --enable=portability --inline-suppr -j $(J) --error-exitcode=1 \
		--cppcheck-build-dir=build/cppcheck --suppress=internalAstError --suppress=nullPointerRedundantCheck \
		-D_GNU_SOURCE -I. -Ib2bua $(SRC) $(MAIN) $(NFT_MAIN))

# --- Install -----------------------------------------------------------------------------------------------------------
.PHONY: install uninstall clean help
INSTALLED := bin/postern bin/postern-nft share/doc/postern/README.md share/doc/postern/LICENSE
install: all ## install under $(DESTDIR)$(PREFIX)
	$(Q)install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/postern
	$(Q)install -D -m 0750 $(NFT_BIN) $(DESTDIR)$(PREFIX)/bin/postern-nft
	$(Q)install -D -m 0644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/postern/LICENSE
	$(Q)$(if $(wildcard README.md),install -D -m 0644 README.md $(DESTDIR)$(PREFIX)/share/doc/postern/README.md)
uninstall: ## remove what install put there
	$(Q)rm -f $(INSTALLED:%=$(DESTDIR)$(PREFIX)/%)
	$(Q)rmdir $(DESTDIR)$(PREFIX)/share/doc/postern 2>/dev/null || true
clean: ## remove build/
	$(Q)rm -rf build
help: ## this list
	@sed -n 's/^\([a-z%-][a-z0-9%-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | sed 's/^fuzz-%\tfuzz-NAME: /fuzz-NAME\t/' \
		| awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'
