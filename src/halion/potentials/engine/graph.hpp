// The graph of a batch of structures, assembled from their neighbour lists at every step.
#pragma once

#include <cstddef>

#include "neighbours.hpp"
#include "tables.hpp"

namespace halion {

constexpr double kAtomCutoff = 6, kBondCutoff = 3;  // Angstrom

// A neighbour list with a skin: pairs up to cutoff + skin, good until atoms or lattice have moved too far. What is
// taken from it is filtered by the exact distance, so results do not depend on its age.
class SkinnedList {
   public:
    // The list for these positions; built anew when the old one might miss a pair.
    const NeighbourList& update(const double* positions, int n, const Cell& cell, double skin);
    bool was_rebuilt() const { return was_rebuilt_; }

   private:
    bool is_good(const double* positions, int n, const Cell& cell, double skin) const;
    NeighbourList list_;
    std::vector<double> positions_;
    Cell cell_{};
    bool was_rebuilt_ = false;
};

class GraphBuilder {
   public:
    void clear();
    // Appends a structure; elements are Z - 1.
    void add(const int* elements, const double* positions, int n, const Cell& cell, const NeighbourList& list);
    // The graph of what was added; valid until the next clear().
    Graph finish();
    int most_edges_of_item() const;
    size_t bytes() const;

   private:
    void add_bonds(const double* positions, const Cell& cell, const NeighbourList& list);
    void number_bonds();
    void add_arms();
    void add_angles();

    std::vector<int> element_, edge_start_, arm_start_, angle_start_, centre_, neighbour_, bond_, reverse_;
    std::vector<int> first_edge_, arm_edge_, arm_bond_, arms_of_, first_, second_, angle_item_;
    std::vector<int> kept_, met_;  // of a list's bonds: number or -1; of bonds: the edge that was met, or -1
    std::vector<double> vector_, distance_, raw_vector_, raw_distance_;
    int n_short_ = 0;
};

}  // namespace halion
