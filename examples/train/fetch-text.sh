#!/usr/bin/env bash
# fetch-text.sh [DEST]: fetches tiny Shakespeare, the 1,115,394 characters that the text run files learn, as
# DEST/tinyshakespeare.txt (DEST is `data` when left out, where the run files look for it).
#
# The text is Karpathy's, from https://github.com/karpathy/char-rnn; Shakespeare's words are in the public domain.
set -euo pipefail
[ $# -le 1 ] || { sed -n '2,5p' "$0" >&2; exit 2; }
DEST=${1:-data}
URL=https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt
SHA256=86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed
mkdir -p "$DEST"
PART=$(mktemp "$DEST/.tinyshakespeare-XXXXXX"); trap 'rm -f "$PART"' EXIT
if command -v curl >/dev/null; then curl -fsSL "$URL" -o "$PART"; else wget -qO "$PART" "$URL"; fi
echo "$SHA256  $PART" | sha256sum -c --quiet
chmod 644 "$PART"
mv "$PART" "$DEST/tinyshakespeare.txt"
echo "$DEST/tinyshakespeare.txt"
