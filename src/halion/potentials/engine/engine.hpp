// CHGNet on the CPU: energies, forces and virials of batches of structures.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph.hpp"
#include "packed.hpp"
#include "team.hpp"
#include "workspace.hpp"

namespace halion {

// The builds that this machine can run, fastest first.
std::vector<const Kernels*> usable_kernels();

struct Batch {
    int n_structures;
    const int64_t *numbers, *counts;
    const double *positions, *cells;
    double *energies, *forces, *virials;  // results
};

class Engine {
   public:
    // kernels: name of a build, empty for the fastest.
    Engine(const PackedWeights::Source& source, int n_threads, double skin, const std::string& kernels);
    ~Engine();

    // A structure that cannot be evaluated (not finite, a singular or collapsed cell) gets results that are not
    // numbers; the others are not affected.
    void evaluate(const Batch& batch);

    const char* kernels() const { return kernels_->name; }
    int n_threads() const { return team_->size(); }
    size_t bytes() const { return workspace_.bytes() + builder_.bytes(); }
    long rebuilds() const { return rebuilds_; }

   private:
    struct Place {
        int structure, first_atom;
    };
    bool add(const Batch& batch, int structure, int first_atom);
    void finish(const Batch& batch);

    const Kernels* kernels_;
    PackedWeights weights_;
    std::unique_ptr<Team> team_;
    double skin_;
    std::vector<SkinnedList> lists_;  // by place in the batch
    std::vector<Place> pending_;      // what the graph holds
    std::vector<int> elements_;
    GraphBuilder builder_;
    Workspace workspace_;
    long rebuilds_ = 0;
};

}  // namespace halion
