#!/usr/bin/env bash
# Installs (Debian) and starts a Grid Engine of one node on this machine: what `kind = "queue"` is tested on beside Slurm.
# Needs root. Does nothing where a Grid Engine answers already.
set -euo pipefail

# A node that has not reported yet, or no longer does, has no architecture, or a state.
answers() { timeout 10 qstat -f 2>/dev/null | grep -q 'main.q@localhost.*lx-[a-z0-9]* *$'; }

if answers; then
    echo 'Grid Engine runs already'
    exit
fi
debconf-set-selections <<CONF
gridengine-master shared/gridengineconfig boolean true
gridengine-master shared/gridenginecell string default
gridengine-master shared/gridenginemaster string localhost
CONF
if ! command -v sge_qmaster >/dev/null || ! command -v sge_execd >/dev/null || ! command -v qsub >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        gridengine-master gridengine-exec gridengine-client >/dev/null
fi

# One name for this machine.
echo "localhost $(hostname)" >/var/lib/gridengine/default/common/host_aliases
if master=$(cat /var/spool/gridengine/qmaster/qmaster.pid 2>/dev/null) && kill "$master" 2>/dev/null; then
    while kill -0 "$master" 2>/dev/null; do sleep 0.1; done
fi
su -s /bin/sh sgeadmin -c sge_qmaster &>/dev/null
conf=$(mktemp -d)
for _ in $(seq 30); do
    qconf -sconf >"$conf/global" 2>/dev/null && break
    sleep 1
done
# For tests that wait: root may run jobs, which start at once.
sed -i 's/^\(min_[ug]id\) .*/\1 0/' "$conf/global"
qconf -Mconf "$conf/global" >/dev/null
qconf -ssconf | sed 's/^\(schedule_interval\) .*/\1 0:0:1/; s/^\(flush_[a-z]*_sec\) .*/\1 1/' >"$conf/scheduler"
qconf -Msconf "$conf/scheduler" >/dev/null
qconf -ah localhost &>/dev/null || true
qconf -as localhost &>/dev/null || true
sge_execd &>/dev/null
qconf -sq | sed 's/^\(qname\) .*/\1 main.q/; s/^\(hostlist\) .*/\1 localhost/; s/^\(slots\) .*/\1 16/
    s/^\(shell\) .*/\1 \/bin\/sh/; s/^\(load_thresholds\) .*/\1 NONE/; s/^\(pe_list\) .*/\1 NONE/' >"$conf/queue"
qconf -sq main.q &>/dev/null || qconf -Aq "$conf/queue" >/dev/null
rm -r "$conf"
for _ in $(seq 60); do
    if answers; then
        qstat -f
        exit
    fi
    sleep 1
done
echo 'Grid Engine does not come up:' >&2
tail -n 20 /var/spool/gridengine/qmaster/messages /var/spool/gridengine/execd/*/messages >&2
exit 1
