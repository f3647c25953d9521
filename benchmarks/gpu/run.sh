#!/usr/bin/env bash
# What a GPU can show, each figure written down as soon as it is measured; nothing is downloaded.
#
#   benchmarks/gpu/run.sh STAGE... --out DIR [--seconds N] [--small]
#
# Stages: exactness, throughput, strong (which takes the rest of the N seconds).  On a machine without Keras, its wheels
# lie in .gpu/wheels; the packed data set (benchmarks/gpu/pack.py) in .gpu/part1 and .gpu/part2, which may come one by
# one: what has come is kept in ORCH_GPU_WORK (/tmp/orch-gpu).
set -euo pipefail
cd "$(dirname "$0")/../.."
began=$SECONDS

stages=() out="" seconds=520 small=""
while [ $# -gt 0 ]; do
  case "$1" in
    --out) out="$2"; shift ;;
    --seconds) seconds="$2"; shift ;;
    --small) small=--small; export ORCH_GPU_MORTAL_STEPS=8 ;;
    exactness | throughput | strong) stages+=("$1") ;;
    *) echo "There is no stage or option $1; the first lines of $0 say which there are." >&2; exit 2 ;;
  esac
  shift
done
[ -n "$out" ] && [ "${#stages[@]}" -gt 0 ] || { echo "Say which stages, and --out DIR." >&2; exit 2; }
mkdir -p "$out"
# Without the directory: it is written down with each figure.
export ORCH_GPU_COMMAND="benchmarks/gpu/run.sh ${stages[*]} --out DIR --seconds $seconds${small:+ $small}"

python="${PYTHON:-python3}"
work="${ORCH_GPU_WORK:-/tmp/orch-gpu}"
mkdir -p "$work"
for part in .gpu/part*/; do
  if [ -e "$part/cifar10.npz" ]; then
    mkdir -p "$work/$(basename "$part")"
    cp "$part/cifar10.npz" "$work/$(basename "$part")/"
  fi
done
if ! "$python" -c "import sys, importlib.util as found; sys.exit(found.find_spec('keras') is None)" && [ ! -d "$work/site" ]
then
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$work/site" .gpu/wheels/*.whl
fi
export PYTHONPATH="$PWD:$PWD/benchmarks:$work/site" PYTHONUNBUFFERED=1 KERAS_BACKEND=jax TF_CPP_MIN_LOG_LEVEL=2
# A network that is compiled again, as for an evaluation, is not compiled twice.
export JAX_COMPILATION_CACHE_DIR="$work/compiled"
# Many processes share the GPU, most of them idle: none may take all of its memory when it begins.
export XLA_PYTHON_CLIENT_PREALLOCATE=false

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no GPU"
figures="$out/figures.jsonl"
left() { echo $((seconds - SECONDS + began)); }
run_exactness() {
  "$python" benchmarks/gpu/exactness.py "$figures" $small || echo "=== exactness FAILED"
  touch "$work/exactness.done"
}
rm -f "$work/exactness.done"
for stage in "${stages[@]}"; do
  echo "=== $stage, $((SECONDS - began)) s"
  case "$stage" in
    exactness)
      # It measures no times, so the networks of the next stage compile beside it.
      run_exactness &
      [ "${stages[*]}" != "${stages[*]/throughput/}" ] || wait
      ;;
    throughput)
      waiting=()
      [ "${stages[*]}" = "${stages[*]/exactness/}" ] || waiting=(--wait-for "$work/exactness.done")
      "$python" benchmarks/gpu/throughput.py "$figures" strong --seconds "$(left)" "${waiting[@]}" $small ||
        echo "=== throughput FAILED"
      cp "$figures" "$work/speeds.jsonl"
      wait
      "$python" benchmarks/gpu/throughput.py "$figures" compared --seconds "$(left)" $small ||
        echo "=== throughput FAILED"
      ;;
    strong)
      "$python" benchmarks/gpu/strong.py "$figures" --data "$work" --speeds "$work/speeds.jsonl" \
        --seconds "$(left)" $small || echo "=== strong FAILED"
      ;;
  esac
done
echo "=== the end, $((SECONDS - began)) s"
