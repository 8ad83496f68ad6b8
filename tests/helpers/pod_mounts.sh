# Builds a pod's file system in its own mount namespace: this machine read-only, an empty /tmp, the launcher's folders and
# the volumes. Its arguments: an empty folder for the new root; the folder of the code and that of Python, which may be in
# /tmp; pairs of a folder on this machine and its path in the pod; --. pod.sh includes it and goes on with what follows;
# warm_pod.py runs it as a program.
set -eu
root=$1 code=$2 python=$3
shift 3

mount -t tmpfs none "$root"
for entry in /*; do
  name=${entry#/}
  case $name in proc | dev | sys | tmp) continue ;; esac
  if [ -L "$entry" ]; then
    cp -P "$entry" "$root/$name"
  elif [ -d "$entry" ]; then
    mkdir "$root/$name"
    mount --rbind "$entry" "$root/$name"
    mount -o remount,bind,ro "$root/$name"
  fi
done
mkdir "$root/proc" "$root/dev" "$root/tmp"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs none "$root/dev/shm"
mount -t tmpfs none "$root/tmp"
for folder in "$code" "$python"; do
  mkdir -p "$root$folder" 2>/dev/null || true  # outside /tmp, it already exists
  mount --bind "$folder" "$root$folder"
  mount -o remount,bind,ro "$root$folder"
done
while [ "$1" != -- ]; do
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  shift 2
done
shift
mount -o remount,ro "$root"
