# Outlives the load test: waits for the keeper of a server, then takes away what is left of both.
# $1 the server's folder, $2 its cgroup or nothing; then the keeper's command.
trap '' HUP INT TERM
folder=$1 group=$2
shift 2
exec 3<&0 0</dev/null
(
  trap - HUP INT TERM
  exec setsid --wait "$@" <&3 3<&-
) &
keeper=$!
exec 3<&-
wait "$keeper"
code=$?
# Nothing is left where the keeper had a process namespace. Without one, these know the rest.
tries=100
while kill -s KILL -- "-$keeper" 2>/dev/null && [ "$tries" -gt 0 ]; do
  sleep 0.05
  tries=$((tries - 1))
done
while [ -n "$group" ] && ! rmdir "$group" 2>/dev/null && [ -d "$group" ] && [ "$tries" -gt 0 ]; do
  # shellcheck disable=SC2046 # One word a process is what is wanted.
  kill -s KILL $(cat "$group/cgroup.procs") 2>/dev/null
  sleep 0.05
  tries=$((tries - 1))
done
while ! rm -rf -- "$folder" 2>/dev/null && [ "$tries" -gt 0 ]; do
  sleep 0.05
  tries=$((tries - 1))
done
exit "$code"
