# Sourced by a script OUT in this folder: `out` and the checkout `here`, both absolute; `program`, PROGRAM or one that is built now; `data`, DATA or
# data in the checkout. It goes into a folder that is removed in the end.
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
here=$(pwd)
program=$(realpath "${PROGRAM:-target/release/wavesynth}")
[ -n "${PROGRAM:-}" ] || cargo build --release
data=$(cd "${DATA:-data}" && pwd)
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
