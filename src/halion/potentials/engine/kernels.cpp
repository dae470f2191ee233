// One instruction set's build of the network: CMakeLists.txt compiles this file several times, each with its own
// HALION_TARGET (a namespace), HALION_LANES (floats of a vector) and flags. `run` is what every thread of a team does.
#include "bonds.hpp"
#include "forces.hpp"
#include "readout.hpp"

namespace halion {
namespace HALION_TARGET {
namespace {

// One thread's walk through a job. Every thread passes the same phases; in each, whoever is there takes the next
// piece, so that a thread that the machine has put aside delays nobody. Who does a piece does not change its result.
struct Worker {
    const Job& job;
    int thread;
    int phase = 0, first_open = 0;
    int pieces[Job::kPhases] = {};

    template <class Piece>
    void share(int n, Piece piece) {
        Progress& progress = job.progress[phase];
        int mine = 0;
        for (int k; (k = __atomic_fetch_add(&progress.taken, 1, __ATOMIC_RELAXED)) < n; ++mine) piece(k);
        if (mine > 0) __atomic_fetch_add(&progress.done, mine, __ATOMIC_RELEASE);
        pieces[phase++] = n;
    }

    // Until all pieces of all phases so far are done.
    void wait() {
        for (; first_open < phase; ++first_open)
            for (long spins = 0;
                 __atomic_load_n(&job.progress[first_open].done, __ATOMIC_ACQUIRE) < pieces[first_open]; ++spins)
                job.relax(spins);
    }

    template <class Do>
    void atoms(Do what) {
        const int n = job.graph.n_atoms;
        share((n + kAtomsPerItem - 1) / kAtomsPerItem, [&](int k) {
            const int end = (k + 1) * kAtomsPerItem;
            what(AtomRange{k * kAtomsPerItem, end < n ? end : n});
        });
    }

    template <class Do>
    void centres(Do what) {
        share(job.graph.n_angle_items,
              [&](int k) { what(AtomRange{job.graph.angle_item[k], job.graph.angle_item[k + 1]}); });
    }

    template <class Do>
    void tiles(int n, Do what) {
        share((n + kTile - 1) / kTile, [&](int k) {
            const int start = k * kTile;
            what(start, n - start < kTile ? n - start : kTile);
        });
    }

    float* kept_z(int layer, AtomRange range) const {
        if (layer == 3) return job.work.last_z + thread * job.work.last_z_size;
        return job.work.edge_z[layer] + static_cast<long>(job.graph.edge_start[range.begin]) * kPair;
    }

    void embed() {
        atoms([&](AtomRange range) {
            for (int i = range.begin; i < range.end; ++i) embed_atom(job, i);
        });
        tiles(job.graph.n_bonds, [&](int start, int rows) { embed_bonds(job, start, rows); });
        centres([&](AtomRange range) {
            for (int i = range.begin; i < range.end; ++i) embed_angles(job, i);
        });
        wait();
    }

    void forward(int layer) {
        atoms([&](AtomRange range) { atom_conv(job, layer, range, kept_z(layer, range)); });
        wait();
        centres([&](AtomRange range) { bond_conv(job, layer, range); });
        wait();
        tiles(job.graph.n_short, [&](int start, int rows) { bonds_update(job, layer, start, rows); });
        wait();
    }

    // The last layer's way back needs nothing of other atoms: its activations are used while they are near.
    void turn() {
        atoms([&](AtomRange range) {
            atom_conv(job, 3, range, kept_z(3, range));
            readout(job, range);
            atom_conv_back(job, 3, range, kept_z(3, range));
        });
        wait();
    }

    void backward(int layer) {
        atoms([&](AtomRange range) { atoms_back(job, layer + 1, range); });
        tiles(job.graph.n_short, [&](int start, int rows) { bonds_back(job, layer + 1, start, rows); });
        wait();
        centres([&](AtomRange range) { bond_conv_back(job, layer, range); });
        wait();
        atoms([&](AtomRange range) { atom_conv_back(job, layer, range, kept_z(layer, range)); });
        wait();
    }

    void forces() {
        tiles(job.graph.n_short, [&](int start, int rows) { bonds_back(job, 0, start, rows); });
        centres([&](AtomRange range) {
            for (int i = range.begin; i < range.end; ++i) angles_to_arms(job, i);
        });
        wait();
        atoms([&](AtomRange range) {
            for (int i = range.begin; i < range.end; ++i) force_of_atom(job, i);
        });
        wait();
    }
};

void run(const Job& job, int thread) {
    Worker worker{job, thread};
    worker.embed();
    for (int layer = 0; layer < 3; ++layer) worker.forward(layer);
    worker.turn();
    for (int layer = 2; layer >= 0; --layer) worker.backward(layer);
    worker.forces();
}

}  // namespace

#define HALION_TEXT(x) #x
#define HALION_NAME(x) HALION_TEXT(x)
extern const Kernels kernels;
const Kernels kernels{HALION_NAME(HALION_TARGET), kPanel, run};

}  // namespace HALION_TARGET
}  // namespace halion
