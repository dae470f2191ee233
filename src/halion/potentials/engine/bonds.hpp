// Short bonds between the layers: what their two arms gathered is joined, the features are updated, and the blocks of
// the next first layers are applied; and the way back.
#pragma once

#include "bond_conv.hpp"

namespace halion {
namespace HALION_TARGET {

// The sum of two rows of `width` floats, for a tile.
inline void join_rows(const float* one, const float* other, int width, float* joined) {
    for (int c = 0; c < width; c += kLanes) store(joined + c, load(one + c) + load(other + c));
}

// e += out (sum over angles) of BondConv `layer`, then what AtomConv, BondConv and AngleUpdate after it need.
inline void bonds_update(const Job& job, int layer, int start, int rows) {
    const Work& work = job.work;
    const Weights& w = *job.weights;
    alignas(64) float gathered[kTile * kWidth];
    for (int r = 0; r < rows; ++r) {
        const int* arms = job.graph.arms_of + 2 * (start + r);
        join_rows(work.arm_sum + static_cast<long>(arms[0]) * kWidth,
                  work.arm_sum + static_cast<long>(arms[1]) * kWidth, kWidth, gathered + r * kWidth);
    }
    float* bonds = work.bonds + static_cast<long>(start) * kWidth;
    multiply(rows, gathered, kWidth, w.bond[layer].out, Start{bonds, kWidth}, bonds, kWidth);
    multiply(rows, bonds, kWidth, w.atom[layer + 1].edge, Start{kZeros, 0},
             work.edge_in[layer + 1] + static_cast<long>(start) * kPair, kPair);
    if (layer < 2)
        multiply(rows, bonds, kWidth, w.bond_inputs[layer + 1], Start{kZeros, 0},
                 work.bond_table[layer + 1] + static_cast<long>(start) * kInputs, kInputs);
}

// dE/de before AtomConv `layer`, from the edges' and the arms' gradients; then that of the sum over angles before it.
// At layer 0 the bonds are what the basis made them: what is left is dE/dr.
inline void bonds_back(const Job& job, int layer, int start, int rows) {
    const Graph& graph = job.graph;
    const Work& work = job.work;
    const Weights& w = *job.weights;
    alignas(64) float joined[kTile * kInputs];
    float* grad = work.bond_grad + static_cast<long>(start) * kWidth;
    if (layer > 0) {
        for (int r = 0; r < rows; ++r) {
            const int edge = graph.first_edge[start + r];
            join_rows(work.edge_grad + static_cast<long>(edge) * kPair,
                      work.edge_grad + static_cast<long>(graph.reverse[edge]) * kPair, kPair, joined + r * kPair);
        }
        const Start start_from = layer == 3 ? Start{kZeros, 0} : Start{grad, kWidth};
        multiply(rows, joined, kPair, w.atom[layer].edge_back, start_from, grad, kWidth);
    }
    if (layer < 3) {
        const int width = w.bond_inputs_back[layer].depth;
        for (int r = 0; r < rows; ++r) {
            const int* arms = graph.arms_of + 2 * (start + r);
            join_rows(work.arm_grad + static_cast<long>(arms[0]) * kInputs,
                      work.arm_grad + static_cast<long>(arms[1]) * kInputs, width, joined + r * kInputs);
        }
        multiply(rows, joined, kInputs, w.bond_inputs_back[layer], Start{grad, kWidth}, grad, kWidth);
    }
    if (layer > 0) {
        multiply(rows, grad, kWidth, w.bond[layer - 1].out_back, Start{kZeros, 0},
                 work.gathered_grad + static_cast<long>(start) * kWidth, kWidth);
        return;
    }
    for (int r = 0; r < rows; ++r) {
        Vec total{};
        const float* slope = work.bond_start_slope + static_cast<long>(start + r) * kWidth;
        for (int c = 0; c < kWidth; c += kLanes) total += load(grad + r * kWidth + c) * load(slope + c);
        work.bond_pull[start + r] = sum(total);
    }
}

}  // namespace HALION_TARGET
}  // namespace halion
