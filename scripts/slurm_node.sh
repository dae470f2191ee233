#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, reached through the loopback alone: for the tests with the marker slurm.
#
#   scripts/slurm_node.sh install            slurm-wlm and munge from Debian or Ubuntu (as root)
#   scripts/slurm_node.sh start FOLDER       configuration, state and logs in FOLDER (as root, without systemd)
#   export SLURM_CONF=FOLDER/slurm.conf      then sbatch, squeue, scancel and halion --site find it
#   scripts/slurm_node.sh status FOLDER
#   scripts/slurm_node.sh stop FOLDER
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }

configuration() { # FOLDER
    local cores memory
    cores=$(nproc)
    memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.8) }' /proc/meminfo)
    cat <<END
ClusterName=halion
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$1/state
SlurmdSpoolDir=$1/spool
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
KillWait=10
OverTimeLimit=0
SchedulerParameters=sched_interval=2,sched_min_interval=0
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
}

install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null
}

start() { # FOLDER
    local folder
    mkdir -p "$1/state" "$1/spool"
    folder=$(cd "$1" && pwd)
    configuration "$folder" > "$folder/slurm.conf"
    export SLURM_CONF=$folder/slurm.conf
    if ! pgrep -x munged > /dev/null; then
        [ -s /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; }
        chown munge:munge /etc/munge/munge.key && chmod 400 /etc/munge/munge.key
        mkdir -p /run/munge && chown munge:munge /run/munge && chmod 755 /run/munge
        runuser -u munge -- munged
    fi
    slurmctld
    slurmd
    for _ in $(seq 60); do
        if [ "$(sinfo --noheader --format=%t 2> /dev/null)" = idle ]; then
            echo "export SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 0.5
    done
    echo "the node did not come up; look at $folder/slurmctld.log and $folder/slurmd.log" >&2
    exit 1
}

stop() { # FOLDER
    local pid
    for daemon in slurmd slurmctld; do
        pid=$(cat "$1/$daemon.pid" 2> /dev/null) || continue
        kill "$pid" 2> /dev/null || true
        while kill -0 "$pid" 2> /dev/null; do sleep 0.2; done
    done
}

status() { # FOLDER
    SLURM_CONF=$(cd "$1" && pwd)/slurm.conf
    export SLURM_CONF
    sinfo
    squeue
}

case "${1:-}" in
    install) install ;;
    start | stop | status) [ -n "${2:-}" ] || usage; "$1" "$2" ;;
    *) usage ;;
esac
