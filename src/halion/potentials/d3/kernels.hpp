// Sums over the periodic images of one pair of atoms, in atomic units: what each instruction set compiles.
#pragma once

namespace halion {

constexpr int kImagePadding = 8;  // vectors far away behind the last lattice vector: the widest kernels read them

// Lattice vectors.
struct Images {
    const double *x, *y, *z;
    int n;
};

// Terms fade over [end - width, end] as 1 - 10 u^3 + 15 u^4 - 6 u^5.
struct Fade {
    double start, inverse_width;
};

// s6 / (r^6 + f^6) + s8 (C8 / C6) / (r^8 + f^8)
struct PairShape {
    double s6, s8_ratio, f6, f8;
    Fade fade;
};

// 1 / (1 + exp(-16 (radius / r - 1)))
struct CountShape {
    double radius;
    Fade fade;
};

// With g the term and x = d + T the vector from the first atom to an image of the second, over T = images:
// sum of g; of dg/dx; of x_a dg/dx_b for ab = xx, yy, zz, yz, xz, xy.
struct Sums {
    double value;
    double gradient[3];
    double strain[6];
};

struct D3Kernels {
    const char* name;
    Sums (*pair)(const Images&, const double* d, const PairShape&);
    Sums (*count)(const Images&, const double* d, const CountShape&);
    double (*count_value)(const Images&, const double* d, const CountShape&);
};

}  // namespace halion
