#!/bin/sh
# limits.sh: `make limits`. Measures on core CORE (default 1) and writes the plots and the generated part of
# docs/engine-limits.md, and the raw figures into benches/runs/DATE-MACHINE (or RUN).
set -eu
cd "$(dirname "$0")/.."
core=${CORE:-1} program=target/release/wavesynth
run=${RUN:-benches/runs/$(date +%F)-$(uname -n)}
mkdir -p "$run"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
  echo "Measured $(date +%F), core $core, commit $(git describe --always --dirty)."
  for isa in avx512 avx2 neon; do
    # Only the plot of the fastest instruction set is shown.
    [ -e "$work/plot.svg" ] && plot=$work/other.svg || plot=$work/plot.svg
    if taskset -c "$core" "$program" bench limits --shape all --isa $isa --json \
      --plot "$plot" --table "$work/table.md" > "$work/out.json" 2> "$work/log"; then
      mv "$work/out.json" "$run/limits-$isa.json"
      echo; cat "$work/table.md"
    else
      # An instruction set that this machine lacks is no failure; anything else is.
      grep -q -- --isa "$work/log" || { cat "$work/log" >&2; exit 1; }
    fi
  done
  echo
  echo "## Growth"
  echo
  taskset -c "$core" "$program" bench growth --json --plot docs/engine-growth.svg --table "$work/growth.md" > "$run/growth.json"
  cat "$work/growth.md"
} > "$work/generated.md"
mv "$work/plot.svg" docs/engine-limits.svg
awk -v new="$work/generated.md" '
  /<!-- end -->/ { skip = 0 }
  !skip { print }
  /<!-- make limits -->/ { skip = 1; while ((getline line < new) > 0) print line }
' docs/engine-limits.md > "$work/page.md"
mv "$work/page.md" docs/engine-limits.md
