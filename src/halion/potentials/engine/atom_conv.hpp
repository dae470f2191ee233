// AtomConv: v_i += out sum_e gated(centre v_i + neighbour v_j + edge e_b) w_b over the edges e = (i, j) of bond b.
// The work is cut into pieces of a few centres: their edges follow each other, so sums over edges stay in the piece.
#pragma once

#include "gated.hpp"

namespace halion {
namespace HALION_TARGET {

struct AtomRange {
    int begin, end;
};

// First layer of one edge before SiLU: three rows, 128 each.
struct EdgeInput {
    const float *centre, *neighbour, *edge;
    Vec operator[](int c) const { return load(centre + c) + load(neighbour + c) + load(edge + c); }
};

inline EdgeInput edge_input(const Job& job, int layer, int e) {
    const Graph& graph = job.graph;
    const float* table = job.work.atom_table[layer];
    return {table + static_cast<long>(graph.centre[e]) * kInputs,
            table + static_cast<long>(graph.neighbour[e]) * kInputs + kPair,
            job.work.edge_in[layer] + static_cast<long>(graph.bond[e]) * kPair};
}

// A row of `width` floats is wanted soon: what is gathered by bond is scattered, and the processor does not guess it.
inline void expect(const float* row, int width) {
    for (int c = 0; c < width; c += 16) __builtin_prefetch(row + c, 0, 2);
}

// z: of the edges of these atoms, kept for the way back.
inline void atom_conv(const Job& job, int layer, AtomRange atoms, float* z) {
    const Graph& graph = job.graph;
    const AtomWeights& w = job.weights->atom[layer];
    alignas(64) float hidden[kTile * kPair], inverse[2 * kTile], gathered[kAtomsPerItem * kWidth] = {};
    const int first = graph.edge_start[atoms.begin], last = graph.edge_start[atoms.end];
    for (int start = first; start < last; start += kTile) {
        const int rows = last - start < kTile ? last - start : kTile;
        for (int r = 0; r < rows; ++r) {
            const EdgeInput input = edge_input(job, layer, start + r);
#pragma GCC unroll 32
            for (int c = 0; c < kPair; c += kLanes) store(hidden + r * kPair + c, silu(input[c]));
            expect(job.work.message_weight + static_cast<long>(graph.bond[start + r]) * kWidth, kWidth);
        }
        float* tile = z + static_cast<long>(start - first) * kPair;
        second_layer(rows, hidden, w.gated, tile);
        inverse_rms(rows, tile, inverse);
        for (int r = 0; r < rows; ++r) {
            Vec message[kVectors];
            gate(tile + r * kPair, inverse + 2 * r, w.gated.scale, w.gated.shift, message);
            if (start + kTile + r < last)
                expect(job.work.edge_in[layer] + static_cast<long>(graph.bond[start + kTile + r]) * kPair, kPair);
            const float* weight = job.work.message_weight + static_cast<long>(graph.bond[start + r]) * kWidth;
            float* sum_of_centre = gathered + (graph.centre[start + r] - atoms.begin) * kWidth;
#pragma GCC unroll 16
            for (int v = 0; v < kVectors; ++v) {
                const int c = v * kLanes;
                store(sum_of_centre + c, load(sum_of_centre + c) + message[v] * load(weight + c));
            }
        }
    }
    const int n = atoms.end - atoms.begin;
    float* features = job.work.atoms + static_cast<long>(atoms.begin) * kWidth;
    multiply(n, gathered, kWidth, w.out, Start{features, kWidth}, features, kWidth);
    if (layer < 3)
        multiply(n, features, kWidth, job.weights->atom_inputs[layer + 1],
                 Start{job.weights->atom_inputs_bias[layer + 1], 0},
                 job.work.atom_table[layer + 1] + static_cast<long>(atoms.begin) * kInputs, kInputs);
}

// Through gate and weight of one tile: dE/dz, and the parts of dE/dr that come through the weights (one Vec a row).
inline void messages_back(const Job& job, int layer, AtomRange atoms, int start, int rows, const float* z,
                          const float* sum_grad, float* z_grad, Vec* pull) {
    const Graph& graph = job.graph;
    const GatedWeights& w = job.weights->atom[layer].gated;
    alignas(64) float inverse[2 * kTile], along[2 * kTile];
    inverse_rms(rows, z, inverse);
    for (int r = 0; r < rows; ++r) {
        const float* weight = job.work.message_weight + static_cast<long>(graph.bond[start + r]) * kWidth;
        const float* slope = job.work.message_slope + static_cast<long>(graph.bond[start + r]) * kWidth;
        const float* of_centre = sum_grad + (graph.centre[start + r] - atoms.begin) * kWidth;
        Vec grad[kVectors], message[kVectors];
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) grad[v] = load(of_centre + v * kLanes) * load(weight + v * kLanes);
        gate_back(z + r * kPair, inverse + 2 * r, w.scale, w.shift, grad, z_grad + r * kPair, along + 2 * r, message);
        expect(job.work.edge_in[layer] + static_cast<long>(graph.bond[start + r]) * kPair, kPair);
        expect(job.work.edge_slope[layer] + static_cast<long>(graph.bond[start + r]) * kPair, kPair);
        pull[r] = Vec{};
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
            pull[r] += load(of_centre + v * kLanes) * message[v] * load(slope + v * kLanes);
    }
    inverse_rms_back(rows, z, inverse, along, z_grad);
}

// Through SiLU of the first layer of one tile; adds to the gradient of the centres' part and to dE/dr of the edges.
inline void first_layer_back(const Job& job, int layer, AtomRange atoms, int start, int rows, const float* hidden_grad,
                             const Vec* pull, float* centre_grad) {
    const Graph& graph = job.graph;
    for (int r = 0; r < rows; ++r) {
        const int e = start + r;
        const EdgeInput input = edge_input(job, layer, e);
        const float* slope = job.work.edge_slope[layer] + static_cast<long>(graph.bond[e]) * kPair;
        float* kept = layer > 0 ? job.work.edge_grad + static_cast<long>(e) * kPair : nullptr;
        float* of_centre = centre_grad + (graph.centre[e] - atoms.begin) * kPair;
        Vec total = pull[r];
#pragma GCC unroll 32
        for (int c = 0; c < kPair; c += kLanes) {
            const Vec grad = silu_back(input[c], load(hidden_grad + r * kPair + c));
            total += grad * load(slope + c);
            if (layer > 0) {
                store(kept + c, grad);
                store(of_centre + c, load(of_centre + c) + grad);
            }
        }
        const double through_edge = sum(total);
        if (e + kTile < graph.n_edges) {
            expect(job.work.message_weight + static_cast<long>(graph.bond[e + kTile]) * kWidth, kWidth);
            expect(job.work.message_slope + static_cast<long>(graph.bond[e + kTile]) * kWidth, kWidth);
        }
        job.work.edge_pull[e] = layer == 3 ? through_edge : job.work.edge_pull[e] + through_edge;
    }
}

// From dE/dv after the layer to dE/dr of its edges, and (layer > 0) the gradients of the first layer: of every edge
// in edge_grad, of the centres' part in the first half of atom_in_grad.
inline void atom_conv_back(const Job& job, int layer, AtomRange atoms, const float* z) {
    const Graph& graph = job.graph;
    const AtomWeights& w = job.weights->atom[layer];
    alignas(64) float z_grad[kTile * kPair], hidden_grad[kTile * kPair];
    alignas(64) float sum_grad[kAtomsPerItem * kWidth], centre_grad[kAtomsPerItem * kPair] = {};
    Vec pull[kTile];
    const int n = atoms.end - atoms.begin;
    multiply(n, job.work.atom_grad + static_cast<long>(atoms.begin) * kWidth, kWidth, w.out_back, Start{kZeros, 0},
             sum_grad, kWidth);
    const int first = graph.edge_start[atoms.begin], last = graph.edge_start[atoms.end];
    for (int start = first; start < last; start += kTile) {
        const int rows = last - start < kTile ? last - start : kTile;
        messages_back(job, layer, atoms, start, rows, z + static_cast<long>(start - first) * kPair, sum_grad, z_grad,
                      pull);
        second_layer_back(rows, z_grad, w.gated, hidden_grad);
        first_layer_back(job, layer, atoms, start, rows, hidden_grad, pull, centre_grad);
    }
    if (layer == 0) return;
    for (int i = 0; i < n; ++i)
        __builtin_memcpy(job.work.atom_in_grad + static_cast<long>(atoms.begin + i) * 2 * kPair,
                         centre_grad + i * kPair, sizeof(float) * kPair);
}

// dE/dv before the layer: past it, through its first layer, and through the AngleUpdate before it (pending).
inline void atoms_back(const Job& job, int layer, AtomRange atoms) {
    const Graph& graph = job.graph;
    const Work& work = job.work;
    for (int i = atoms.begin; i < atoms.end; ++i) {
        float* as_neighbour = work.atom_in_grad + static_cast<long>(i) * 2 * kPair + kPair;
        Vec total[2 * kVectors] = {};
        for (int e = graph.edge_start[i]; e < graph.edge_start[i + 1]; ++e) {
            const float* grad = work.edge_grad + static_cast<long>(graph.reverse[e]) * kPair;
#pragma GCC unroll 32
            for (int v = 0; v < 2 * kVectors; ++v) total[v] += load(grad + v * kLanes);
        }
#pragma GCC unroll 32
        for (int v = 0; v < 2 * kVectors; ++v) store(as_neighbour + v * kLanes, total[v]);
        if (layer == 3) continue;
        float* grad = work.atom_grad + static_cast<long>(i) * kWidth;
        const float* pending = work.atom_pending + static_cast<long>(i) * kWidth;
        for (int c = 0; c < kWidth; c += kLanes) store(grad + c, load(grad + c) + load(pending + c));
    }
    float* grad = work.atom_grad + static_cast<long>(atoms.begin) * kWidth;
    multiply(atoms.end - atoms.begin, work.atom_in_grad + static_cast<long>(atoms.begin) * 2 * kPair, 2 * kPair,
             job.weights->atom_inputs_back[layer], Start{grad, kWidth}, grad, kWidth);
}

}  // namespace HALION_TARGET
}  // namespace halion
