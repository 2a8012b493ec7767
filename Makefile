# Two commands: `make demo` makes sound, `make test` passes the tests. Both install what they miss from Debian's packages.

CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# All but `cuda`, which needs NVIDIA's compiler to build.
FEATURES := train,device,mpi
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get

.PHONY: demo test lint limits headers rig mpi neon

demo: headers
	$(CARGO) build --release
	target/release/wavesynth play --condition en_allison --track en_greeting --seconds 10 --output demo.wav

test: headers rig mpi
	$(CARGO) test --release --workspace --features $(FEATURES)
	tests/engine_links_neither_candle_nor_cpal.sh
	@$(MAKE) --no-print-directory neon

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
