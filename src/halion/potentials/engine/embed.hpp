// The start: features of atoms, bonds and angles, the weights of messages, and the first layers that act on them
// alone; with every quantity of a bond its slope along r, with every quantity of an angle its slope along theta.
#pragma once

#include "bases.hpp"
#include "gemm.hpp"

namespace halion {
namespace HALION_TARGET {

// Before acos, as in the model: the slope stays finite at 180 degrees.
constexpr double kShrink = 1 - 1e-6;

inline void embed_atom(const Job& job, int i) {
    const long z = job.graph.element[i];
    __builtin_memcpy(job.work.atoms + static_cast<long>(i) * kWidth, job.weights->embedding + z * kWidth,
                     sizeof(float) * kWidth);
    __builtin_memcpy(job.work.atom_table[0] + static_cast<long>(i) * kInputs,
                     job.weights->element_inputs + z * 2 * kPair, sizeof(float) * 2 * kPair);
}

// Value and slope of one linear map of the basis.
inline void map_basis(int rows, const float* value, const float* slope, const Matrix& w, float* to, float* slope_to) {
    multiply(rows, value, kBasis, w, Start{kZeros, 0}, to, w.width);
    multiply(rows, slope, kBasis, w, Start{kZeros, 0}, slope_to, w.width);
}

inline void embed_short_bonds(const Job& job, int start, int rows, const float* value, const float* slope) {
    const Work& work = job.work;
    const Weights& w = *job.weights;
    const long row = static_cast<long>(start) * kWidth;
    map_basis(rows, value, slope, w.bond_embedding, work.bonds + row, work.bond_start_slope + row);
    multiply(rows, work.bonds + row, kWidth, w.bond_inputs[0], Start{kZeros, 0},
             work.bond_table[0] + static_cast<long>(start) * kInputs, kInputs);
    // After layer 0 the features of short bonds change; their slope is followed through bond_grad instead.
    for (int l = 1; l < 4; ++l)
        __builtin_memset(work.edge_slope[l] + static_cast<long>(start) * kPair, 0, sizeof(float) * rows * kPair);
    alignas(64) float near[kTile * kBasis], near_slope[kTile * kBasis];
    for (int r = 0; r < rows; ++r)
        radial_basis(w.frequencies3, 3.0, job.graph.distance[start + r], near + r * kBasis, near_slope + r * kBasis);
    map_basis(rows, near, near_slope, w.bond_weight, work.bond_weight + row, work.bond_weight_slope + row);
}

inline void embed_bonds(const Job& job, int start, int rows) {
    const Work& work = job.work;
    const Weights& w = *job.weights;
    alignas(64) float value[kTile * kBasis], slope[kTile * kBasis];
    for (int r = 0; r < rows; ++r)
        radial_basis(w.frequencies6, 6.0, job.graph.distance[start + r], value + r * kBasis, slope + r * kBasis);
    const long row = static_cast<long>(start) * kWidth;
    map_basis(rows, value, slope, w.atom_weight, work.message_weight + row, work.message_slope + row);
    for (int l = 0; l < 4; ++l)
        map_basis(rows, value, slope, w.atom[l].edge_basis, work.edge_in[l] + 2 * row, work.edge_slope[l] + 2 * row);
    const int n_short = job.graph.n_short - start < rows ? job.graph.n_short - start : rows;
    if (n_short > 0) embed_short_bonds(job, start, n_short, value, slope);
}

struct Direction {
    double x, y, z, r;
};

// Unit vector of an arm, towards its centre, and its length.
inline Direction arm_direction(const Graph& graph, int arm) {
    const long bond = graph.arm_bond[arm];
    const double* v = graph.vector + 3 * bond;
    const double r = graph.distance[bond];
    const double scale = (graph.first_edge[bond] == graph.arm_edge[arm] ? 1 : -1) / r;
    return {v[0] * scale, v[1] * scale, v[2] * scale, r};
}

inline double cosine(const Direction& p, const Direction& q) { return p.x * q.x + p.y * q.y + p.z * q.z; }

// Angle (p, q) and angle (q, p) start alike: both are computed at once.
inline void embed_angles(const Job& job, int centre) {
    const Graph& graph = job.graph;
    const int begin = graph.arm_start[centre], n = graph.arm_start[centre + 1] - begin;
    const int base = graph.angle_start[centre];
    alignas(64) float value[kTile * kBasis], slope[kTile * kBasis], mapped[2][kTile * kWidth];
    int twin[kTile][2], rows = 0;
    const auto flush = [&] {
        map_basis(rows, value, slope, job.weights->angle_embedding, mapped[0], mapped[1]);
        for (int r = 0; r < rows; ++r)
            for (int a : twin[r]) {
                const long to = static_cast<long>(a) * kWidth;
                __builtin_memcpy(job.work.angles + to, mapped[0] + r * kWidth, sizeof(float) * kWidth);
                __builtin_memcpy(job.work.angle_slope + to, mapped[1] + r * kWidth, sizeof(float) * kWidth);
            }
        rows = 0;
    };
    for (int p = 0; p < n; ++p)
        for (int q = p + 1; q < n; ++q) {
            const double c = cosine(arm_direction(graph, begin + p), arm_direction(graph, begin + q)) * kShrink;
            angular_basis(job.weights->angle_frequencies, acos(c), value + rows * kBasis, slope + rows * kBasis);
            twin[rows][0] = base + p * (n - 1) + q - 1;
            twin[rows][1] = base + q * (n - 1) + p;
            if (++rows == kTile) flush();
        }
    if (rows > 0) flush();
}

}  // namespace HALION_TARGET
}  // namespace halion
