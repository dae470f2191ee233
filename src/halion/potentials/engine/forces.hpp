// The end of the way back, in double precision: from dE/dr of the edges and dE/dtheta of the angles to forces and
// virial. With vector_b = r_centre - r_neighbour and g_b = dE/dvector_b: F_i = -sum g_b as a centre + sum g_b as a
// neighbour, dE/dstrain = sum vector_b (x) g_b.
#pragma once

#include "embed.hpp"

namespace halion {
namespace HALION_TARGET {

// arm_force: dE/dvector of each arm of a centre through the angles. theta = acos(kShrink u.u').
inline void angles_to_arms(const Job& job, int centre) {
    const Graph& graph = job.graph;
    const int begin = graph.arm_start[centre], n = graph.arm_start[centre + 1] - begin;
    const int base = graph.angle_start[centre];
    double* force = job.work.arm_force + 3L * begin;
    for (int k = 0; k < 3 * n; ++k) force[k] = 0;
    const auto pull = [&](int a) {
        Vec total{};
        for (int c = 0; c < kWidth; c += kLanes) {
            const long at = static_cast<long>(a) * kWidth + c;
            total += load(job.work.angle_grad + at) * load(job.work.angle_slope + at);
        }
        return static_cast<double>(sum(total));
    };
    for (int p = 0; p < n; ++p)
        for (int q = p + 1; q < n; ++q) {
            const Direction u = arm_direction(graph, begin + p), w = arm_direction(graph, begin + q);
            const double uw = cosine(u, w), c = uw * kShrink;
            const double by_theta = pull(base + p * (n - 1) + q - 1) + pull(base + q * (n - 1) + p);
            const double by_cosine = -by_theta * kShrink / sqrt((1 - c) * (1 + c));
            const double of_p = by_cosine / u.r, of_q = by_cosine / w.r;
            force[3 * p] += of_p * (w.x - uw * u.x);
            force[3 * p + 1] += of_p * (w.y - uw * u.y);
            force[3 * p + 2] += of_p * (w.z - uw * u.z);
            force[3 * q] += of_q * (u.x - uw * w.x);
            force[3 * q + 1] += of_q * (u.y - uw * w.y);
            force[3 * q + 2] += of_q * (u.z - uw * w.z);
        }
}

// dE/dvector of a bond.
inline void bond_force(const Job& job, int bond, double* g) {
    const Graph& graph = job.graph;
    const Work& work = job.work;
    const int edge = graph.first_edge[bond];
    double pull = work.edge_pull[edge] + work.edge_pull[graph.reverse[edge]];
    const int* arms = bond < graph.n_short ? graph.arms_of + 2 * bond : nullptr;
    if (arms) pull += work.arm_pull[arms[0]] + work.arm_pull[arms[1]] + work.bond_pull[bond];
    for (int k = 0; k < 3; ++k) {
        g[k] = pull * graph.vector[3L * bond + k] / graph.distance[bond];
        if (arms) g[k] += work.arm_force[3L * arms[0] + k] - work.arm_force[3L * arms[1] + k];
    }
}

inline void force_of_atom(const Job& job, int i) {
    const Graph& graph = job.graph;
    double force[3] = {}, virial[9] = {}, g[3];
    for (int e = graph.edge_start[i]; e < graph.edge_start[i + 1]; ++e) {
        const int bond = graph.bond[e];
        bond_force(job, bond, g);
        const bool is_first = graph.first_edge[bond] == e;
        for (int k = 0; k < 3; ++k) force[k] += is_first ? -g[k] : g[k];
        if (is_first)
            for (int k = 0; k < 9; ++k) virial[k] += graph.vector[3L * bond + k / 3] * g[k % 3];
    }
    __builtin_memcpy(job.work.force + 3L * i, force, sizeof force);
    __builtin_memcpy(job.work.virial + 9L * i, virial, sizeof virial);
}

}  // namespace HALION_TARGET
}  // namespace halion
