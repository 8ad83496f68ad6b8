# Runs a command in a pod. pod.py runs it under `unshare -rm`, with the arguments of pod_mounts.sh and then the command.
set -eu
. "${0%/*}/pod_mounts.sh" # leaves the command in the arguments
exec chroot "$root" env --chdir=/tmp --unset=PWD "$@" # this shell has set PWD
