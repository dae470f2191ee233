// The second half of a gated block: n = z / rms(z) scale + shift for core and gate, out = SiLU(n_core) sigmoid(n_gate),
// and the way back. The mean over the 64 features is already removed by the folded weights.
#pragma once

#include "gemm.hpp"

namespace halion {
namespace HALION_TARGET {

// 1 / rms of core and gate of every row of a tile: inverse[2 r], inverse[2 r + 1]. Apart from what follows, because
// a sum across a vector takes long, and rows do not wait for each other.
inline void inverse_rms(int rows, const float* z, float* inverse) {
    for (int k = 0; k < 2 * rows; ++k, z += kWidth) {
        Vec squares = load(z) * load(z);
#pragma GCC unroll 16
        for (int v = 1; v < kVectors; ++v) squares += load(z + v * kLanes) * load(z + v * kLanes);
        inverse[k] = sum(squares);
    }
    for (int k = 0; k < 2 * rows; k += kLanes)
        store(inverse + k, 1.0f / square_root(load(inverse + k) * (1.0f / kWidth) + kNormEps));
}

// out (64) of one row z (128).
inline void gate(const float* z, const float* inverse, const float* scale, const float* shift, Vec* out) {
    const Vec core_inverse = broadcast(inverse[0]), gate_inverse = broadcast(inverse[1]);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
        const int c = v * kLanes, g = kWidth + v * kLanes;
        const Vec core = load(z + c) * core_inverse * load(scale + c) + load(shift + c);
        const Vec other = load(z + g) * gate_inverse * load(scale + g) + load(shift + g);
        out[v] = core * reciprocal(one_plus_exp_minus(core) * one_plus_exp_minus(other));
    }
}

// From grad = dE/dout (64) of one row: dE/dn scale (128), its mean along z / rms for core and gate, and out again.
inline void gate_back(const float* z, const float* inverse, const float* scale, const float* shift, const Vec* grad,
                      float* n_grad, float* along, Vec* out) {
    const Vec core_inverse = broadcast(inverse[0]), gate_inverse = broadcast(inverse[1]);
    Vec core_dot{}, gate_dot{};
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
        const int c = v * kLanes, g = kWidth + v * kLanes;
        const Vec core_unit = load(z + c) * core_inverse, gate_unit = load(z + g) * gate_inverse;
        const Vec core = core_unit * load(scale + c) + load(shift + c);
        const Vec other = gate_unit * load(scale + g) + load(shift + g);
        const Vec p = one_plus_exp_minus(core), q = one_plus_exp_minus(other), r = reciprocal(p * q);
        const Vec core_sigmoid = q * r, gate_sigmoid = p * r, silu = core * core_sigmoid;
        out[v] = silu * gate_sigmoid;
        const Vec core_grad = grad[v] * gate_sigmoid * (core_sigmoid + silu * (1.0f - core_sigmoid)) * load(scale + c);
        const Vec gate_grad = grad[v] * out[v] * (1.0f - gate_sigmoid) * load(scale + g);
        core_dot += core_grad * core_unit;
        gate_dot += gate_grad * gate_unit;
        store(n_grad + c, core_grad);
        store(n_grad + g, gate_grad);
    }
    along[0] = sum(core_dot) * (1.0f / kWidth);
    along[1] = sum(gate_dot) * (1.0f / kWidth);
}

// dE/dz in the place of what gate_back left, for a tile.
inline void inverse_rms_back(int rows, const float* z, const float* inverse, const float* along, float* grad) {
    for (int k = 0; k < 2 * rows; ++k, z += kWidth, grad += kWidth) {
        const Vec scale = broadcast(inverse[k]), slope = broadcast(along[k] * inverse[k]);
#pragma GCC unroll 16
        for (int c = 0; c < kWidth; c += kLanes) store(grad + c, scale * (load(grad + c) - load(z + c) * slope));
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
