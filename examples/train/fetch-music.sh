#!/usr/bin/env bash
# fetch-music.sh DEST: assembles the recordings that the shipped music model was trained on, from a Debian package.
#
#   DEST/opsound/PIECE-NNN.wav     16 kHz mono 16-bit, five pieces without their pauses, in parts of ten seconds, about 17 minutes
#   DEST/licences/                 the package's copyright file
#
# For Debian, as root (it installs ffmpeg where it is missing; the package is unpacked, not installed).
set -euo pipefail
[ $# = 1 ] || { sed -n '2,7p' "$0" >&2; exit 2; }
mkdir -p "$1/licences" "$1/opsound"; DEST=$(cd "$1" && pwd)
export DEBIAN_FRONTEND=noninteractive
TMP=$(mktemp -d); trap 'rm -rf "$TMP"' EXIT
apt-get update -qq
command -v ffmpeg >/dev/null || apt-get install -y -qq --no-install-recommends ffmpeg >/dev/null
package=asterisk-moh-opsound-g722
(cd "$TMP" && apt-get -qq -o APT::Sandbox::User=root download "$package")
dpkg-deb -x "$TMP/${package}"_*.deb "$TMP"
cp "$TMP/usr/share/doc/$package/copyright" "$DEST/licences/$package.copyright"
# A model that remembers a quarter of a second would learn from a pause to be silent for good.
without_pauses=silenceremove=start_periods=1:start_threshold=-40dB:stop_periods=-1:stop_duration=0.2:stop_threshold=-40dB
for piece in "$TMP"/usr/share/asterisk/moh/*.g722; do
  ffmpeg -nostdin -v error -y -f g722 -i "$piece" -map_metadata -1 -fflags +bitexact -flags:a +bitexact -af "$without_pauses" \
    -ac 1 -ar 16000 -c:a pcm_s16le -f segment -segment_time 10 "$DEST/opsound/$(basename "$piece" .g722)-%03d.wav"
done
echo "$(ls "$DEST/opsound" | wc -l) parts of $(ls "$TMP"/usr/share/asterisk/moh/*.g722 | wc -l) pieces"
