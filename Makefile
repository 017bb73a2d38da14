# make demo      sets up, builds, runs the example on a real model and shows its memory
# make test      sets up and runs every test
# make test-device DEVICE=NAME   every suite that runs on all backends, on one device, say a GPU
# make lint      formatting, clippy, documentation, dependency trees, shell scripts
# make install   both binaries into PREFIX/bin (default ~/.local)
# make bench     latency against onnxruntime, interleaved
# make bench-exports  processor time of both exports of the same networks
# make bench-ncnn  latency and processor time against ncnn's Vulkan backend, interleaved
# make bench-format  bytes and rates of the format of recordings
# make bench-shapes  processor time of new shapes at random points, on descriptions of devices
# make bench-trace  what recordings cost: emitting, the thread that writes, losses counted, runs at each level (TRACED=MODEL/CASE …)
# make bench-viewers  latency of runs that nobody, a stopped viewer and ten viewers watch (TRACED=MODEL/CASE …)
# make bench-attach  attaching with ten million events behind, an event's way to the screen, programs on such a file (EVENTS=N)
# make bench-input  a key's way to the screen while a run emits 100,000 events a second (KEYS=N, RATE=EVENTS_PER_SECOND)
# make bench-load  memory and rates of loading large models (LOADED=SHAPE/FORM …, SCRATCH=DIR with 4 GiB, DEVICE=NAME, ARGS=rounds=N)
# make bench-pack  memory and rate of packing large models, and of loading what is packed (PACKED=SHAPE …, SCRATCH=DIR with 8 GiB)
# make bench-kv  policies of admission for sequences, simulated: 10,000 requests, three distributions of lengths (REQUESTS=N)
# make bench-plan DATA=DIR  plans of all instances (CSV) in a folder and below (ARGS=--effort high)
# make planners  100,000 random problems against the planners of TFLite, XLA and ggml (SEEDS=A..B, STEPS=N)
# make differential  10,000 random graphs on each driver, every dispatch against the host (SEEDS=A..B, DEVICES=NAME …)
# make shapes    10,000 random shapes of each of three models, one session each, 100 against onnxruntime (SHAPES=N, DEVICE=NAME)
# make clean-runs  1,000 runs of many models and shapes on every backend, each judged by bayplan check (RUNS=N)
# make helgrind  threads that record at once, and a session that switches shapes, under valgrind's helgrind (RUNS=N, DEVICE=NAME)
# make golden-torch  what PyTorch's own _memory_viz.py prints of our snapshots, written anew (it brings the tool: 110 MiB)
# make golden-weights  files of weights as PyPI's gguf and safetensors write them, written anew, and ROWS=N rows of random blocks against gguf
# make pictures  the README's pictures, one per view, of a run here (PICTURED="MODEL [ARGUMENTS OF bayplan run]")
# make references, fmt, clean

CARGO ?= cargo
LOCKED ?= --locked
ARGS ?=

# An empty home folder sends tools to the root of the file system.
ifeq ($(strip $(HOME)),)
export HOME := $(shell home=$$(getent passwd "$$(id -u)" | cut -d: -f6); [ -w "$$home" ] || home="$(CURDIR)/target/home"; echo "$$home")
endif
ifeq ($(strip $(CARGO_HOME)),)
unexport CARGO_HOME
endif

PREFIX ?= $(HOME)/.local
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
RELEASE := $(TARGET)/release
REFERENCES := $(CURDIR)/target/references
BAYPLAN_TEST_SEED ?=
SEEDS ?= 0..10000
DEVICES ?= llvmpipe SwiftShader
SHAPES ?= 10000
RUNS ?= 5

.PHONY: help demo test test-device lint install bench bench-exports bench-kv bench-ncnn bench-format bench-shapes bench-trace bench-attach bench-input bench-load bench-pack bench-viewers bench-plan planners differential shapes clean-runs helgrind golden-torch golden-weights pictures references binaries fmt clean

help:
	@sed -n 's/^# \(make.*\)/\1/p' Makefile

binaries:
	@$(CARGO) build $(LOCKED) --release -p bayplan-cli -p bayplan-tui -p bayplan --bins --example digits

demo:
	@scripts/setup.sh run
	@$(MAKE) --no-print-directory binaries
	@. target/env.sh && scripts/demo.sh "$(RELEASE)" $(ARGS)

references:
	@scripts/setup.sh test
	@. target/env-test.sh && "$$BAYPLAN_TEST_PYTHON" tests/python/references.py --out "$(REFERENCES)" \
		$(if $(BAYPLAN_TEST_SEED),--seed $(BAYPLAN_TEST_SEED))
	@. target/env-test.sh && "$$BAYPLAN_TEST_PYTHON" tests/python/conformance.py --out "$(CURDIR)/target/conformance" && \
		"$$BAYPLAN_TEST_PYTHON" tests/python/redraw.py "$(CURDIR)/target/conformance" \
		--out "$(CURDIR)/target/conformance-redrawn" $(if $(BAYPLAN_TEST_SEED),--seed $(BAYPLAN_TEST_SEED)) && \
		"$$BAYPLAN_TEST_PYTHON" tests/python/compared.py --out "$(CURDIR)/target/compared"

# The rooms' own tests run in the dev profile; the tests across rooms run whole models and are built for release.
test: references binaries
	@. target/env-test.sh && if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run $(LOCKED) --workspace --exclude bayplan-tests --no-fail-fast && \
		$(CARGO) test $(LOCKED) --workspace --exclude bayplan-tests --doc --quiet && \
		$(CARGO) nextest run $(LOCKED) --release -p bayplan-tests --no-fail-fast; \
	else \
		$(CARGO) test $(LOCKED) --workspace --exclude bayplan-tests --no-fail-fast && \
		$(CARGO) test $(LOCKED) --release -p bayplan-tests --no-fail-fast; \
	fi
	@# Planted faults are built where no other program can pick up their feature.
	@. target/env-test.sh && $(CARGO) test $(LOCKED) -p bayplan-engine --features faults --test faults \
		--target-dir "$(TARGET)/faults"

# Whatever runs on every backend, on the device that is named. Every driver of the machine is visible here, not the CPU's alone.
DEVICE ?=
DEVICE_TESTS ?= models conformance validation device_bytes copies outputs shapes memory_function branches limits order exporters bad_input
test-device: references
	@. target/env-test.sh && unset VK_DRIVER_FILES VK_ICD_FILENAMES && BAYPLAN_DEVICE="$(or $(DEVICE),$(error name a DEVICE: bayplan devices lists them))" \
		$(CARGO) test $(LOCKED) --release -p bayplan-tests $(addprefix --test ,$(DEVICE_TESTS)) \
		--no-fail-fast -- --ignored --nocapture --test-threads 1 named

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	@# The program without a standard library is a workspace of its own.
	$(CARGO) fmt --manifest-path tests/no_std/Cargo.toml --check
	$(CARGO) clippy $(LOCKED) --manifest-path tests/no_std/Cargo.toml --target-dir "$(TARGET)/no_std" -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps
	scripts/absent-crates.sh bayplan-cli ratatui crossterm notify
	scripts/absent-crates.sh bayplan-tui ash gpu-allocator
	@if command -v shellcheck >/dev/null; then echo shellcheck scripts/*.sh .ci/run; shellcheck scripts/*.sh .ci/run; fi
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --workspace check bans licenses sources; fi

# The viewer is looked for beside the program.
install:
	$(CARGO) build $(LOCKED) --release -p bayplan-cli -p bayplan-tui --bins
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 "$(RELEASE)/bayplan" "$(RELEASE)/bayplan-tui" "$(DESTDIR)$(PREFIX)/bin"

# tests/src/bin/latency.rs runs MODEL on the inputs of CASE once per line it reads. MODEL/CASE=greatest ratio.
BENCHES ?= resnet50/random0=60 encoder_l6/4x32=40 llama_125m/1x1+128=20
bench: references
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --bin latency
	@. target/env-test.sh && for bench in $(BENCHES); do \
		case="$${bench%=*}" && model="$(REFERENCES)/$${case%/*}/model.onnx" && \
		"$$BAYPLAN_TEST_PYTHON" tests/python/latency.py "$$model" --case "$(REFERENCES)/$$case" \
			--max-ratio "$${bench##*=}" -- "$(RELEASE)/latency" "$$model" "$(REFERENCES)/$$case" || exit 1; \
	done

# Networks that are there as two exporters wrote them.
EXPORTS ?= encoder_l6/4x32 gpt2_small/1x1+128 llama_125m/1x1+128 mobilenetv2/1
bench-exports: references
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --bin latency
	@. target/env-test.sh && "$$BAYPLAN_TEST_PYTHON" tests/python/exports.py "$(REFERENCES)" $(EXPORTS) $(ARGS) -- "$(RELEASE)/latency"

# ncnn and its converter have an environment of their own: the converter brings a training framework along.
NCNN_MODELS ?= resnet50 squeezenet mobilenetv2 shufflenet
NCNN_VENV := $(TARGET)/venv-ncnn
bench-ncnn: references
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --bin latency
	@. target/env-test.sh && { [ -x "$(NCNN_VENV)/bin/pnnx" ] || { "$$BAYPLAN_TEST_PYTHON" -m venv "$(NCNN_VENV)" && \
		"$(NCNN_VENV)/bin/pip" install --quiet --requirement tests/python/requirements-ncnn.txt; }; } && \
		"$(NCNN_VENV)/bin/python" tests/python/ncnn_latency.py "$(REFERENCES)" $(NCNN_MODELS) \
			--driver "$${VK_DRIVER_FILES%%:*}" --work "$(TARGET)/ncnn" $(ARGS) -- "$(RELEASE)/latency"

bench-format:
	@$(CARGO) bench $(LOCKED) -p bayplan-trace --bench format -- $(ARGS)

bench-shapes:
	@$(CARGO) bench $(LOCKED) -p bayplan-compile --bench shapes -- $(ARGS)

# MODEL/CASE, on the device that is named.
TRACED ?= resnet50/random0 encoder_l6/4x32 squeezenet/random0
bench-trace: references
	@$(CARGO) bench $(LOCKED) -p bayplan-record --bench recorder
	@$(CARGO) bench $(LOCKED) -p bayplan-record --bench losses
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --bin tracing
	@. target/env-test.sh && for case in $(TRACED); do \
		BAYPLAN_DEVICE="$(or $(DEVICE),llvmpipe)" "$(RELEASE)/tracing" "$(REFERENCES)/$${case%/*}/model.onnx" "$(REFERENCES)/$$case" $(ARGS) || exit 1; \
	done

bench-viewers: references
	@$(CARGO) build $(LOCKED) --release -p bayplan-cli -p bayplan-tests --bin bayplan --bin viewing
	@. target/env-test.sh && for case in $(TRACED); do \
		BAYPLAN_DEVICE="$(or $(DEVICE),llvmpipe)" "$(RELEASE)/viewing" "$(REFERENCES)/$${case%/*}/model.onnx" "$(REFERENCES)/$$case" $(ARGS) || exit 1; \
	done

EVENTS ?= 10000000
bench-attach: binaries
	@$(CARGO) bench $(LOCKED) -p bayplan-tui --bench attach -- $(EVENTS)

KEYS ?= 600
RATE ?= 100000
bench-input:
	@$(CARGO) bench $(LOCKED) -p bayplan-tui --bench input -- $(KEYS) $(RATE)

# tests/src/bin/loading.rs says what shapes and forms there are. One model at a time lies in SCRATCH.
LOADED ?= one/external one/inline one/safetensors many/external many/inline many/safetensors
SCRATCH ?= $(TARGET)/large
bench-load:
	@scripts/setup.sh test
	@$(CARGO) build $(LOCKED) --release -p bayplan-cli -p bayplan-tests --bin bayplan --bin loading
	@mkdir -p "$(SCRATCH)" && . target/env-test.sh && "$(RELEASE)/loading" bench "$(SCRATCH)" device="$(or $(DEVICE),llvmpipe)" $(ARGS) $(LOADED)

# SHAPE …; a model and what is packed of it lie in SCRATCH at once.
PACKED ?= one many
bench-pack:
	@scripts/setup.sh test
	@$(CARGO) build $(LOCKED) --release -p bayplan-cli -p bayplan-tests --bin bayplan --bin loading
	@mkdir -p "$(SCRATCH)" && . target/env-test.sh && "$(RELEASE)/loading" pack "$(SCRATCH)" device="$(or $(DEVICE),llvmpipe)" $(ARGS) $(PACKED)

REQUESTS ?= 10000
bench-kv:
	@$(CARGO) run $(LOCKED) --quiet --release -p bayplan-host --example simulate -- $(REQUESTS) $(ARGS)

# Instances are not part of this repository: BENCHMARKS.md names their public origins.
bench-plan:
	@$(CARGO) build $(LOCKED) --release -p bayplan-cli
	@"$(RELEASE)/bayplan" bench plan "$(or $(DATA),$(error name a folder of instances: DATA=DIR))" $(ARGS)

# STEPS of the search instead of normal effort: 0 takes seconds.
STEPS ?=
planners:
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --bin planners
	@"$(RELEASE)/planners" $(if $(filter file,$(origin SEEDS)),0..100000,$(SEEDS)) $(STEPS)

# The validation layers look at some hundred graphs more: they take a multiple of the time.
differential:
	@scripts/setup.sh test
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --bin differential
	@. target/env-test.sh && for device in $(DEVICES); do \
		"$(RELEASE)/differential" --seeds $(SEEDS) --device "$$device" && \
		"$(RELEASE)/differential" --seeds 1000000..1000300 --device "$$device" --validation || exit 1; \
	done

# Fails where a run allocates device memory or makes a pipeline, or an output is not onnxruntime's.
shapes: references
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --bin shapes
	@. target/env-test.sh && BAYPLAN_TEST_REFERENCES="$(REFERENCES)" "$(RELEASE)/shapes" --shapes $(SHAPES) --device "$(or $(DEVICE),llvmpipe)" $(ARGS)

# Fails where `bayplan check` finds an alarm in a run in which nothing was planted.
clean-runs:
	@scripts/setup.sh test
	@$(CARGO) build $(LOCKED) --release -p bayplan-cli -p bayplan-tests --bin bayplan --bin clean
	@. target/env-test.sh && "$(RELEASE)/clean" --runs $(if $(filter file,$(origin RUNS)),1000,$(RUNS)) $(ARGS)

# System calls go through the C library, which valgrind knows. What helgrind cannot judge is told in tests/helgrind.supp. A shape
# takes about 40 seconds of processor time on a driver and one on the host (DEVICE=host).
HELGRIND := valgrind --tool=helgrind --history-level=approx --num-callers=40 --error-exitcode=1 --suppressions=tests/helgrind.supp
helgrind:
	@scripts/setup.sh test
	@command -v valgrind >/dev/null || { echo "valgrind is missing: apt install valgrind" >&2; exit 1; }
	@$(CARGO) build $(LOCKED) --release -p bayplan-tests --features libc --bin turning --bin emitting --target-dir "$(TARGET)/helgrind"
	@$(HELGRIND) "$(TARGET)/helgrind/release/emitting" 3 20000
	@. target/env-test.sh && BAYPLAN_DEVICE="$(or $(DEVICE),llvmpipe)" XDG_STATE_HOME="$(TARGET)/helgrind/state" \
		$(HELGRIND) "$(TARGET)/helgrind/release/turning" $(RUNS) 0

# To look at a difference first: ARGS=--show. Other snapshots: SNAPSHOTS=FILE …
SNAPSHOTS ?= runtime/report/tests/golden/torch-*.pickle
golden-torch:
	@scripts/setup.sh test
	@. target/env-test.sh && "$$BAYPLAN_TEST_PYTHON" tests/python/memory_viz.py "$(CURDIR)/target/memory-viz" $(SNAPSHOTS) $(or $(ARGS),--write)

ROWS ?= 20000
golden-weights:
	@scripts/setup.sh test
	@. target/env-test.sh && "$$BAYPLAN_TEST_PYTHON" -m venv target/venv-weights && \
		target/venv-weights/bin/pip install --quiet gguf==0.19.0 safetensors==0.8.0 && \
		target/venv-weights/bin/python tests/python/weight_files.py write runtime/weights/tests/golden && \
		target/venv-weights/bin/python tests/python/weight_files.py write target/weight-files --rows $(ROWS) && \
		BAYPLAN_WEIGHT_FILES="$(CURDIR)/target/weight-files" $(CARGO) test $(LOCKED) -p bayplan-weights --test golden -- --include-ignored

PICTURED ?= $(REFERENCES)/encoder_l6/model.onnx --dim batch=4 --dim seq=32
pictures: references binaries
	@. target/env-test.sh && assets/pictures/views.sh "$(RELEASE)" $(PICTURED)

fmt:
	$(CARGO) fmt --all

clean:
	$(CARGO) clean
