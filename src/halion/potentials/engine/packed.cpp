#include "packed.hpp"

#include <algorithm>

namespace halion {

PackedWeights::PackedWeights(const Source& source, int panel) : source_(source), panel_(panel) {
    read_inputs();
    read_layers();
    read_readout();
}

// Panels of columns, one after another; in a panel the rows follow each other.
Matrix PackedWeights::matrix(const std::string& name, int depth, int width) {
    const double* from = source_(name, depth, width);
    float* to = floats_.emplace_back().reserve(static_cast<size_t>(depth) * width);
    for (int column = 0, at = 0; column < width; column += panel_)
        for (int k = 0; k < depth; ++k)
            for (int c = column; c < column + panel_; ++c) to[at++] = static_cast<float>(from[k * width + c]);
    return {floats_.back().data(), depth, width};
}

const float* PackedWeights::table(const std::string& name, int rows, int columns) {
    const double* from = source_(name, rows, columns);
    float* to = floats_.emplace_back().reserve(static_cast<size_t>(rows) * columns);
    std::transform(from, from + static_cast<size_t>(rows) * columns, to,
                   [](double x) { return static_cast<float>(x); });
    return to;
}

const float* PackedWeights::row(const std::string& name, int columns) { return table(name, 1, columns); }

const double* PackedWeights::doubles(const std::string& name, int columns) {
    const double* from = source_(name, 1, columns);
    double* to = doubles_.emplace_back().reserve(columns);
    std::copy_n(from, columns, to);
    return to;
}

GatedWeights PackedWeights::gated(const std::string& block) {
    GatedWeights w;
    for (int head = 0; head < 2; ++head) {
        const std::string name = block + (head ? ".gate" : ".core");
        w.second[head] = matrix(name, kWidth, kWidth);
        w.second_back[head] = matrix(name + ".back", kWidth, kWidth);
    }
    w.bias2 = row(block + ".bias2", kPair);
    w.scale = row(block + ".scale", kPair);
    w.shift = row(block + ".shift", kPair);
    return w;
}

void PackedWeights::read_inputs() {
    Weights& w = weights_;
    w.frequencies6 = doubles("frequencies6", kBasis);
    w.frequencies3 = doubles("frequencies3", kBasis);
    w.angle_frequencies = doubles("angle_frequencies", kBasis);
    w.reference_energy = doubles("reference_energy", kElements);
    w.embedding = table("embedding", kElements, kWidth);
    w.element_inputs = table("element_inputs", kElements, 2 * kPair);
    w.atom_weight = matrix("atom_weight", kBasis, kWidth);
    w.bond_weight = matrix("bond_weight", kBasis, kWidth);
    w.bond_embedding = matrix("bond_embedding", kBasis, kWidth);
    w.angle_embedding = matrix("angle_embedding", kBasis, kWidth);
}

void PackedWeights::read_layers() {
    Weights& w = weights_;
    for (int l = 0; l < 4; ++l) {
        const std::string block = "atom" + std::to_string(l), inputs = "atom_inputs" + std::to_string(l);
        AtomWeights& atom = w.atom[l];
        atom.edge_basis = matrix(block + ".edge_basis", kBasis, kPair);
        atom.edge = matrix(block + ".edge", kWidth, kPair);
        atom.edge_back = matrix(block + ".edge.back", kPair, kWidth);
        atom.out = matrix(block + ".out", kWidth, kWidth);
        atom.out_back = matrix(block + ".out.back", kWidth, kWidth);
        atom.gated = gated(block);
        if (l == 0) continue;
        const int width = l < 3 ? kInputs : 3 * kPair;  // no AngleUpdate after the last BondConv
        w.atom_inputs[l] = matrix(inputs, kWidth, width);
        w.atom_inputs_bias[l] = row(inputs + ".bias", width);
        w.atom_inputs_back[l] = matrix(inputs + ".back", 2 * kPair, kWidth);
    }
    for (int l = 0; l < 3; ++l) {
        const std::string block = "bond" + std::to_string(l), inputs = "bond_inputs" + std::to_string(l);
        BondWeights& bond = w.bond[l];
        bond.angle = matrix(block + ".angle", kWidth, kPair);
        bond.angle_back = matrix(block + ".angle.back", kPair, kWidth);
        bond.centre_back = matrix(block + ".centre.back", kPair, kWidth);
        bond.out = matrix(block + ".out", kWidth, kWidth);
        bond.out_back = matrix(block + ".out.back", kWidth, kWidth);
        bond.gated = gated(block);
        const int width = l > 0 ? kInputs : 2 * kPair;  // no AngleUpdate before the first BondConv
        w.bond_inputs[l] = matrix(inputs, kWidth, width);
        w.bond_inputs_back[l] = matrix(inputs + ".back", width, kWidth);
    }
    for (int l = 0; l < 2; ++l) {
        const std::string block = "angle" + std::to_string(l);
        AngleWeights& angle = w.angle[l];
        angle.angle = matrix(block + ".angle", kWidth, kPair);
        angle.angle_back = matrix(block + ".angle.back", kPair, kWidth);
        angle.centre_back = matrix(block + ".centre.back", kPair, kWidth);
        angle.scale = row(block + ".scale", kPair);
        angle.shift = row(block + ".shift", kPair);
    }
}

void PackedWeights::read_readout() {
    Weights& w = weights_;
    w.readout_scale = row("readout_scale", kWidth);
    w.readout_shift = row("readout_shift", kWidth);
    for (int k = 0; k < 3; ++k) {
        const std::string name = "readout" + std::to_string(k);
        w.readout[k] = matrix(name, kWidth, kWidth);
        w.readout_back[k] = matrix(name + ".back", kWidth, kWidth);
        w.readout_bias[k] = row(name + ".bias", kWidth);
    }
    w.last = row("last", kWidth);
    w.last_bias = *doubles("last_bias", 1);
}

}  // namespace halion
