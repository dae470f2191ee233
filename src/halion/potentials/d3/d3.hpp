// D3 with Becke-Johnson damping for batches of periodic cells, in atomic units (Bohr, Hartree).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace halion {

constexpr int kReferences = 7;  // reference systems of an element, at most

// By atomic number minus one, for n_elements of them.
struct D3Tables {
    int n_elements;
    std::vector<double> radius;      // covalent, scaled by 4/3
    std::vector<double> root;        // q = sqrt(Q/2), Q = sqrt(Z) <r^4> / <r^2>: C8 = 3 C6 q_i q_j
    std::vector<double> reference;   // (n_elements, 7) coordination numbers, negative where there is none
    std::vector<double> c6;          // (n_elements, n_elements, 7, 7)
};

struct D3Settings {
    double s6, s8, a1, a2;
    double pairs, pairs_width, coordination, coordination_width;
};

struct D3Batch {
    int n_structures;
    const int64_t *numbers, *counts;
    const double *positions, *cells;
    double *energies, *forces, *virials;  // results
};

// The builds that this machine can run, fastest first.
std::vector<const D3Kernels*> usable_d3_kernels();

// Results that are not numbers stand for a structure that cannot be evaluated: not finite, a cell that is singular or
// has collapsed, two atoms on one point. A structure's result depends on nothing that came before.
void evaluate_d3(const D3Tables& tables, const D3Settings& settings, const D3Kernels& kernels, const D3Batch& batch);

}  // namespace halion
