#include "engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace halion {

#if defined(HALION_X86)
namespace avx512 {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
#endif
namespace portable {
extern const Kernels kernels;
}

namespace {

// Structures that are evaluated together have so many atoms: memory stays bounded, and most of it near the caches.
constexpr int kAtomsTogether = 128, kAtomsTogetherPerThread = 64;
constexpr double kSmallestVolume = 1;  // Angstrom^3 per atom: 900 neighbours; diamond has 5.7
constexpr double kMostSkew = 1e-6;     // volume over the product of the lengths below this: singular

bool all_finite(const double* values, size_t n) {
    return std::all_of(values, values + n, [](double x) { return std::isfinite(x); });
}

Cell cell_of(const Batch& batch, int structure) {
    Cell cell;
    std::memcpy(cell.data(), batch.cells + 9 * structure, sizeof cell);
    return cell;
}

bool is_usable(const Batch& batch, int structure, int first_atom) {
    const int n = static_cast<int>(batch.counts[structure]);
    const Cell cell = cell_of(batch, structure);
    if (!all_finite(batch.cells + 9 * structure, 9) || !all_finite(batch.positions + 3 * first_atom, 3 * n))
        return false;
    double lengths = 1;
    for (const Vector& v : cell) lengths *= std::sqrt(squared_length(v));
    const double v = std::fabs(volume(cell));
    return v > kMostSkew * lengths && v > kSmallestVolume * n;
}

void fill_nan(const Batch& batch, int structure, int first_atom) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    batch.energies[structure] = nan;
    std::fill_n(batch.forces + 3 * first_atom, 3 * batch.counts[structure], nan);
    std::fill_n(batch.virials + 9 * structure, 9, nan);
}

const Kernels* choose(const std::string& name) {
    for (const Kernels* one : usable_kernels())
        if (name.empty() || name == one->name) return one;
    throw std::invalid_argument("this machine has no kernels named " + name);
}

}  // namespace

std::vector<const Kernels*> usable_kernels() {
    std::vector<const Kernels*> usable;
#if defined(HALION_X86)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi2");
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        usable.push_back(&avx512::kernels);
    if (has_avx2) usable.push_back(&avx2::kernels);
#endif
    usable.push_back(&portable::kernels);
    return usable;
}

Engine::Engine(const PackedWeights::Source& source, int n_threads, double skin, const std::string& kernels)
    : kernels_(choose(kernels)), weights_(source, kernels_->panel), team_(new Team(n_threads)), skin_(skin) {}

// The threads of a team of another process are not there to be waited for: such a team is left as it is.
Engine::~Engine() {
    if (!team_->is_of_this_process()) (void)team_.release();
}

void Engine::evaluate(const Batch& batch) {
    if (!team_->is_of_this_process()) {
        Team* replacement = new Team(team_->size());
        (void)team_.release();
        team_.reset(replacement);
    }
    lists_.resize(batch.n_structures);
    builder_.clear();
    pending_.clear();
    const int most = std::max(kAtomsTogether, kAtomsTogetherPerThread * team_->size());
    int first_atom = 0, n_pending = 0;
    for (int k = 0; k < batch.n_structures; ++k) {
        const int n = static_cast<int>(batch.counts[k]);
        if (n_pending > 0 && n_pending + n > most) {
            finish(batch);
            n_pending = 0;
        }
        if (is_usable(batch, k, first_atom) && add(batch, k, first_atom))
            n_pending += n;
        else
            fill_nan(batch, k, first_atom);
        first_atom += n;
    }
    if (n_pending > 0) finish(batch);
}

// False when there is no neighbour list: positions that are too far away to be told apart.
bool Engine::add(const Batch& batch, int structure, int first_atom) {
    const int n = static_cast<int>(batch.counts[structure]);
    const double* positions = batch.positions + 3 * first_atom;
    const Cell cell = cell_of(batch, structure);
    elements_.resize(n);
    for (int i = 0; i < n; ++i) elements_[i] = static_cast<int>(batch.numbers[first_atom + i]) - 1;
    try {
        const NeighbourList& list = lists_[structure].update(positions, n, cell, skin_);
        rebuilds_ += lists_[structure].was_rebuilt();
        builder_.add(elements_.data(), positions, n, cell, list);
    } catch (const std::length_error&) {
        return false;
    }
    pending_.push_back({structure, first_atom});
    return true;
}

// Evaluates what was added, and starts an empty graph.
void Engine::finish(const Batch& batch) {
    Job job;
    job.graph = builder_.finish();
    job.weights = &weights_.get();
    job.work = workspace_.reserve(job.graph, builder_.most_edges_of_item(), team_->size());
    Progress progress[Job::kPhases];
    job.progress = progress;
    job.relax = relax;
    team_->run([&](int thread) { kernels_->run(job, thread); });
    int at = 0;
    for (const Place& place : pending_) {
        double energy = 0, virial[9] = {};
        const int n = static_cast<int>(batch.counts[place.structure]);
        for (int i = at; i < at + n; ++i) {
            energy += job.work.site_energy[i];
            for (int k = 0; k < 9; ++k) virial[k] += job.work.virial[9 * i + k];
        }
        batch.energies[place.structure] = energy;
        std::copy_n(virial, 9, batch.virials + 9 * place.structure);
        std::copy_n(job.work.force + 3 * at, 3 * n, batch.forces + 3 * place.first_atom);
        at += n;
    }
    builder_.clear();
    pending_.clear();
}

}  // namespace halion
