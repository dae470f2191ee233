// Site energies and the start of the way back: E_i = MLP(LayerNorm(v_i)), 64-64-64-64-1 with SiLU.
#pragma once

#include "atom_conv.hpp"

namespace halion {
namespace HALION_TARGET {

// LayerNorm with its mean. unit: (v - mean) / deviation; returns 1 / deviation.
inline float normalise(const float* v, float* unit) {
    Vec total{}, squares{};
    for (int c = 0; c < kWidth; c += kLanes) total += load(v + c);
    const Vec mean = broadcast(sum(total) * (1.0f / kWidth));
    for (int c = 0; c < kWidth; c += kLanes) squares += (load(v + c) - mean) * (load(v + c) - mean);
    const float inverse = 1.0f / __builtin_sqrtf(sum(squares) * (1.0f / kWidth) + kNormEps);
    for (int c = 0; c < kWidth; c += kLanes) store(unit + c, (load(v + c) - mean) * broadcast(inverse));
    return inverse;
}

// dE/dv from dE/dunit.
inline void normalise_back(const float* unit, float inverse, const float* unit_grad, float* grad) {
    Vec total{}, along{};
    for (int c = 0; c < kWidth; c += kLanes) {
        total += load(unit_grad + c);
        along += load(unit_grad + c) * load(unit + c);
    }
    const Vec mean = broadcast(sum(total) * (1.0f / kWidth)), slope = broadcast(sum(along) * (1.0f / kWidth));
    for (int c = 0; c < kWidth; c += kLanes)
        store(grad + c, broadcast(inverse) * (load(unit_grad + c) - mean - load(unit + c) * slope));
}

// site_energy and dE/dv of these atoms.
inline void readout(const Job& job, AtomRange atoms) {
    const Weights& w = *job.weights;
    constexpr int kRows = kAtomsPerItem;
    alignas(64) float unit[kRows * kWidth], layer[4][kRows * kWidth], pre[3][kRows * kWidth], grad[2][kRows * kWidth];
    float inverse[kRows];
    const int n = atoms.end - atoms.begin;
    for (int r = 0; r < n; ++r) {
        inverse[r] = normalise(job.work.atoms + static_cast<long>(atoms.begin + r) * kWidth, unit + r * kWidth);
        for (int c = 0; c < kWidth; c += kLanes)
            store(layer[0] + r * kWidth + c,
                  load(unit + r * kWidth + c) * load(w.readout_scale + c) + load(w.readout_shift + c));
    }
    for (int k = 0; k < 3; ++k) {
        multiply(n, layer[k], kWidth, w.readout[k], Start{w.readout_bias[k], 0}, pre[k], kWidth);
        for (int c = 0; c < n * kWidth; c += kLanes) store(layer[k + 1] + c, silu(load(pre[k] + c)));
    }
    for (int r = 0; r < n; ++r) {
        double energy = w.last_bias + w.reference_energy[job.graph.element[atoms.begin + r]];
        for (int c = 0; c < kWidth; ++c) energy += static_cast<double>(layer[3][r * kWidth + c]) * w.last[c];
        job.work.site_energy[atoms.begin + r] = energy;
        __builtin_memcpy(grad[0] + r * kWidth, w.last, sizeof(float) * kWidth);
    }
    for (int k = 2; k >= 0; --k) {
        for (int c = 0; c < n * kWidth; c += kLanes)
            store(grad[1] + c, silu_back(load(pre[k] + c), load(grad[0] + c)));
        multiply(n, grad[1], kWidth, w.readout_back[k], Start{kZeros, 0}, grad[0], kWidth);
    }
    for (int r = 0; r < n; ++r) {
        for (int c = 0; c < kWidth; c += kLanes)
            store(grad[0] + r * kWidth + c, load(grad[0] + r * kWidth + c) * load(w.readout_scale + c));
        normalise_back(unit + r * kWidth, inverse[r], grad[0] + r * kWidth,
                       job.work.atom_grad + static_cast<long>(atoms.begin + r) * kWidth);
    }
}

}  // namespace HALION_TARGET
}  // namespace halion
