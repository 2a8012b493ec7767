#!/bin/sh
# The kernels' conformance suite on aarch64, under emulation: cores with dot products of bytes, and without.
# Needs Debian's rustc-web and, after `dpkg --add-architecture arm64`, libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu
# libc6-dev-arm64-cross qemu-user-static.
set -eu
cd "$(dirname "$0")/.."
export RUSTC="${AARCH64_RUSTC:-/usr/bin/rustc}" CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_DIR="${AARCH64_TARGET_DIR:-target/aarch64}"
for core in max cortex-a53; do
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -cpu $core -L /usr/aarch64-linux-gnu" \
    cargo test --release -p wavesynth-models --no-default-features --test kernels --target aarch64-unknown-linux-gnu
done
