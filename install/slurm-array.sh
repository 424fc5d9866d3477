#!/bin/sh
# Many pictures on many machines: a Slurm array, each task of which makes a part of `dim sample --count`.
# SPDX-License-Identifier: LGPL-3.0-or-later
#
#   sbatch --array=1-8 slurm-array.sh --class all --count 50 --seed 1 -o '/shared/draws/{class}/{item}.png'
#
# What follows the script are options of `dim sample`; --seed is needed, and a folder that all machines see. What a task
# has made stays when it is killed, and is not made again when it is requeued, or when the same line is submitted once
# more. To submit some tasks only, say how many parts there are: SHARDS=8 sbatch --array=3,5 slurm-array.sh ...
# DIM names the program where it is not in $PATH; sbatch's own options, as --cpus-per-task=4, stand before the script.
#SBATCH --job-name=dim
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu
: "${SLURM_ARRAY_TASK_ID:?expected an array: sbatch --array=1-N}"
exec "${DIM:-dim}" sample --threads "${SLURM_CPUS_PER_TASK:-0}" \
  --shard "$SLURM_ARRAY_TASK_ID/${SHARDS:-$SLURM_ARRAY_TASK_COUNT}" "$@"
