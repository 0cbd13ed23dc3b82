#!/usr/bin/env bash
# All checks that need a GPU, the most telling first, in under 8 minutes:
#
#     tools/gpu.sh DIR [PYTHON]
#
# DIR receives checks.csv (check, state, seconds), the log of each check, and costs.csv, which `tools/costs.py` keeps in
# reports/results. PYTHON: one that has the product and its tests (default: that of tox, else python).
# Exit code 1: a check failed; 2: there is no GPU, or DIR is missing.
set -uo pipefail
cd "$(dirname "$0")/.."

LIMIT=450 # seconds for everything
out=${1:-}
python=${2:-$([ -x .tox/py/bin/python ] && echo .tox/py/bin/python || echo python)}
if [ -z "$out" ]; then
    echo "where shall the results go? tools/gpu.sh DIR" >&2
    exit 2
fi
mkdir -p "$out" || exit 2
echo "check,state,seconds" >"$out/checks.csv"
failed=0

tell() { # state, check, seconds
    printf '%-8s %-12s %4d s\n' "$1" "$2" "$3"
    echo "$2,$1,$3" >>"$out/checks.csv"
}

check() { # name, most seconds, command ...
    local name=$1 most=$2 begin=$SECONDS left=$((LIMIT - SECONDS)) state=passed
    shift 2
    if [ -z "${gpu:-}" ] || [ "$left" -lt 20 ]; then
        tell skipped "$name" 0
        return
    fi
    timeout "$((most < left ? most : left))" "$@" >"$out/$name.log" 2>&1
    case $? in
        0) ;;
        124) state=unended && failed=1 ;;
        *) state=failed && failed=1 ;;
    esac
    tell "$state" "$name" "$((SECONDS - begin))"
}

tests() { # name, most seconds, arguments of pytest ...
    local name=$1 most=$2
    shift 2
    check "$name" "$most" "$python" -m pytest -q -n 0 -s -p no:cacheprovider -m "slow or not slow" --durations 0 "$@"
}

gpu=$("$python" -c "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')" 2>/dev/null)
{
    echo "${gpu:-no GPU is visible to torch}"
    "$python" -c "import torch; print('torch', torch.__version__, 'CUDA', torch.version.cuda)"
    command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
} 2>&1 | tee "$out/machine.txt"

perf=tests/perf/test_gpu.py
methods=grig,aot,exegan,lama,comodgan
tests metrics 60 tests/bench/metrics/test_measure.py -k gpu
check quickstart 90 "$python" -m bench run quickstart --smoke --device cuda --out "$out/runs"
tests losses 100 $perf -k losses
tests wait 60 $perf -k waits
tests ratios 150 $perf -k "bf16 or svm"
check costs 120 "$python" -m bench profile $methods --batch 1,8,32 --precision fp32,bf16 --mode eager,compiled \
    --seconds 0.2 --device cuda --out "$out/runs"
profile=$out/runs/profile/profile.parquet
if [ -f "$profile" ]; then
    "$python" -c "import pandas, sys; pandas.read_parquet(sys.argv[1]).to_csv(sys.argv[2], index=False)" \
        "$profile" "$out/costs.csv"
fi
if [ -z "$gpu" ]; then
    echo "no GPU is visible to torch, so every check was skipped: run this where nvidia-smi shows one" >&2
    exit 2
fi
exit $failed
