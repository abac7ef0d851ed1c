#!/usr/bin/env bash
# Installs (Debian) and starts a Slurm of one node on this machine, without systemd, cgroups or accounting: what
# tests/slurm.rs runs against. Needs root. Does nothing where a Slurm answers already.
set -euo pipefail

if scontrol ping 2>/dev/null | grep -q 'is UP'; then
    echo 'Slurm runs already'
    exit
fi
missing=$(for program in sbatch slurmctld slurmd munged; do command -v "$program" >/dev/null || echo "$program"; done)
if [ -n "$missing" ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
fi

host=$(hostname -s)
cat >/etc/slurm/slurm.conf <<CONF
ClusterName=admire-tests
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
# For tests that wait: jobs start at once, end soon after they are told to, and are forgotten only when the tests are over.
SchedulerParameters=batch_sched_delay=0,sched_interval=1
KillWait=2
MinJobAge=600
# Jobs share processors, so that tests can run side by side.
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
CONF
mkdir -p /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /var/log/slurm

# The packaged key, as the user that owns it.
install -d -o munge -g munge /run/munge
pgrep -x munged >/dev/null || su -s /bin/sh munge -c /usr/sbin/munged
slurmctld
slurmd
for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
        sinfo
        exit
    fi
    sleep 1
done
echo 'Slurm does not come up:' >&2
tail -n 20 /var/log/slurm/*.log >&2
exit 1
