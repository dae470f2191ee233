// Products of a few dozen rows with a small matrix: C = start + A W. W is packed in panels of kPanel columns, each
// panel depth x kPanel contiguous, so that the inner loop walks through it once. A block of rows keeps its panel of
// results in registers; every element is one chain of multiply-adds over k, whatever the block: the same bits.
#pragma once

#include "simd.hpp"

namespace halion {
namespace HALION_TARGET {

#if HALION_LANES == 16
constexpr int kPanelVectors = 4, kBlockRows = 6;  // 24 of 32 registers hold results
#elif HALION_LANES == 8
constexpr int kPanelVectors = 2, kBlockRows = 6;  // 12 of 16
#else
constexpr int kPanelVectors = 2, kBlockRows = 4;  // 8 of 16
#endif
constexpr int kPanel = kPanelVectors * kLanes;

alignas(64) constexpr float kZeros[kInputs] = {};

// Where the results start from: a matrix (its own row stride), or one row for all (stride 0).
struct Start {
    const float* values;
    int stride;
};

// Not inlined: in a larger function the compiler has no registers left for all the sums.
template <int kRows>
__attribute__((noinline)) void multiply_block(const float* a, int a_stride, const float* panel, int depth, Start start,
                                              float* c, int c_stride) {
    Vec sum[kRows][kPanelVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = load(start.values + r * start.stride + v * kLanes);
    for (int k = 0; k < depth; ++k, panel += kPanel) {
        Vec w[kPanelVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) w[v] = load(panel + v * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
            const Vec x = broadcast(a[r * a_stride + k]);
#pragma GCC unroll 8
            for (int v = 0; v < kPanelVectors; ++v) sum[r][v] += x * w[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) store(c + r * c_stride + v * kLanes, sum[r][v]);
}

inline void multiply_rest(int rows, const float* a, int a_stride, const float* panel, int depth, Start start, float* c,
                          int c_stride) {
    switch (rows) {
        case 1: return multiply_block<1>(a, a_stride, panel, depth, start, c, c_stride);
        case 2: return multiply_block<2>(a, a_stride, panel, depth, start, c, c_stride);
        case 3: return multiply_block<3>(a, a_stride, panel, depth, start, c, c_stride);
        case 4: return multiply_block<4>(a, a_stride, panel, depth, start, c, c_stride);
        case 5: return multiply_block<5>(a, a_stride, panel, depth, start, c, c_stride);
        default: return;
    }
}

// C (rows, w.width) = start + A (rows, w.depth) W. C may be where it starts from, never A.
inline void multiply(int rows, const float* a, int a_stride, const Matrix& w, Start start, float* c, int c_stride) {
    for (int column = 0; column < w.width; column += kPanel) {
        const float* panel = w.packed + static_cast<long>(column) * w.depth;
        const Start from{start.values + column, start.stride};
        int r = 0;
        for (; r + kBlockRows <= rows; r += kBlockRows)
            multiply_block<kBlockRows>(a + r * a_stride, a_stride, panel, w.depth,
                                       Start{from.values + r * from.stride, from.stride}, c + r * c_stride + column,
                                       c_stride);
        multiply_rest(rows - r, a + r * a_stride, a_stride, panel, w.depth,
                      Start{from.values + r * from.stride, from.stride}, c + r * c_stride + column, c_stride);
    }
}

}  // namespace HALION_TARGET
}  // namespace halion
