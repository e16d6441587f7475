# Everything a contributor needs; `make` alone lists it. Works with GNU make 3.81 and later.

SWIFT = swift
# Swift 6.4's new build system refuses this flag as soon as there are dependencies.
STRICT = --build-system native -Xswiftc -warnings-as-errors
# SwiftPM passes traits to the compiler in the order of a set, which is another in each process: without this it builds
# everything again whenever it plans anew.
export SWIFT_DETERMINISTIC_HASHING = 1
# In a checkout all traits are on: see Package.swift.
TRAITS = $(if $(findstring /checkouts/,$(CURDIR))$(findstring /registry/,$(CURDIR)),--enable-all-traits)
SWIFT_SOURCES = Package.swift Sources Tests Examples Fuzz Benchmarks/Package.swift Benchmarks/Sources/lock-bench

.PHONY: help build install generated deb deb-test image-test api docs docs-preview test test-matrix simulation demo examples alerts bench traits chaos endure model mutants tsan asan fuzz lint format clean dependencies library swift

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s%s\n", $$1, $$2 }' Makefile

build: dependencies ## build for debugging and for release, with warnings as errors, and without traits; test some of the latter
	$(SWIFT) build --scratch-path .build-strict $(STRICT) $(TRAITS) --build-tests
	$(SWIFT) build --scratch-path .build-strict $(STRICT) $(TRAITS) -c release
	$(SWIFT) build --scratch-path .build-strict $(STRICT) --disable-default-traits --build-tests
	$(SWIFT) test --scratch-path .build-strict $(STRICT) --disable-default-traits --skip-build --no-parallel \
	  --filter '^AsyncRedisLockTests\.(URL|Secret|Lock)Tests/'

install: library ## build redis-lock and install it under PREFIX=/usr/local, with its man page and completions
	SWIFT=$(SWIFT) STATIC=$(STATIC) Packaging/install "$(DESTDIR)$(or $(PREFIX),/usr/local)"

generated: dependencies ## generate the man page and the completions of redis-lock anew, for the repository
	$(SWIFT) build $(TRAITS) --product redis-lock
	Packaging/generate "$$($(SWIFT) build $(TRAITS) --show-bin-path)/redis-lock"

deb: library ## build a Debian package of redis-lock, for this architecture
	SWIFT=$(SWIFT) Packaging/deb

deb-test: deb ## look the Debian package over, and install it in a root with nothing else; needs root
	Packaging/deb-test

image-test: dependencies ## build what the image has in it, and try it in a root with nothing else; needs root
	SWIFT=$(SWIFT) Packaging/image-test

api: dependencies ## say what has changed in the public interface; BASE=keep keeps it, BASE=COMMIT compares with that
	SWIFT=$(SWIFT) Packaging/api $(BASE)

docs: dependencies ## build the documentation as a static site, without a warning
	SWIFT=$(SWIFT) Packaging/docs

docs-preview: dependencies ## build the documentation, and serve it on this machine
	SWIFT=$(SWIFT) Packaging/docs preview

# One at a time, in three parts beside each other: many tests look at the clock, and on few cores they would wait for each other.
test: dependencies ## run the tests, on servers of their own; FILTER=CancellationTests some of them
	$(SWIFT) build $(TRAITS) --build-tests
	$(if $(FILTER),,@SWIFT=$(SWIFT) Fuzz/run --check)
	env -u SWIFT_DETERMINISTIC_HASHING SWIFT=$(SWIFT) MEANWHILE='export SWIFT_DETERMINISTIC_HASHING=1; Tests/simulate --build; $(MEANWHILE)' .ci/test$(if $(FILTER),,-all) $(TRAITS) --skip-build --no-parallel $(if $(FILTER),--filter '(^|[./])($(FILTER))')
	$(if $(FILTER),,SWIFT=$(SWIFT) Tests/simulate)

simulation: dependencies ## run SEEDS=10000 simulations of the product, built for release, on all processors
	SWIFT=$(SWIFT) Tests/simulate $(SEEDS)

test-matrix: dependencies ## run the tests on all servers and with each hiredis that Debian has
	Tests/matrix $(ROWS)

demo: dependencies ## run the demo, on a server of its own
	$(SWIFT) run $(TRAITS) -c release Demo

examples: dependencies ## build all examples and run each, on a server of its own; NAME=LeaderElection that alone
	SWIFT=$(SWIFT) Examples/run $(NAME)

alerts: ## try the alert rules and the dashboard on a Prometheus of their own
	Examples/Observability/check

bench: dependencies ## measure, beside plain hiredis, on a server of its own; OPTIONS=--help tells more
	$(SWIFT) run -c release --package-path Benchmarks lock-bench $(OPTIONS)

traits: dependencies ## build a program with each set of traits, and measure how long that takes and how large it is
	SWIFT=$(SWIFT) Benchmarks/trait-sets

chaos: dependencies ## break server, network and clients for MINUTES=1, and check who held what; SEED=, PROFILE=
	$(SWIFT) run $(TRAITS) Chaos soak --minutes "$(or $(MINUTES),1)" --seed "$(SEED)" --profile "$(PROFILE)" --json "$(JSON)"

endure: dependencies ## work for MINUTES=60 and take PAIRS=1000000 locks, and see that nothing grows
	$(SWIFT) run $(TRAITS) -c release Chaos endure --minutes "$(or $(MINUTES),60)" --pairs "$(or $(PAIRS),1000000)"

model: ## check the models of the protocol with spin, in about ten minutes
	@command -v spin >/dev/null 2>&1 || { echo 'Installing spin.'; \
	  if command -v apt-get >/dev/null 2>&1; then \
	    sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	    $$sudo apt-get update -qq && $$sudo apt-get install -y -qq spin gcc libc6-dev; \
	  else brew install spin; fi; }
	Models/check

mutants: dependencies ## put each mutant into a clone, and show which check notices it; MUTANTS=no-undo some alone
	SWIFT=$(SWIFT) Tests/mutants $(MUTANTS)

# A sanitizer makes the longest tests, which print nothing until they end, several times as long. The flags are for the
# limits of such tests alone.
tsan: dependencies ## run the tests under the thread sanitizer
	SWIFT=$(SWIFT) TEST_SILENCE=600 TSAN_OPTIONS=suppressions=$(CURDIR)/.ci/tsan-suppressions .ci/test \
	  --scratch-path .build-tsan $(TRAITS) --sanitize=thread -Xswiftc -DTHREAD_SANITIZER --no-parallel

asan: dependencies ## run the tests under the address sanitizer, with detection of leaks
	SWIFT=$(SWIFT) TEST_SILENCE=600 SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=allocator_may_return_null=1 \
	  LSAN_OPTIONS=suppressions=$(CURDIR)/.ci/lsan-suppressions:print_suppressions=0 .ci/test \
	  --scratch-path .build-asan $(TRAITS) --sanitize=address -Xswiftc -DADDRESS_SANITIZER --no-parallel $(OPTIONS)

fuzz: dependencies ## fuzz what reads foreign bytes, SECONDS=60 each; TARGET=url alone
	SWIFT=$(SWIFT) SECONDS_EACH=$(or $(SECONDS),60) TARGET=$(TARGET) Fuzz/run

lint: swift ## check the formatting, the layers, the tests, the mutants, and that no file names a folder of one machine
	$(SWIFT) format lint --strict --recursive --parallel $(SWIFT_SOURCES)
	@.ci/check-tests
	@.ci/check-runner
	@Tests/mutants --check
	@Benchmarks/readme-figures --check
	@if git grep -nIE '(^|[^])}[:alnum:]_.~/-])/(home|root|work|Users)/[[:alnum:]]'; then \
	  echo 'The lines above name a folder of one machine.' >&2; exit 1; fi
	.ci/check-layers
	.ci/check-words

format: swift ## format the sources
	$(SWIFT) format --in-place --recursive --parallel $(SWIFT_SOURCES)

dependencies: swift ## install what is missing: hiredis, OpenSSL and redis-server
	@.ci/install-dependencies

library: swift
	@.ci/install-dependencies --library

clean: ## remove everything that was built
	rm -rf .build .build-* Benchmarks/.build Examples/.build

swift:
	@command -v $(SWIFT) >/dev/null 2>&1 || \
	  { echo 'Swift is missing, see https://www.swift.org/install' >&2; exit 1; }
