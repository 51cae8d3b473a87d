#!/bin/sh
# pipeline.sh check|plan|apply FOLDER: what the pipelines run. SLUICE_SERVER and SLUICE_TOKEN are the pipeline's.
set -eu
step=$1
folder=$2
cd "$(dirname "$0")"

case $step in
check) sluicectl validate -f "$folder" ;;
plan) sluicectl diff -f "$folder" --prune ;;
apply) sluicectl apply -f "$folder" --prune ;;
*)
    echo "usage: pipeline.sh check|plan|apply FOLDER" >&2
    exit 2
    ;;
esac
