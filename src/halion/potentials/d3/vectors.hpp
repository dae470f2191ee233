// Vectors of HALION_LANES / 2 doubles through the vector extension of GCC and Clang; compiled once per instruction
// set, in a namespace of its own, without inline functions of the standard library that the builds would share.
#pragma once

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace halion {
namespace HALION_TARGET {

constexpr int kLanes = HALION_LANES / 2;

typedef double Vec __attribute__((vector_size(8 * kLanes), aligned(8), may_alias));
typedef long long IntVec __attribute__((vector_size(8 * kLanes), aligned(8), may_alias));

inline Vec load(const double* p) { return *reinterpret_cast<const Vec*>(p); }
inline Vec broadcast(double x) { return x - Vec{}; }

inline Vec clamp(Vec x, double low, double high) {
    const Vec a = broadcast(low), b = broadcast(high);
    const IntVec above = (IntVec)(x > b), below = (IntVec)(x < a);
    return (Vec)((above & (IntVec)b) | (below & (IntVec)a) | (~(above | below) & (IntVec)x));
}

// 1 / x and 1 / sqrt(x) for x > 0 that is neither tiny nor huge, to a few units in the last place.
#if defined(__AVX512F__) && HALION_LANES == 16
// 14 bits of the instruction, doubled by each of two Newton steps: divisions and roots themselves are slow.
inline Vec reciprocal(Vec x) {
    Vec r = (Vec)_mm512_rcp14_pd((__m512d)x);
    r = r + r * (1.0 - x * r);
    return r + r * (1.0 - x * r);
}
inline Vec inverse_root(Vec x) {
    Vec r = (Vec)_mm512_rsqrt14_pd((__m512d)x);
    r = r + r * (0.5 - 0.5 * x * r * r);
    return r + r * (0.5 - 0.5 * x * r * r);
}
#elif defined(__AVX2__) && HALION_LANES == 8
inline Vec reciprocal(Vec x) { return 1.0 / x; }
inline Vec inverse_root(Vec x) { return 1.0 / (Vec)_mm256_sqrt_pd((__m256d)x); }
#else
inline Vec reciprocal(Vec x) { return 1.0 / x; }
inline Vec inverse_root(Vec x) {
    for (int k = 0; k < kLanes; ++k) x[k] = 1.0 / __builtin_sqrt(x[k]);
    return x;
}
#endif

#if defined(__AVX512F__) && HALION_LANES == 16
inline double sum(Vec x) { return _mm512_reduce_add_pd((__m512d)x); }
#elif defined(__AVX2__) && HALION_LANES == 8
inline double sum(Vec x) {
    const __m128d h = _mm_add_pd(_mm256_castpd256_pd128((__m256d)x), _mm256_extractf128_pd((__m256d)x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}
#else
inline double sum(Vec x) {
    double total = 0;
    for (int k = 0; k < kLanes; ++k) total += x[k];
    return total;
}
#endif

// e^x for |x| < 700 to a few units in the last place: 2^n e^f with |f| <= ln(2) / 2 and the series of e^f up to f^12,
// whose rest is below 2e-16.
inline Vec exponential(Vec x) {
    constexpr double kRound = 6755399441055744.0;  // 1.5 2^52: adding it leaves the nearest integer in the low bits
    constexpr double kHigh = 0.693147180369123816490, kLow = 1.90821492927058770002e-10;  // ln 2 in two parts
    const Vec shifted = x * 1.44269504088896340736 + kRound;
    const Vec n = shifted - kRound;
    const Vec f = (x - n * kHigh) - n * kLow;
    Vec p = broadcast(1.0 / 479001600);
    constexpr double kFactorials[] = {39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1};
    for (const double factorial : kFactorials) p = p * f + 1 / factorial;
    return (Vec)((IntVec)p + ((IntVec)shifted << 52));
}

}  // namespace HALION_TARGET
}  // namespace halion
