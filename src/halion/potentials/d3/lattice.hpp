// The lattice vectors that sums over images run through.
#pragma once

#include <vector>

#include "../engine/neighbours.hpp"
#include "kernels.hpp"

namespace halion {

inline Vector combined(const Cell& cell, double a, double b, double c) {
    Vector v;
    for (int k = 0; k < 3; ++k) v[k] = a * cell[0][k] + b * cell[1][k] + c * cell[2][k];
    return v;
}

// The same lattice by short vectors: none gets shorter by a multiple of another.
Cell reduced(Cell cell);

// For every vector d between two atoms the lattice vectors T with |d + T| < cutoff, and a few more. The vectors d next
// to zero fill one cell; it is cut into boxes, and the vectors of a box share their T.
class ImageLists {
   public:
    ImageLists(const Cell& cell, double cutoff);
    // Where a vector between atoms lies: d is its image next to zero.
    struct Pair {
        Vector d;
        Images images;
    };
    // From an atom to another, both by fractional coordinates within [0, 1).
    Pair of(const Vector& from, const Vector& to) const;
    // Those of an atom with its own images: all within the cutoff but T = 0.
    Pair of_self() const { return {{}, view(static_cast<int>(start_.size()) - 2)}; }

   private:
    void collect(const std::vector<Vector>& vectors, const Vector& centre, double radius, bool is_self);
    Images view(int list) const {
        return {&x_[start_[list]], &y_[start_[list]], &z_[start_[list]], count_[list]};
    }

    Cell cell_;
    std::array<int, 3> boxes_;
    std::vector<int> start_, count_;
    std::vector<double> x_, y_, z_;
};

}  // namespace halion
