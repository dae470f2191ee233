// One instruction set's build of the sums over images: CMakeLists.txt compiles this file several times, each with its
// own HALION_TARGET (a namespace), HALION_LANES and flags.
#include "kernels.hpp"

#include "vectors.hpp"

namespace halion {
namespace HALION_TARGET {
namespace {

struct Faded {
    Vec value, slope;  // of r
};

inline Faded fade(Vec r, const Fade& shape) {
    const Vec u = clamp((r - shape.start) * shape.inverse_width, 0, 1);
    const Vec left = 1.0 - u;
    return {1.0 + u * u * u * (-10.0 + u * (15.0 - 6.0 * u)),
            u * u * left * left * (-30.0 * shape.inverse_width)};
}

// What a term gives at a distance: its value, and its derivative divided by r.
struct Term {
    Vec value, slope_over_r;
};

struct PairTerm {
    const PairShape& shape;
    Term operator()(Vec r2) const {
        const Vec r4 = r2 * r2, r6 = r4 * r2;
        const Vec a = r6 + shape.f6, b = r4 * r4 + shape.f8;
        const Vec inverse = reciprocal(a * b);
        const Vec over_a = b * inverse, over_b = a * inverse;
        const Vec c6 = shape.s6 * over_a, c8 = shape.s8_ratio * over_b;
        const Vec value = c6 + c8;
        const Vec slope_over_r = -6.0 * r4 * c6 * over_a - 8.0 * r6 * c8 * over_b;
        const Vec over_r = inverse_root(r2);
        const Faded faded = fade(r2 * over_r, shape.fade);
        return {value * faded.value, slope_over_r * faded.value + value * faded.slope * over_r};
    }
};

struct CountTerm {
    const CountShape& shape;
    Term operator()(Vec r2) const {
        const Vec over_r = inverse_root(r2);
        const Vec ratio = over_r * shape.radius;
        const Vec grown = exponential(clamp(16.0 - 16.0 * ratio, -600, 600));
        // Two atoms on one point: all bits set are no number.
        const IntVec met = (IntVec)(ratio > broadcast(1e3));
        const Vec value = (Vec)((IntVec)reciprocal(1.0 + grown) | met);
        const Vec slope = -16.0 * value * value * grown * ratio * over_r;
        const Faded faded = fade(r2 * over_r, shape.fade);
        return {value * faded.value, (slope * faded.value + value * faded.slope) * over_r};
    }
};

struct Place {
    Vec x, y, z;
};

inline Place place(const Images& images, const double* d, int at) {
    return {load(images.x + at) + d[0], load(images.y + at) + d[1], load(images.z + at) + d[2]};
}

// The padding that the last vector takes along is further away than any cutoff: it adds zero.
template <class Shaped>
inline Sums all_sums(const Images& images, const double* d, const Shaped& shaped) {
    Vec value{}, gx{}, gy{}, gz{}, xx{}, yy{}, zz{}, yz{}, xz{}, xy{};
    for (int at = 0; at < images.n; at += kLanes) {
        const Place p = place(images, d, at);
        const Term term = shaped(p.x * p.x + p.y * p.y + p.z * p.z);
        const Vec fx = term.slope_over_r * p.x, fy = term.slope_over_r * p.y, fz = term.slope_over_r * p.z;
        value += term.value;
        gx += fx, gy += fy, gz += fz;
        xx += fx * p.x, yy += fy * p.y, zz += fz * p.z;
        yz += fy * p.z, xz += fx * p.z, xy += fx * p.y;
    }
    return {sum(value), {sum(gx), sum(gy), sum(gz)}, {sum(xx), sum(yy), sum(zz), sum(yz), sum(xz), sum(xy)}};
}

Sums pair(const Images& images, const double* d, const PairShape& shape) {
    return all_sums(images, d, PairTerm{shape});
}

Sums count(const Images& images, const double* d, const CountShape& shape) {
    return all_sums(images, d, CountTerm{shape});
}

double count_value(const Images& images, const double* d, const CountShape& shape) {
    Vec value{};
    for (int at = 0; at < images.n; at += kLanes) {
        const Place p = place(images, d, at);
        value += CountTerm{shape}(p.x * p.x + p.y * p.y + p.z * p.z).value;
    }
    return sum(value);
}

}  // namespace

#define HALION_TEXT(x) #x
#define HALION_NAME(x) HALION_TEXT(x)
extern const D3Kernels d3_kernels = {HALION_NAME(HALION_TARGET), pair, count, count_value};

}  // namespace HALION_TARGET
}  // namespace halion
