#!/usr/bin/env bash
# Trains `variant: fast` on yard and on facades, on a machine that needs neither network nor setup.
#
#     [NAME=VALUE ...] benchmarks/gpu.sh [yard] [facades]     (default: both, one after the other)
#
# For each set, OUT receives SET.txt (everything printed), SET.jsonl (the log of the run),
# SET.scores.json, and SET.speed.json: photos per second, and the share of the GPU's peak. They are
# written when they are ready, so whatever stops the script leaves the finished ones.
#
#   OUT           folder of the results; default: runs/gpu
#   PYTHON        interpreter with torch; default: .venv/bin/python or, without it, python3
#   WHEELS        folder of wheels that this interpreter lacks; default: runs/wheels
#   FACADES       a copy of facades, which will be converted; default: datasets/facades
#   YARD_TIME     time of the training on yard; default: 3m
#   FACADES_TIME  time of the training on facades; default: 6m
#   YARD_IMAGES   photos to draw; default: 600
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${OUT:-runs/gpu}
WHEELS=${WHEELS:-runs/wheels}
FACADES=${FACADES:-datasets/facades}
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$OUT"
export PYTHONUNBUFFERED=1

if compgen -G "$WHEELS/*.whl" > /dev/null; then
  "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$WORK/site" "$WHEELS"/*.whl
  export PYTHONPATH="$WORK/site${PYTHONPATH:+:$PYTHONPATH}"
fi

pipeline() {
  echo "== $* ($((SECONDS)) s)"
  "$PYTHON" pipeline.py "$@"
}

prepare_yard() {
  pipeline sample "$WORK/yard" --images "${YARD_IMAGES:-600}"
}

prepare_facades() {
  [ -d "$FACADES/images" ] || { echo "error: $FACADES: expected a copy of facades, found none; set FACADES" >&2; return 1; }
  ln -s "$(realpath "$FACADES")" "$WORK/facades"
  [ -f "$FACADES/dataset.yaml" ] || cat > "$FACADES/dataset.yaml" <<'YAML'
name: facades
things: [window, balcony-fence, car, shop, traffic-infrastructure, non-building-infrastructure]
stuff: [building-other-merged, road, tree-merged, fence-merged, sky-other-merged]
stuff_sources: [{label_maps: stuff}]
split: {train: 0.8, test: 0.2, seed: 0, group_by: photos.csv}
YAML
}

# Train, predict and evaluate the set $1 for the time $2.
run_set() {
  local folder=$WORK/$1 run=$WORK/run-$1
  "prepare_$1"
  pipeline convert "$folder" || [ -f "$folder/panoptic/manifest.json" ]
  pipeline train "$folder" --run "$run" --time "$2"
  cp "$run/log.jsonl" "$OUT/$1.jsonl"
  "$PYTHON" -m benchmarks.speed "$run" --json "$OUT/$1.speed.json"
  pipeline predict "$run" "$folder/panoptic/test" --out "$run/predictions"
  pipeline evaluate "$folder/panoptic/annotations/panoptic_test.json" "$run/predictions/panoptic.json" \
    --json "$OUT/$1.scores.json"
  echo "== done ($((SECONDS)) s)"
}

[ $# -gt 0 ] || set -- yard facades
for name in "$@"; do
  case $name in
    yard) time=${YARD_TIME:-3m} ;;
    facades) time=${FACADES_TIME:-6m} ;;
    *) echo "error: $name: expected yard or facades" >&2; exit 2 ;;
  esac
  (run_set "$name" "$time") 2>&1 | tee "$OUT/$name.txt"
done
