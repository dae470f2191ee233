"""One label or relaxation with GPAW, run by GPAW's own Python, alone or under MPI: gpaw_job.py JOB RESULT.

It imports nothing of halion: GPAW may live in an environment that has no halion. What it is told (`job.json`) and
what it answers (`result.json`, written by rank 0, whole or not at all) is plain JSON; see `gpaw.py`. A relaxation
is one process: GPAW carries density and waves from step to step, onto the plane waves of each new cell.
"""

import json
import os
import sys
import time

from ase import Atoms
from gpaw import GPAW, PW, FermiDirac, KohnShamConvergenceError
from gpaw import __version__ as gpaw_version
from gpaw.mpi import world
from relaxing import descend  # beside this file, which Python runs by its path

__all__ = ["main"]


def _calculator(job, cutoff):
    settings = job["gpaw"]
    return GPAW(
        mode=PW(cutoff),
        xc=job["functional"],
        kpts={"size": job["kpoints"], "gamma": True},
        occupations=FermiDirac(job["smearing"]),
        convergence={"energy": settings["energy"], "density": settings["density"]},
        eigensolver=settings["eigensolver"],
        mixer=settings["mixer"],
        nbands=settings["nbands"],
        maxiter=settings["maxiter"],
        # A hot frame has no symmetry but time reversal; looking for more would only find rounding.
        symmetry={"point_group": False, "time_reversal": True},
        txt="gpaw.txt",
    )


def _work(job):
    start = time.perf_counter()
    atoms = Atoms(job["numbers"], positions=job["positions"], cell=job["cell"], pbc=True)
    answer = {}
    if job["relax"] is not None:
        atoms.calc = _calculator(job, job["relax"]["cutoff"])
        answer |= descend(atoms, job["relax"], is_writer=world.rank == 0)._asdict()
        # From scratch: the label of the relaxed structure owes nothing to the waves of the steps before.
    atoms.calc = _calculator(job, job["cutoff"] if job["relax"] is None else job["relax"]["cutoff"])
    answer["energy"] = float(atoms.get_potential_energy())
    answer["forces"] = atoms.get_forces().tolist()
    answer["stress"] = atoms.get_stress(voigt=False).tolist()
    answer["positions"] = atoms.positions.tolist()
    answer["cell"] = atoms.cell.array.tolist()
    answer["n_iterations"] = int(atoms.calc.get_number_of_iterations())
    answer["bands"] = int(atoms.calc.get_number_of_bands())
    answer["reduced_kpoints"] = len(atoms.calc.get_ibz_k_points())
    return answer | {"version": gpaw_version, "wall_s": time.perf_counter() - start, "processes": world.size}


def main():
    """One job, from its file to its answer."""
    with open(sys.argv[1], encoding="utf-8") as handle:
        job = json.load(handle)
    try:
        answer = _work(job)
    except KohnShamConvergenceError as error:
        answer = {"not_converged": str(error), "version": gpaw_version}
    if world.rank == 0:
        with open(sys.argv[2] + ".part", "w", encoding="utf-8") as handle:
            json.dump(answer, handle)
        os.replace(sys.argv[2] + ".part", sys.argv[2])
    world.barrier()


if __name__ == "__main__":
    main()
