#!/usr/bin/env bash
# run_mcp_benchmark.sh DURATION CONCURRENCY - the whole benchmark, under the name the project's first documents gave it.
#
# `omnimind bench --ebpf` with the checkout's own environment, whatever PATH sudo leaves. With sudo the kernel's clock is
# one of the three; everything else runs as you, and the reports are yours. docs/bench.md says how to read them.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

usage() {
    cat <<END
usage: sudo bash scripts/run_mcp_benchmark.sh DURATION CONCURRENCY [OPTIONS]

  DURATION     seconds of load, such as 30 or 60
  CONCURRENCY  callers at once, such as 50 or 100
  OPTIONS      those of omnimind bench, such as --gate or --running

Without sudo the kernel's clock is left out, and the report says so.
The reports are written to data/test_reports/ebpf_mcp_latency_*.
END
}

case ${1:-} in -h | --help) usage && exit 0 ;; esac
number='^[1-9][0-9]{0,5}$'
if [[ $# -lt 2 || ! $1 =~ $number || ! $2 =~ $number || ( $# -gt 2 && $3 != -* ) ]]; then
    usage >&2
    exit 2
fi
duration=$1 concurrency=$2
shift 2

python=$root/.venv/bin/python
if [[ ! -x $python || ! -e $root/.venv/.extension ]]; then
    echo "error: this checkout's environment is not built: $root/.venv" >&2
    echo "help: make -C $root .venv/.extension (as yourself, without sudo)" >&2
    exit 1
fi
# -B: as root, Python would leave files of root's among yours.
exec "$python" -B -m omnimind bench --duration "$duration" --concurrency "$concurrency" --ebpf \
    --out "$root/data/test_reports" "$@"
