// Neighbours within a radius in any lattice: small and skewed cells and images beyond the first included.
#pragma once

#include <array>
#include <vector>

namespace halion {

using Vector = std::array<double, 3>;
using Cell = std::array<Vector, 3>;  // row vectors

// All pairs within a radius, seen from both ends. Bond k joins a and b + shift and is kept once: a < b, or a == b and
// the shift is lexicographically positive. Edge e leaves centre i for neighbour[e] + shift[e], edges of a centre are
// start[i] <= e < start[i + 1], ordered by neighbour, then shift. Shifts are those of the positions as given.
struct NeighbourList {
    struct Bond {
        int a, b;
        std::array<int, 3> shift;
    };
    std::vector<Bond> bonds;
    std::vector<int> start, edge_bond;
    std::vector<bool> edge_is_first;  // the edge's centre is a, its shift the bond's
};

// vector = r_a - (r_b + shift . cell), always in this order of operations: the same bits whatever list it is from.
inline Vector bond_vector(const double* positions, const Cell& cell, const NeighbourList::Bond& bond) {
    Vector v;
    for (int k = 0; k < 3; ++k)
        v[k] = positions[3 * bond.a + k] - positions[3 * bond.b + k] -
               (bond.shift[0] * cell[0][k] + bond.shift[1] * cell[1][k] + bond.shift[2] * cell[2][k]);
    return v;
}

inline double squared_length(const Vector& v) { return v[0] * v[0] + v[1] * v[1] + v[2] * v[2]; }

double volume(const Cell& cell);  // signed
Cell inverse(const Cell& cell);   // columns are the reciprocal vectors: r . inverse = fractional

// All pairs closer than `radius`, and perhaps a few up to rounding beyond. The cell is not singular, the positions
// are finite. Throws std::length_error when there are more than 2^31 of them.
NeighbourList list_neighbours(const double* positions, int n, const Cell& cell, double radius);

}  // namespace halion
