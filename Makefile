# Shorthands; CMakeLists.txt is where things are built, .ci/ where they are tested.
#
#   make          builds build/troupe
#   make run      ... with what it needs, and runs the first example
#   make test     every test there is, ending with "N passed, N failed"
#   make fuzz     the fuzz targets of fuzz/, FUZZ_SECONDS=60 each (with clang)
#   make deps     installs the packages all this needs (Debian, Ubuntu)
#   make debug|asan|tsan    the other builds, in build-debug, build-asan, build-tsan
#   make bench    measures
#   make install  to /usr/local, or PREFIX=/somewhere, or DESTDIR=...
.PHONY: release debug asan tsan run test fuzz deps bench install clean
.DEFAULT_GOAL := release

release debug asan tsan:
	@cmake --preset $@ --log-level=WARNING $(if $(PREFIX),-DCMAKE_INSTALL_PREFIX=$(PREFIX))
	@cmake --build --preset $@

run: deps
	@$(MAKE) --no-print-directory release
	build/troupe run examples/ping_pong.lua

test: deps
	@.ci/test

fuzz:
	@.ci/deps fuzz
	@.ci/fuzz

deps:
	@.ci/deps

bench: release
	@bench/run

install: release
	cmake --install build

clean:
	rm -rf build build-debug build-asan build-tsan build-fuzz
