# A pod's file system, in a mount namespace of its own: all of this machine read-only, an empty /tmp, the launcher's
# folders and volumes where they belong. Called by pod.py, under `unshare -rm`, with: an empty folder for the new root;
# the folder of the code and one of Python, which may lie below /tmp; pairs of a folder here and its place in the pod;
# --; the command.
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
  mkdir -p "$root$folder" 2>/dev/null || true  # not below /tmp: it is there already
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
exec chroot "$root" /bin/sh -c 'cd /tmp && exec "$@"' sh "$@"
