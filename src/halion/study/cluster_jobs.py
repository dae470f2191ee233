"""Parsl's side of a cluster: its configuration from a site file, and what of it needs care.

- Calls are functions of modules and plain values; Parsl's own memory of finished calls is off.
- Interchange and workers are started by this Python, whatever `PATH` says; the interchange dies with its driver.
- Without Slurm's accounting Parsl asks squeue, which fails for a job that it has forgotten: that one has ended.
- `exclusive` is off unless asked for: two pools would wait for each other on a cluster of one node.
- Managers take no new task in the last minutes of a batch job.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

from halion.errors import EngineError, MissingDependency
from halion.settings_site import PoolSettings, SiteSettings
from halion.study.cluster_worker import ENDS

__all__ = ["Kernel", "cancel_jobs_of", "parsl_kernel"]

_HEARTBEAT_S, _LOST_AFTER_S = 10, 60
_ASK_EVERY_S = 15
_POOLS = "parsl.executors.high_throughput"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Kernel:
    """Parsl's kernel and a way to call functions in a pool."""

    dfk: Any

    def submit(self, function: Callable[..., Any], pool: str, *arguments: Any) -> Future[Any]:
        """Call a module's function with plain values on a worker of a pool."""
        return self.dfk.submit(
            function, app_args=arguments, app_kwargs={}, executors=[pool], cache=False, ignore_for_cache=[]
        )


@contextmanager
def parsl_kernel(
    pools: dict[str, PoolSettings], site: SiteSettings, folder: Path, session: str
) -> Iterator[Kernel]:
    """Pools of workers, made as tasks ask for them and given back when idle or at the end.

    Args:
        pools: by name.
        site: of the site file: the address of this machine.
        folder: for Parsl's files and the output of batch jobs.
        session: part of the names of the batch jobs.
    Raises:
        MissingDependency: no Parsl.
        EngineError: no Slurm on this machine.
    """
    try:
        import parsl
        from parsl.dataflow.dflow import DataFlowKernel
    except ImportError as error:
        raise MissingDependency("a cluster needs Parsl", fix='pip install "halion[cluster]"') from error
    for name, pool in pools.items():
        _refuse_no_slurm(name, pool)
    config = parsl.Config(
        executors=[_executor(name, pool, site, folder, session) for name, pool in pools.items()],
        run_dir=str(folder / "parsl"),
        strategy="simple",
        strategy_period=2,
        retries=0,
        usage_tracking=0,
    )
    dfk = DataFlowKernel(config)
    try:
        yield Kernel(dfk)
    finally:
        dfk.cleanup()


def _refuse_no_slurm(name: str, pool: PoolSettings) -> None:
    if pool.provider == "slurm" and which("sbatch") is None:
        raise EngineError(
            "there is no Slurm on this machine: sbatch is not found",
            where=f"{name}.provider of the site file",
            fix="type the command on a login node of the cluster, or use provider: local",
        )


def _executor(name: str, pool: PoolSettings, site: SiteSettings, folder: Path, session: str) -> Any:
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

    work_s = pool.walltime_s - pool.margin_s
    is_local = pool.provider == "local"
    return HighThroughputExecutor(
        label=name,
        provider=_local(pool) if is_local else _slurm(pool, session),
        address="127.0.0.1" if is_local else site.address,
        launch_cmd=DEFAULT_LAUNCH_CMD.replace(
            "process_worker_pool.py", f"{sys.executable} -m {_POOLS}.process_worker_pool", 1
        ),
        interchange_launch_cmd=[sys.executable, "-m", "halion.study.cluster_interchange"],
        max_workers_per_node=pool.workers_per_node,
        cores_per_worker=1e-6,  # max_workers_per_node alone decides
        available_accelerators=pool.gpus_per_node,
        heartbeat_period=_HEARTBEAT_S,
        heartbeat_threshold=_LOST_AFTER_S,
        drain_period=None if is_local else max(1, round(work_s - pool.margin_s)),
        worker_logdir_root=str(folder / "workers"),
    )


def _setup(pool: PoolSettings) -> str:
    lines = [f"export {name}={pool.threads_per_worker}" for name in _THREADS]
    if pool.provider == "slurm":
        lines.append(f"export {ENDS}=$(( $(date +%s) + {round(pool.walltime_s - pool.margin_s)} ))")
    return "\n".join([*lines, pool.setup])


def _local(pool: PoolSettings) -> Any:
    from parsl.providers import LocalProvider

    return LocalProvider(init_blocks=0, min_blocks=0, max_blocks=pool.max_jobs, worker_init=_setup(pool))


def _slurm(pool: PoolSettings, session: str) -> Any:
    from parsl.launchers import SrunLauncher
    from parsl.providers import SlurmProvider

    class Provider(SlurmProvider):
        """Slurm's jobs, named after the session, and ended when squeue has forgotten them."""

        @property
        def status_polling_interval(self) -> int:
            return _ASK_EVERY_S

        def submit(self, command: str, tasks_per_node: int, job_name: str = "halion") -> str:
            return super().submit(command, tasks_per_node, f"{job_name}.halion-{session}")

        def execute_wait(self, cmd: str, *rest: Any, **named: Any) -> tuple[int | None, str, str]:
            code, said, complained = super().execute_wait(cmd, *rest, **named)
            if cmd.startswith("squeue") and code and "Invalid job id" in complained:
                return 0, said, complained
            return code, said, complained

    nodes = {"launcher": SrunLauncher()} if pool.nodes > 1 else {}
    return Provider(
        partition=pool.partition,
        account=pool.account,
        qos=pool.qos,
        nodes_per_block=pool.nodes,
        cores_per_node=pool.workers_per_node * pool.threads_per_worker,
        mem_per_node=pool.memory_gb,
        gpus_per_node=pool.gpus_per_node or None,
        init_blocks=0,
        min_blocks=0,
        max_blocks=pool.max_jobs,
        walltime=_hours(pool.walltime_s),
        scheduler_options="\n".join(f"#SBATCH {option}" for option in pool.options),
        worker_init=_setup(pool),
        exclusive=pool.exclusive,
        **nodes,
    )


def _hours(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest:02d}"


def cancel_jobs_of(session: str) -> None:
    """Cancel the batch jobs of Slurm, if there are any, that an earlier driver left behind."""
    if which("squeue") is None:
        return
    ask = ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i %j"]
    try:
        lines = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False).stdout.splitlines()
        mine = [line.split()[0] for line in lines if f"halion-{session}" in line]
        if mine:
            subprocess.run(["scancel", *mine], timeout=60, check=False, capture_output=True)
    except (OSError, subprocess.TimeoutExpired):
        return  # they stop by themselves when they see the new session
