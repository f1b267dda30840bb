# Every command of the project in one place. CONTRIBUTING.md says what is in which test target.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(abspath $(TARGET))/tools
# What `weft demo` and the sandbox start; all of one profile, so that they are found beside each other.
PROGRAMS := -p weft-cli -p weft-control-plane -p weft-proxy -p weft-examples
# Arguments of `make demo` and `make bench`, as in: make demo ARGS="--duration 20s"
ARGS ?=
# Cargo's profile of the binaries in images; dev is quicker to build, for tries.
PROFILE ?= release
export CARGO PROFILE
# The images of a release, and the one that the cluster tests need besides.
IMAGES := proxy control-plane shop
TEST_IMAGES := $(IMAGES) test-app

.PHONY: help demo images test-images kind test test-full test-shop test-cluster lint dependencies bench docs manifests tools fuzz bench-instructions

help:
	@echo "make demo         a mesh of real services on this machine"
	@echo "make images       static binaries and the images with them; needs a Docker engine"
	@echo "make kind         a kind cluster with the meshed shop on it"
	@echo "make test         formatting, lints, unit tests, tests in network namespaces and on a cluster"
	@echo "make test-shop    the sample services alone: their patterns, and everything failing in turn"
	@echo "make test-cluster the tests on a cluster alone"
	@echo "make test-images  the images that they need; dev builds"
	@echo "make test-full    the long tests too, and the licences of all dependencies"
	@echo "make lint         formatting, lints, versions of dependencies"
	@echo "make fuzz         made-up bytes into whatever reads bytes of others, for a minute each"
	@echo "make bench        load and comparison, as root; writes target/bench.json"
	@echo "make bench-instructions   what a request costs in instructions, beside what it cost before; as root"
	@echo "make docs         print the generated pages of docs/"
	@echo "make manifests    print the generated template of the Helm chart"
	@echo "make tools        what tests need besides Debian's packages, into target/tools (needs Go and Node)"

demo:
	$(CARGO) build --release --locked $(PROGRAMS)
	$(TARGET)/release/weft demo $(ARGS)

images:
	deploy/images/build $(IMAGES)

# A build without optimisation is enough for what they test, and is there in a quarter of the time.
test-images: PROFILE = dev
test-images:
	deploy/images/build $(TEST_IMAGES)

kind: images
	deploy/images/debian postgres nats
	deploy/kind/walk

test: lint
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace --doc
	$(CARGO) test --locked --workspace --lib --bins --tests
	.ci/cluster-tests

# The shop alone: its unit tests, its programs killed at every step, and all of it in a mesh. `make test` runs the same tests.
test-shop:
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --package weft-examples
	$(CARGO) test --locked --package weft-tests --test shop

# The cluster tests alone, as in: make test-cluster ARGS=rollout
test-cluster:
	$(CARGO) build --locked --workspace --bins
	.ci/cluster-tests $(ARGS)

test-full: lint
	@$(CARGO) deny --version || { echo "cargo-deny is missing: cargo install --locked cargo-deny"; exit 1; }
	$(CARGO) deny --locked check licenses bans sources
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace -- --include-ignored
	.ci/cluster-tests

lint: dependencies
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --package weft-tests --test cluster -- -D warnings

dependencies:
	.ci/check-dependencies

# Seconds and targets, as in: make fuzz ARGS="600 detect resource"
fuzz:
	fuzz/run $(or $(ARGS),60)

bench:
	$(CARGO) build --release --locked -p weft-bench -p weft-control-plane -p weft-proxy
	$(TARGET)/release/weft-bench run $(ARGS)

# Renews the numbers: make bench-instructions ARGS=--update. Valgrind finds no functions in what lld links.
bench-instructions:
	$(CARGO) build --locked -p weft-bench -p weft-control-plane
	$(CARGO) rustc --locked --profile counted -p weft-proxy --bin weft-proxy -- -C linker-features=-lld
	$(TARGET)/debug/weft-bench instructions --proxy $(TARGET)/counted/weft-proxy $(ARGS)

docs:
	$(CARGO) build --locked -p weft-proxy -p weft-control-plane
	$(TARGET)/debug/weft-proxy docs configuration > docs/configuration.md.new
	$(TARGET)/debug/weft-proxy docs metrics > docs/metrics.md.new
	$(TARGET)/debug/weft-control-plane docs > docs/configuration-control-plane.md.new
	$(TARGET)/debug/weft-control-plane docs annotations > docs/annotations.md.new
	$(TARGET)/debug/weft-control-plane docs metrics > docs/metrics-control-plane.md.new
	for page in annotations configuration metrics configuration-control-plane metrics-control-plane; do mv docs/$$page.md.new docs/$$page.md; done

# What is in PATH is not built. The rest is what tests/tests/peers puts the mesh between.
tools:
	command -v helm >/dev/null || GOBIN=$(TOOLS) go install helm.sh/helm/v3/cmd/helm@v3.22.0
	command -v kubectl >/dev/null || GOBIN=$(TOOLS) go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
	GOBIN=$(TOOLS) go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
	GOBIN=$(TOOLS)/interop go install google.golang.org/grpc/interop/client@v1.85.0 google.golang.org/grpc/interop/server@v1.85.0
	cp tests/tests/peers/apps/package.json tests/tests/peers/apps/package-lock.json $(TOOLS)
	npm ci --prefix $(TOOLS) --ignore-scripts --no-audit --no-fund

manifests:
	$(CARGO) build --locked -p weft-cli
	$(TARGET)/debug/weft install --chart-template > deploy/helm/weft/templates/deployment.yaml.new
	mv deploy/helm/weft/templates/deployment.yaml.new deploy/helm/weft/templates/deployment.yaml
