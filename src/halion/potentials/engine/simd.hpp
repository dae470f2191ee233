// Vectors of HALION_LANES floats through the vector extension of GCC and Clang, which every target lowers to what it
// has; intrinsics only where the extension has no word for an operation. Compiled once per instruction set, in a
// namespace of its own; nothing of the standard library, whose inline functions would be shared between the builds.
#pragma once

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "tables.hpp"

namespace halion {
namespace HALION_TARGET {

constexpr int kLanes = HALION_LANES;
constexpr int kVectors = kWidth / kLanes;  // of one row of 64

typedef float Vec __attribute__((vector_size(4 * HALION_LANES), may_alias));
typedef int IntVec __attribute__((vector_size(4 * HALION_LANES), may_alias));

inline Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
inline void store(float* p, Vec x) { *reinterpret_cast<Vec*>(p) = x; }
inline Vec broadcast(float x) { return x - Vec{}; }

#if defined(__AVX512F__) && HALION_LANES == 16
inline Vec clamp(Vec x, float low, float high) {
    return (Vec)_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), (__m512)x));
}
// 14 bits of the instruction, doubled by one Newton step.
inline Vec reciprocal(Vec x) {
    const Vec r = (Vec)_mm512_rcp14_ps((__m512)x);
    return r * (2.0f - x * r);
}
inline Vec square_root(Vec x) { return (Vec)_mm512_sqrt_ps((__m512)x); }
inline float sum(Vec x) { return _mm512_reduce_add_ps((__m512)x); }
#elif defined(__AVX2__) && HALION_LANES == 8
inline Vec clamp(Vec x, float low, float high) {
    return (Vec)_mm256_max_ps(_mm256_set1_ps(low), _mm256_min_ps(_mm256_set1_ps(high), (__m256)x));
}
inline Vec reciprocal(Vec x) { return 1.0f / x; }
inline Vec square_root(Vec x) { return (Vec)_mm256_sqrt_ps((__m256)x); }
inline float sum(Vec x) {
    __m128 h = _mm_add_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}
#else
inline Vec clamp(Vec x, float low, float high) {
    const Vec a = broadcast(low), b = broadcast(high);
    const IntVec above = x > b, below = x < a;
    const IntVec inside = ~(above | below);
    return (Vec)((above & (IntVec)b) | (below & (IntVec)a) | (inside & (IntVec)x));
}
inline Vec reciprocal(Vec x) { return 1.0f / x; }
inline Vec square_root(Vec x) {
    for (int k = 0; k < kLanes; ++k) x[k] = __builtin_sqrtf(x[k]);
    return x;
}
inline float sum(Vec x) {
    float total = 0;
    for (int k = 0; k < kLanes; ++k) total += x[k];
    return total;
}
#endif

// 2^x for |x| < 126, to about one unit in the last place for |x| of order 1: 2^n 2^f with |f| <= 1/2, 2^f by the
// minimax polynomial of degree 5 (7.5e-8).
inline Vec power_of_two(Vec x) {
    constexpr float kRound = 12582912.0f;  // 1.5 2^23: adding it leaves the nearest integer in the low bits
    const Vec shifted = x + kRound;
    const Vec f = x - (shifted - kRound);
    Vec p = f * 1.3276472454890609e-3f + 9.675540961325169e-3f;
    p = p * f + 5.550713092088699e-2f;
    p = p * f + 2.402212023735046e-1f;
    p = p * f + 6.931469440460205e-1f;
    p = p * f + 1.0000001192092896f;
    return (Vec)((IntVec)p + ((IntVec)shifted << 23));
}

// 1 + exp(-x). Where exp(-x) leaves 2^-62 ... 2^62 the sigmoid is 0 or 1 to more digits than a float has, and the
// product of two stays finite.
inline Vec one_plus_exp_minus(Vec x) { return 1.0f + power_of_two(clamp(x * -1.44269504f, -62.0f, 62.0f)); }
inline Vec sigmoid(Vec x) { return reciprocal(one_plus_exp_minus(x)); }

}  // namespace HALION_TARGET
}  // namespace halion
