// Radial and angular bases with their slopes. Phases are reduced in double precision, sine and cosine of the rest,
// at most pi/4, are single precision polynomials (Cephes' minimax coefficients).
#pragma once

#include <math.h>

#include "simd.hpp"

namespace halion {
namespace HALION_TARGET {

// sin and cos of frequencies[k] * x, k < kBasis.
inline void sines(const double* frequencies, double x, float* sine, float* cosine) {
    float rest[kBasis];
    int quarter[kBasis];
    for (int k = 0; k < kBasis; ++k) {
        const double phase = frequencies[k] * x;
        const double turns = phase * 0.63661977236758134308 + 6755399441055744.0;  // 1.5 2^52 rounds to an integer
        const double n = turns - 6755399441055744.0;
        rest[k] = static_cast<float>(phase - n * 1.57079632679489661923);
        quarter[k] = static_cast<int>(n);
    }
    for (int k = 0; k < kBasis; ++k) {
        const float r = rest[k], r2 = r * r;
        const float s = r + r * r2 * (-1.6666654611e-1f + r2 * (8.3321608736e-3f - r2 * 1.9515295891e-4f));
        const float c = 1.0f - 0.5f * r2 +
                        r2 * r2 * (4.166664568298827e-2f + r2 * (-1.388731625493765e-3f + r2 * 2.443315711809948e-5f));
        const bool swapped = quarter[k] & 1;
        const float sine_sign = quarter[k] & 2 ? -1.0f : 1.0f, cosine_sign = (quarter[k] + 1) & 2 ? -1.0f : 1.0f;
        sine[k] = sine_sign * (swapped ? c : s);
        cosine[k] = cosine_sign * (swapped ? s : c);
    }
}

// u(x) sqrt(2/rc) sin(f_k x) / r and its derivative by r, with x = r/rc, u = 1 - 45 x^8 + 80 x^9 - 36 x^10.
inline void radial_basis(const double* frequencies, double cutoff, double r, float* value, float* slope) {
    const double x = r / cutoff, x2 = x * x, x4 = x2 * x2, x7 = x4 * x2 * x;
    const double envelope = 1 + x7 * x * (-45 + x * (80 - 36 * x));
    const double envelope_slope = x7 * (-360 + x * (720 - 360 * x)) / cutoff;
    const double norm = sqrt(2 / cutoff) / r;
    const bool inside = x < 1;
    const double amplitude = inside ? norm * envelope : 0;
    const double amplitude_slope = inside ? norm * (envelope_slope - envelope / r) : 0;
    float sine[kBasis], cosine[kBasis];
    sines(frequencies, x, sine, cosine);
    for (int k = 0; k < kBasis; ++k) {
        value[k] = static_cast<float>(amplitude * sine[k]);
        slope[k] = static_cast<float>(amplitude_slope * sine[k] + amplitude * frequencies[k] / cutoff * cosine[k]);
    }
}

// [1/sqrt 2, sin(g_k theta), cos(g_k theta)] / sqrt(pi), k < 15, and the derivative by theta. frequencies holds kBasis
// numbers, the first 15 in use.
inline void angular_basis(const double* frequencies, double theta, float* value, float* slope) {
    constexpr int kWaves = 15;
    constexpr double kNorm = 0.56418958354775628695;
    constexpr double kSqrtHalf = 0.70710676908493042;  // single precision, as in the model
    float sine[kBasis], cosine[kBasis];
    sines(frequencies, theta, sine, cosine);
    value[0] = static_cast<float>(kSqrtHalf * kNorm);
    slope[0] = 0;
    for (int k = 0; k < kWaves; ++k) {
        value[1 + k] = static_cast<float>(kNorm * sine[k]);
        value[1 + kWaves + k] = static_cast<float>(kNorm * cosine[k]);
        slope[1 + k] = static_cast<float>(kNorm * frequencies[k] * cosine[k]);
        slope[1 + kWaves + k] = static_cast<float>(-kNorm * frequencies[k] * sine[k]);
    }
    value[kBasis - 1] = slope[kBasis - 1] = 0;
}

}  // namespace HALION_TARGET
}  // namespace halion
