#!/usr/bin/env bash
# newer_bpftrace.sh SUITE DIR - bpftrace of another Debian suite (trixie: 0.23, forky: 0.27) as DIR/bpftrace, for tests.
#
# By the machine's own apt client and mirror, in folders of its own: packages are fetched with all they need and unpacked,
# nothing is installed, no root is needed. About 15 s, 320 MB.
set -euo pipefail
suite=$1 dir=$(realpath -m "$2")
[ -x "$dir/bpftrace" ] && exit 0
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/*.sources)
rm -rf "$dir" && mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/apt/sources" "$dir/root"
: >"$dir/apt/status" # as if nothing were installed, so that everything it needs comes along
cat >"$dir/apt/sources/suite.sources" <<END
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt() {
    apt-get -qq -o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt" \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$dir/apt/sources" \
        -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}
apt update
apt -y --no-install-recommends --download-only -o APT::Keep-Downloaded-Packages=1 install bpftrace >/dev/null
for package in "$dir"/apt/archives/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
rm -rf "$dir/apt"
libraries=$(dirname "$(find "$dir/root/usr/lib" -name 'libc.so.6' | head -n 1)")
loader=$(find "$dir/root" -name 'ld-linux-*.so.*' | head -n 1)
printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$libraries" "$dir/root/usr/bin/bpftrace" >"$dir/bpftrace"
chmod +x "$dir/bpftrace"
"$dir/bpftrace" --version
