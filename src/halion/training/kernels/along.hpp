// Normalisation and gates of one row with their change along a direction, and the way back. With z, z' the row (core
// or gate) and its change, r = 1 / sqrt(mean z^2 + eps):
//     u = r z,  k = mean(u z'),  u' = r (z' - k u),  n = scale u + shift,  n' = scale u',
//     y = SiLU(n_core) sigmoid(n_gate),  y' = its change.
// Back, from du and du' (gradients of u and u'), with q = mean(u du'):
//     dz' = r (du' - q u),  dz = r (du - r (k du' + q z') - u (mean(u du) + r (mean(z' du') - 3 k q))).
#pragma once

#include "../../potentials/engine/gated.hpp"

namespace halion {
namespace HALION_TARGET {

// SiLU and its first two derivatives.
struct Silu {
    Vec value, slope, bend;
    explicit Silu(Vec x) {
        const Vec s = sigmoid(x), rest = 1.0f - s;
        value = x * s;
        slope = s + value * rest;
        bend = s * rest * (2.0f + x * (1.0f - 2.0f * s));
    }
};

struct Sigmoid {
    Vec value, slope, bend;
    explicit Sigmoid(Vec x) {
        value = sigmoid(x);
        slope = value * (1.0f - value);
        bend = slope * (1.0f - 2.0f * value);
    }
};

// One row of 128: core, gate.
struct Row {
    const float *z, *change;
    float inverse[2];
    float along[2];  // k of core and gate

    Row(const float* z_, const float* change_, const float* inverse_) : z(z_), change(change_) {
        for (int head = 0; head < 2; ++head) {
            inverse[head] = inverse_[head];
            Vec dot{};
            for (int c = head * kWidth; c < (head + 1) * kWidth; c += kLanes) dot += load(z + c) * load(change + c);
            along[head] = sum(dot) * inverse[head] * (1.0f / kWidth);
        }
    }
    Vec unit(int c, int head) const { return load(z + c) * inverse[head]; }
    Vec turning(int c, int head) const { return inverse[head] * (load(change + c) - unit(c, head) * along[head]); }
};

inline void gate_along(const Row& row, const Block& block, Vec* value, Vec* change) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
        const int c = v * kLanes, g = kWidth + c;
        const Silu core(row.unit(c, 0) * load(block.scale + c) + load(block.shift + c));
        const Sigmoid gate(row.unit(g, 1) * load(block.scale + g) + load(block.shift + g));
        const Vec core_turn = row.turning(c, 0) * load(block.scale + c);
        const Vec gate_turn = row.turning(g, 1) * load(block.scale + g);
        value[v] = core.value * gate.value;
        change[v] = core.slope * core_turn * gate.value + core.value * gate.slope * gate_turn;
    }
}

// What goes back through the gates of one row: gradients of u and u' (128 each).
struct RowGradient {
    alignas(64) float unit[kPair], turning[kPair];
};

inline void add(float* total, Vec x) { store(total, load(total) + x); }

// From dy, dy' to du, du'; adds to the gradients of scale and shift.
inline void gate_along_back(const Row& row, const Block& block, const Vec* dy, const Vec* dturn, RowGradient& back,
                            float* dscale, float* dshift) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
        const int c = v * kLanes, g = kWidth + c;
        const Vec core_scale = load(block.scale + c), gate_scale = load(block.scale + g);
        const Vec core_unit = row.unit(c, 0), gate_unit = row.unit(g, 1);
        const Vec core_spin = row.turning(c, 0), gate_spin = row.turning(g, 1);
        const Silu core(core_unit * core_scale + load(block.shift + c));
        const Sigmoid gate(gate_unit * gate_scale + load(block.shift + g));
        const Vec core_turn = core_spin * core_scale, gate_turn = gate_spin * gate_scale;
        const Vec dcore = dy[v] * core.slope * gate.value +
                          dturn[v] * (core.bend * core_turn * gate.value + core.slope * gate.slope * gate_turn);
        const Vec dgate = dy[v] * core.value * gate.slope +
                          dturn[v] * (core.slope * core_turn * gate.slope + core.value * gate.bend * gate_turn);
        const Vec dcore_turn = dturn[v] * core.slope * gate.value, dgate_turn = dturn[v] * core.value * gate.slope;
        add(dscale + c, dcore * core_unit + dcore_turn * core_spin);
        add(dscale + g, dgate * gate_unit + dgate_turn * gate_spin);
        add(dshift + c, dcore);
        add(dshift + g, dgate);
        store(back.unit + c, dcore * core_scale);
        store(back.unit + g, dgate * gate_scale);
        store(back.turning + c, dcore_turn * core_scale);
        store(back.turning + g, dgate_turn * gate_scale);
    }
}

// From du, du' to dz, dz'.
inline void normal_along_back(const Row& row, const RowGradient& back, float* dz, float* dchange) {
    for (int head = 0; head < 2; ++head) {
        const int begin = head * kWidth, end = begin + kWidth;
        Vec unit_dot{}, turn_dot{}, change_dot{};
        for (int c = begin; c < end; c += kLanes) {
            const Vec u = row.unit(c, head), du = load(back.unit + c), dt = load(back.turning + c);
            unit_dot += u * du;
            turn_dot += u * dt;
            change_dot += load(row.change + c) * dt;
        }
        const float r = row.inverse[head], k = row.along[head], q = sum(turn_dot) * (1.0f / kWidth);
        const float slope = sum(unit_dot) * (1.0f / kWidth) + r * (sum(change_dot) * (1.0f / kWidth) - 3.0f * k * q);
        for (int c = begin; c < end; c += kLanes) {
            const Vec u = row.unit(c, head), dt = load(back.turning + c);
            store(dchange + c, r * (dt - q * u));
            store(dz + c, r * (load(back.unit + c) - r * (k * dt + q * load(row.change + c)) - u * slope));
        }
    }
}

}  // namespace HALION_TARGET
}  // namespace halion
