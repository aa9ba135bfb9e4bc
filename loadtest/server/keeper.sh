# Process 1 of a server's own process namespace (a session leader where there is no namespace).
# It ends when the server does, or when its input ends, for that means that the load test is
# gone; with it the kernel ends all that still runs. A line on the input asks the server to stop.
group=$1 pid_file=$2 logs=$3 prepare=$4 start=$5 stop=$6 tries=$7
exec 3<&0 0</dev/null
ulimit -Sn "$(ulimit -Hn)"

(
  exec 3<&-
  [ -z "$group" ] || echo 0 >"$group/cgroup.procs" || exit 1
  eval "$prepare" || exit 1
  [ -n "$pid_file" ] || eval "exec $start"
  eval "$start"
) &
server=$!

(
  if read -r _ <&3; then
    [ -z "$pid_file" ] || read -r server <"$pid_file"
    eval "$stop"
    while [ "$tries" -gt 0 ] && kill -0 "$server" 2>/dev/null; do
      sleep 0.1
      tries=$((tries - 1))
    done
    [ "$tries" -eq 0 ] || exit 0
  fi
  kill -s KILL 0
) &
reader=$!

# `wait` collects every child that ends, orphans of the server too.
wait "$server"
code=$?
if [ "$code" -ne 0 ]; then
  eval "tail -n 20 $logs /dev/null" 2>/dev/null
elif [ -n "$pid_file" ]; then
  wait "$reader"
fi
exit "$code"
