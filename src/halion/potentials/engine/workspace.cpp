#include "workspace.hpp"

namespace halion {

float* Workspace::floats(size_t rows, size_t columns) {
    if (next_float_ == floats_.size()) floats_.emplace_back();
    return floats_[next_float_++].reserve(rows * columns);
}

double* Workspace::doubles(size_t rows, size_t columns) {
    if (next_double_ == doubles_.size()) doubles_.emplace_back();
    return doubles_[next_double_++].reserve(rows * columns);
}

Work Workspace::reserve(const Graph& graph, int most_edges, int n_threads) {
    next_float_ = next_double_ = 0;
    const size_t atoms = graph.n_atoms, edges = graph.n_edges, bonds = graph.n_bonds, near = graph.n_short,
                 arms = graph.n_arms, angles = graph.n_angles;
    Work work;
    work.atoms = floats(atoms, kWidth);
    work.atom_grad = floats(atoms, kWidth);
    work.atom_pending = floats(atoms, kWidth);
    work.atom_in_grad = floats(atoms, 2 * kPair);
    work.message_weight = floats(bonds, kWidth);
    work.message_slope = floats(bonds, kWidth);
    for (int l = 0; l < 4; ++l) {
        work.atom_table[l] = floats(atoms, kInputs);
        work.edge_in[l] = floats(bonds, kPair);
        work.edge_slope[l] = floats(bonds, kPair);
    }
    for (int l = 0; l < 3; ++l) {
        work.edge_z[l] = floats(edges, kPair);
        work.bond_table[l] = floats(near, kInputs);
        work.bond_pre[l] = floats(angles, kPair);
        work.bond_z[l] = floats(angles, kPair);
    }
    for (int l = 0; l < 2; ++l) work.angle_z[l] = floats(angles, kPair);
    work.last_z_size = static_cast<long>(most_edges) * kPair;
    work.last_z = floats(static_cast<size_t>(most_edges) * n_threads, kPair);
    work.edge_grad = floats(edges, kPair);
    work.bonds = floats(near, kWidth);
    work.bond_start_slope = floats(near, kWidth);
    work.bond_grad = floats(near, kWidth);
    work.gathered_grad = floats(near, kWidth);
    work.bond_weight = floats(near, kWidth);
    work.bond_weight_slope = floats(near, kWidth);
    work.arm_sum = floats(arms, kWidth);
    work.arm_grad = floats(arms, kInputs);
    work.angles = floats(angles, kWidth);
    work.angle_slope = floats(angles, kWidth);
    work.angle_grad = floats(angles, kWidth);
    work.edge_pull = doubles(edges, 1);
    work.arm_pull = doubles(arms, 1);
    work.arm_force = doubles(arms, 3);
    work.bond_pull = doubles(near, 1);
    work.site_energy = doubles(atoms, 1);
    work.force = doubles(atoms, 3);
    work.virial = doubles(atoms, 9);
    return work;
}

size_t Workspace::bytes() const {
    size_t total = 0;
    for (const auto& part : floats_) total += part.bytes();
    for (const auto& part : doubles_) total += part.bytes();
    return total;
}

}  // namespace halion
