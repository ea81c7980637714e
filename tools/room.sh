#!/bin/sh
# room.sh FOLDER SRC ROOM ALLOWED… : makes FOLDER hold links to the rooms whose headers ROOM may include.
set -eu
folder=$1 src=$2
shift 2
rm -rf "$folder"
mkdir -p "$folder"
for room in "$@"; do
    ln -s "$src/$room" "$folder/$room"
done
