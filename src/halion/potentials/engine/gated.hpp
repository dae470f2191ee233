// The second half of a gated block: n = z / rms(z) scale + shift for core and gate, out = SiLU(n_core) sigmoid(n_gate),
// and the way back. The mean over the 64 features is already removed by the folded weights.
#pragma once

#include "gemm.hpp"

namespace halion {
namespace HALION_TARGET {

inline float inverse_rms(const float* z) {
    Vec squares = load(z) * load(z);
#pragma GCC unroll 16
    for (int v = 1; v < kVectors; ++v) squares += load(z + v * kLanes) * load(z + v * kLanes);
    return 1.0f / __builtin_sqrtf(sum(squares) * (1.0f / kWidth) + kNormEps);
}

// out (64) of one row z (128).
inline void gate(const float* z, const float* scale, const float* shift, Vec* out) {
    const Vec core_inverse = broadcast(inverse_rms(z)), gate_inverse = broadcast(inverse_rms(z + kWidth));
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
        const int c = v * kLanes, g = kWidth + v * kLanes;
        const Vec core = load(z + c) * core_inverse * load(scale + c) + load(shift + c);
        const Vec other = load(z + g) * gate_inverse * load(scale + g) + load(shift + g);
        out[v] = core * reciprocal(one_plus_exp_minus(core) * one_plus_exp_minus(other));
    }
}

// From grad = dE/dout (64): dE/dz (128) and, once more, out.
inline void gate_back(const float* z, const float* scale, const float* shift, const Vec* grad, float* z_grad, Vec* out) {
    const Vec core_inverse = broadcast(inverse_rms(z)), gate_inverse = broadcast(inverse_rms(z + kWidth));
    Vec core_grad[kVectors], gate_grad[kVectors], core_dot{}, gate_dot{};
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
        const int c = v * kLanes, g = kWidth + v * kLanes;
        const Vec core_unit = load(z + c) * core_inverse, gate_unit = load(z + g) * gate_inverse;
        const Vec core = core_unit * load(scale + c) + load(shift + c);
        const Vec other = gate_unit * load(scale + g) + load(shift + g);
        const Vec p = one_plus_exp_minus(core), q = one_plus_exp_minus(other), r = reciprocal(p * q);
        const Vec core_sigmoid = q * r, gate_sigmoid = p * r, silu = core * core_sigmoid;
        out[v] = silu * gate_sigmoid;
        core_grad[v] = grad[v] * gate_sigmoid * (core_sigmoid + silu * (1.0f - core_sigmoid)) * load(scale + c);
        gate_grad[v] = grad[v] * out[v] * (1.0f - gate_sigmoid) * load(scale + g);
        core_dot += core_grad[v] * core_unit;
        gate_dot += gate_grad[v] * gate_unit;
    }
    const Vec core_mean = broadcast(sum(core_dot) * (1.0f / kWidth)) * core_inverse;
    const Vec gate_mean = broadcast(sum(gate_dot) * (1.0f / kWidth)) * gate_inverse;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
        const int c = v * kLanes, g = kWidth + v * kLanes;
        store(z_grad + c, core_inverse * (core_grad[v] - load(z + c) * core_mean));
        store(z_grad + g, gate_inverse * (gate_grad[v] - load(z + g) * gate_mean));
    }
}

// Second layer of a tile: z (rows, 128) = hidden (rows, 128) through core and gate.
inline void second_layer(int rows, const float* hidden, const GatedWeights& w, float* z) {
    for (int head = 0; head < 2; ++head)
        multiply(rows, hidden + head * kWidth, kPair, w.second[head], Start{w.bias2 + head * kWidth, 0},
                 z + head * kWidth, kPair);
}

inline void second_layer_back(int rows, const float* z_grad, const GatedWeights& w, float* hidden_grad) {
    for (int head = 0; head < 2; ++head)
        multiply(rows, z_grad + head * kWidth, kPair, w.second_back[head], Start{kZeros, 0},
                 hidden_grad + head * kWidth, kPair);
}

inline Vec silu(Vec x) { return x * sigmoid(x); }

// dE/dx from dE/dSiLU(x).
inline Vec silu_back(Vec x, Vec grad) {
    const Vec s = sigmoid(x);
    return grad * s * (1.0f + x * (1.0f - s));
}

inline void clear(float* values, long n) { __builtin_memset(values, 0, sizeof(float) * n); }

}  // namespace HALION_TARGET
}  // namespace halion
