# `make demo` builds the player and makes sound, `make` builds the whole program, `make test` passes the tests. All of them
# install what they miss from Debian's packages.

CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# All but `cuda`, which needs NVIDIA's compiler to build.
FEATURES := train,device,mpi,serve
# A fresh machine may be installing its updates: wait for it.
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300

.PHONY: all demo test lint audit miri rtsan limits headers rig mpi numpy neon

all: headers
	$(CARGO) build --release

# Without the trainer, which takes most of the time.
demo: headers
	$(CARGO) build --release --no-default-features --features cli,device
	target/release/wavesynth play --condition en_allison --track en_greeting --seconds 10 --output demo.wav

test: headers rig mpi numpy
	$(CARGO) test --release --workspace --features $(FEATURES)
	tests/reference/run.sh $${CARGO_TARGET_DIR:-target}/release/wavesynth
	$(CARGO) test --release --no-default-features --features cli --test cli
	tests/links.sh
	@$(MAKE) --no-print-directory neon
	@tests/wasm.sh

# The kernels for aarch64 compile, here too. tests/aarch64.sh runs them under emulation.
ARM := aarch64-unknown-linux-gnu
neon:
	@if command -v rustup >/dev/null && rustup target add $(ARM); then \
	  RUSTFLAGS="-D warnings" $(CARGO) check -p wavesynth-models --tests --no-default-features --target $(ARM); \
	else echo "NOT CHECKED: the NEON kernels, for want of rustup or of its target $(ARM)"; fi

# What a change must also pass before it is proposed.
lint: headers mpi
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --features $(FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --features $(FEATURES) --no-deps

# Licences, advisories, duplicates and sources of all dependencies, by deny.toml. Wants the advisories from the network.
audit:
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --workspace --all-features check

# The ring under Miri: data races and undefined behaviour, in four orders of the threads. Wants a nightly toolchain.
miri:
	rustup +nightly component add miri rust-src
	MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..4" $(CARGO) +nightly miri test -p wavesynth-audio --lib ring::tests

# Engine and callback under RealtimeSanitizer, whose runtime a nightly toolchain brings. Linux on x86-64.
RTSAN := $(wildcard $(HOME)/.rustup/toolchains/nightly-*/lib/rustlib/x86_64-unknown-linux-gnu/lib/librustc-nightly_rt.rtsan.a)
rtsan: headers
	@[ -f "$(firstword $(RTSAN))" ] || { echo "rtsan: wants a nightly toolchain: rustup toolchain install nightly" >&2; exit 1; }
	export RTSAN_ENABLE=1 RTSAN_LIB_PATH=$(firstword $(RTSAN)) && \
	  $(CARGO) test --release --features device --test realtime -- --include-ignored && \
	  $(CARGO) test --release -p wavesynth-audio --features device --lib device::tests

# Measures this machine, and writes the tables and plots of docs/engine-limits.md.
limits: headers
	$(CARGO) build --release
	benches/limits.sh

# ALSA's headers, for the sound device.
headers:
	@pkg-config --exists alsa 2>/dev/null || { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends libasound2-dev pkg-config; }

# A sound server that needs no sound card, for the tests of playing.
rig:
	@{ command -v pulseaudio && command -v pactl && ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so; } >/dev/null 2>&1 || \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends pulseaudio pulseaudio-utils libasound2-plugins; }

# Open MPI, and the libclang that its bindings are made with, for the feature `mpi`.
mpi:
	@{ command -v mpirun && command -v mpicc && ls /usr/lib/llvm-*/lib/libclang*.so*; } >/dev/null 2>&1 || \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends openmpi-bin libopenmpi-dev libclang-dev; }

# For the reading of docs/formats.md by another program.
numpy:
	@python3 -c 'import numpy' 2>/dev/null || /usr/bin/python3 -c 'import numpy' 2>/dev/null || \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends python3-numpy; }
