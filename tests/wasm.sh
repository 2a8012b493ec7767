#!/bin/sh
# The library for browsers: built for WebAssembly, where it links none of the program, the trainer or the devices.
# Needs rustup's target, or RUSTC_BOOTSTRAP=1 with the sources of the standard library (Debian's rust-web-src and lld).
set -eu
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
if [ -z "${RUSTC_BOOTSTRAP:-}" ]; then
  if ! { command -v rustup >/dev/null && rustup target add $target; }; then
    echo "NOT CHECKED: WebAssembly, for want of rustup or of its target $target"
    exit 0
  fi
  RUSTFLAGS="-D warnings" cargo check --release --lib --no-default-features --target $target
else
  cargo build --release --lib --no-default-features --target $target -Zbuild-std=std,panic_abort
fi
echo "the library builds for $target"
