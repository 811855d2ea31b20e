#!/usr/bin/env bash
# Runs the driver's commands inside a QEMU machine. They come over a virtual serial port, one on a line:
#   run NUMBER BASE64-OF-A-SCRIPT     answered by NUMBER STATUS BASE64-OF-OUTPUT BASE64-OF-ERRORS when it has ended
#   kill NUMBER                       ends it with all that it started, answered by NUMBER killed
# The first line out says `ready`.

# Job control gives every command a process group of its own.
set -m
folder=$(mktemp --directory /run/driver-shell.XXXXXX)

run() {
  local number=$1 status=0 files=$folder/$1
  bash -c "$(base64 --decode <<< "$2")" < /dev/null > "$files.output" 2> "$files.errors" 3>&- || status=$?
  printf '%s %s %s %s\n' "$number" "$status" "$(base64 --wrap=0 "$files.output")" "$(base64 --wrap=0 "$files.errors")" >&3
  rm --force "$files.output" "$files.errors"
}

# The port can be opened once at a time.
exec 3<> /dev/vport0p1
echo ready >&3
while read -r -u 3 verb number script; do
  case $verb in
    run)
      run "$number" "$script" &
      group=$!
      ;;
    kill)
      kill -KILL -- "-$group" || true
      # It may have been in the middle of its own answer.
      printf '\n%s killed\n' "$number" >&3
      ;;
  esac
done
