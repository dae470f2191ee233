// Angles: AngleUpdate l-1, t_a += gated(first e_b + second e_b' + angle t_a + centre v_c), followed by BondConv l,
// e_b += out sum_a gated(first e_b + second e_b' + angle t_a + centre v_c) w_b w_b' over the angles a = (b, b').
// Both in one walk over the angles of a centre. Angles of an arm follow each other; sums over angles are kept per
// arm and joined per bond afterwards (bonds.hpp).
#pragma once

#include "atom_conv.hpp"

namespace halion {
namespace HALION_TARGET {

// The arms and bonds of an angle.
struct AngleEnds {
    int first_arm, second_arm;
    long first, second, centre;
};

inline AngleEnds angle_ends(const Graph& graph, int a) {
    const int first = graph.first[a], second = graph.second[a];
    return {first, second, graph.arm_bond[first], graph.arm_bond[second], graph.centre[graph.arm_edge[first]]};
}

// pre = first + second + centre parts of the first layer, for a tile of angles. The parts start at these columns.
inline void angle_inputs(const Job& job, int layer, const float* centre_table, int column, int centre_column, int start,
                         int rows, float* pre) {
    for (int r = 0; r < rows; ++r) {
        const AngleEnds ends = angle_ends(job.graph, start + r);
        const float* first = job.work.bond_table[layer] + ends.first * kInputs + column;
        const float* second = job.work.bond_table[layer] + ends.second * kInputs + column + kPair;
        const float* centre = centre_table + ends.centre * kInputs + centre_column;
        for (int c = 0; c < kPair; c += kLanes)
            store(pre + r * kPair + c, load(first + c) + load(second + c) + load(centre + c));
    }
}

// AngleUpdate `layer` - 1 of a tile.
inline void angle_update(const Job& job, int layer, int start, int rows) {
    const AngleWeights& w = job.weights->angle[layer - 1];
    float* z = job.work.angle_z[layer - 1] + static_cast<long>(start) * kPair;
    float* angles = job.work.angles + static_cast<long>(start) * kWidth;
    angle_inputs(job, layer, job.work.atom_table[layer], 2 * kPair, 3 * kPair, start, rows, z);
    multiply(rows, angles, kWidth, w.angle, Start{z, kPair}, z, kPair);
    alignas(64) float inverse[2 * kTile];
    inverse_rms(rows, z, inverse);
    for (int r = 0; r < rows; ++r) {
        Vec change[kVectors];
        gate(z + r * kPair, inverse + 2 * r, w.scale, w.shift, change);
        for (int v = 0; v < kVectors; ++v) {
            float* t = angles + r * kWidth + v * kLanes;
            store(t, load(t) + change[v]);
        }
    }
}

// Messages of BondConv `layer` from a tile of angles, added to their first arms.
inline void bond_messages(const Job& job, int layer, int start, int rows) {
    const BondWeights& w = job.weights->bond[layer];
    alignas(64) float hidden[kTile * kPair], inverse[2 * kTile];
    float* pre = job.work.bond_pre[layer] + static_cast<long>(start) * kPair;
    float* z = job.work.bond_z[layer] + static_cast<long>(start) * kPair;
    angle_inputs(job, layer, job.work.atom_table[layer + 1], 0, 2 * kPair, start, rows, pre);
    multiply(rows, job.work.angles + static_cast<long>(start) * kWidth, kWidth, w.angle, Start{pre, kPair}, pre, kPair);
    for (int c = 0; c < rows * kPair; c += kLanes) store(hidden + c, silu(load(pre + c)));
    second_layer(rows, hidden, w.gated, z);
    inverse_rms(rows, z, inverse);
    for (int r = 0; r < rows; ++r) {
        const AngleEnds ends = angle_ends(job.graph, start + r);
        Vec message[kVectors];
        gate(z + r * kPair, inverse + 2 * r, w.gated.scale, w.gated.shift, message);
        const float* one = job.work.bond_weight + ends.first * kWidth;
        const float* other = job.work.bond_weight + ends.second * kWidth;
        float* total = job.work.arm_sum + static_cast<long>(ends.first_arm) * kWidth;
        for (int v = 0; v < kVectors; ++v) {
            const int c = v * kLanes;
            store(total + c, load(total + c) + message[v] * (load(one + c) * load(other + c)));
        }
    }
}

inline void bond_conv(const Job& job, int layer, AtomRange centres) {
    const Graph& graph = job.graph;
    const int first_arm = graph.arm_start[centres.begin], last_arm = graph.arm_start[centres.end];
    clear(job.work.arm_sum + static_cast<long>(first_arm) * kWidth, static_cast<long>(last_arm - first_arm) * kWidth);
    const int last = graph.angle_start[centres.end];
    for (int start = graph.angle_start[centres.begin]; start < last; start += kTile) {
        const int rows = last - start < kTile ? last - start : kTile;
        if (layer > 0) angle_update(job, layer, start, rows);
        bond_messages(job, layer, start, rows);
    }
}

inline void add_row(float* total, const float* row) {
    for (int c = 0; c < kPair; c += kLanes) store(total + c, load(total + c) + load(row + c));
}

// Adds a tile's first-layer gradients to their arms: as first bond at `column`, as second 128 further.
inline void arms_back(const Job& job, int column, int start, int rows, const float* grad) {
    for (int r = 0; r < rows; ++r) {
        float* first = job.work.arm_grad + static_cast<long>(job.graph.first[start + r]) * kInputs + column;
        float* second = job.work.arm_grad + static_cast<long>(job.graph.second[start + r]) * kInputs + column + kPair;
        add_row(first, grad + r * kPair);
        add_row(second, grad + r * kPair);
    }
}

inline void bond_messages_back(const Job& job, int layer, int start, int rows) {
    const BondWeights& w = job.weights->bond[layer];
    const Work& work = job.work;
    alignas(64) float z_grad[kTile * kPair], hidden_grad[kTile * kPair], inverse[2 * kTile], along[2 * kTile];
    const float* pre = work.bond_pre[layer] + static_cast<long>(start) * kPair;
    const float* z = work.bond_z[layer] + static_cast<long>(start) * kPair;
    inverse_rms(rows, z, inverse);
    for (int r = 0; r < rows; ++r) {
        const AngleEnds ends = angle_ends(job.graph, start + r);
        const float *sum_grad = work.gathered_grad + ends.first * kWidth, *one = work.bond_weight + ends.first * kWidth,
                    *other = work.bond_weight + ends.second * kWidth;
        const float *one_slope = work.bond_weight_slope + ends.first * kWidth,
                    *other_slope = work.bond_weight_slope + ends.second * kWidth;
        Vec grad[kVectors], message[kVectors], one_pull{}, other_pull{};
        for (int v = 0; v < kVectors; ++v) {
            const int c = v * kLanes;
            grad[v] = load(sum_grad + c) * (load(one + c) * load(other + c));
        }
        gate_back(z + r * kPair, inverse + 2 * r, w.gated.scale, w.gated.shift, grad, z_grad + r * kPair, along + 2 * r,
                  message);
        for (int v = 0; v < kVectors; ++v) {
            const int c = v * kLanes;
            const Vec x = load(sum_grad + c) * message[v];
            one_pull += x * load(other + c) * load(one_slope + c);
            other_pull += x * load(one + c) * load(other_slope + c);
        }
        work.arm_pull[ends.first_arm] += sum(one_pull);
        work.arm_pull[ends.second_arm] += sum(other_pull);
    }
    inverse_rms_back(rows, z, inverse, along, z_grad);
    second_layer_back(rows, z_grad, w.gated, hidden_grad);
    for (int c = 0; c < rows * kPair; c += kLanes)
        store(z_grad + c, silu_back(load(pre + c), load(hidden_grad + c)));
    arms_back(job, 0, start, rows, z_grad);
    float* angle_grad = work.angle_grad + static_cast<long>(start) * kWidth;
    multiply(rows, z_grad, kPair, w.angle_back, layer == 2 ? Start{kZeros, 0} : Start{angle_grad, kWidth}, angle_grad,
             kWidth);
}

inline void angle_update_back(const Job& job, int layer, int start, int rows) {
    const AngleWeights& w = job.weights->angle[layer - 1];
    alignas(64) float z_grad[kTile * kPair], inverse[2 * kTile], along[2 * kTile];
    const float* z = job.work.angle_z[layer - 1] + static_cast<long>(start) * kPair;
    float* angle_grad = job.work.angle_grad + static_cast<long>(start) * kWidth;
    inverse_rms(rows, z, inverse);
    for (int r = 0; r < rows; ++r) {
        Vec grad[kVectors], change[kVectors];
        for (int v = 0; v < kVectors; ++v) grad[v] = load(angle_grad + r * kWidth + v * kLanes);
        gate_back(z + r * kPair, inverse + 2 * r, w.scale, w.shift, grad, z_grad + r * kPair, along + 2 * r, change);
    }
    inverse_rms_back(rows, z, inverse, along, z_grad);
    arms_back(job, 2 * kPair, start, rows, z_grad);
    multiply(rows, z_grad, kPair, w.angle_back, Start{angle_grad, kWidth}, angle_grad, kWidth);
}

// The centres' part: every angle has one first arm, so the sum over a centre's angles is that over its arms.
inline void centres_back(const Job& job, int layer, AtomRange centres) {
    const Graph& graph = job.graph;
    for (int i = centres.begin; i < centres.end; ++i) {
        alignas(64) float total[2][kPair] = {};
        for (int arm = graph.arm_start[i]; arm < graph.arm_start[i + 1]; ++arm) {
            const float* grad = job.work.arm_grad + static_cast<long>(arm) * kInputs;
            add_row(total[0], grad);
            if (layer > 0) add_row(total[1], grad + 2 * kPair);
        }
        float* grad = job.work.atom_grad + static_cast<long>(i) * kWidth;
        multiply(1, total[0], kPair, job.weights->bond[layer].centre_back, Start{grad, kWidth}, grad, kWidth);
        if (layer > 0)
            multiply(1, total[1], kPair, job.weights->angle[layer - 1].centre_back, Start{kZeros, 0},
                     job.work.atom_pending + static_cast<long>(i) * kWidth, kWidth);
    }
}

// From dE/d(sum over angles) of the short bonds (gathered_grad) to the gradients of BondConv l's and AngleUpdate
// l-1's inputs: of the bonds per arm, of the angles, of the centres; and dE/dr through the weights.
inline void bond_conv_back(const Job& job, int layer, AtomRange centres) {
    const Graph& graph = job.graph;
    const int first_arm = graph.arm_start[centres.begin], last_arm = graph.arm_start[centres.end];
    clear(job.work.arm_grad + static_cast<long>(first_arm) * kInputs,
          static_cast<long>(last_arm - first_arm) * kInputs);
    if (layer == 2)
        for (int arm = first_arm; arm < last_arm; ++arm) job.work.arm_pull[arm] = 0;
    const int last = graph.angle_start[centres.end];
    for (int start = graph.angle_start[centres.begin]; start < last; start += kTile) {
        const int rows = last - start < kTile ? last - start : kTile;
        bond_messages_back(job, layer, start, rows);
        if (layer > 0) angle_update_back(job, layer, start, rows);
    }
    centres_back(job, layer, centres);
}

}  // namespace HALION_TARGET
}  // namespace halion
