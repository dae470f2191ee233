#include "graph.hpp"

#include <algorithm>
#include <cmath>

namespace halion {

namespace {

constexpr int kAnglesPerItem = 2 * kTile;

// Frobenius norm of old^-1 new - 1: no vector shrinks by more than this fraction.
double strain(const Cell& old_inverse, const Cell& cell) {
    double total = 0;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) {
            double x = i == j ? -1 : 0;
            for (int k = 0; k < 3; ++k) x += old_inverse[i][k] * cell[k][j];
            total += x * x;
        }
    return std::sqrt(total);
}

}  // namespace

const NeighbourList& SkinnedList::update(const double* positions, int n, const Cell& cell, double skin) {
    was_rebuilt_ = !is_good(positions, n, cell, skin);
    if (was_rebuilt_) {
        list_ = list_neighbours(positions, n, cell, kAtomCutoff + skin);
        positions_.assign(positions, positions + 3 * n);
        cell_ = cell;
    }
    return list_;
}

// Positions are followed as r' = r M + u with M = old^-1 new: a pair that was further apart than cutoff + skin is
// still further than (1 - |M - 1|) (cutoff + skin) - 2 max |u|. A common drift of all atoms is taken off u.
bool SkinnedList::is_good(const double* positions, int n, const Cell& cell, double skin) const {
    if (positions_.size() != 3 * static_cast<size_t>(n) || skin <= 0) return false;
    const Cell old_inverse = inverse(cell_);
    const double left = (1 - strain(old_inverse, cell)) * (kAtomCutoff + skin) - kAtomCutoff;
    if (!(left > 0)) return false;
    std::vector<Vector> moved(n);
    Vector mean{};
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < 3; ++k) {
            double carried = 0;
            for (int m = 0; m < 3; ++m) {
                double fraction = 0;
                for (int c = 0; c < 3; ++c) fraction += positions_[3 * i + c] * old_inverse[c][m];
                carried += fraction * cell[m][k];
            }
            moved[i][k] = positions[3 * i + k] - carried;
            mean[k] += moved[i][k] / n;
        }
    double most = 0;
    for (const Vector& u : moved)
        most = std::max(most, squared_length({u[0] - mean[0], u[1] - mean[1], u[2] - mean[2]}));
    return 2 * std::sqrt(most) < left;
}

void GraphBuilder::clear() {
    for (auto* part : {&element_, &centre_, &neighbour_, &bond_, &reverse_, &first_edge_, &arm_edge_, &arm_bond_,
                       &arms_of_, &first_, &second_, &met_})
        part->clear();
    edge_start_.assign(1, 0);
    arm_start_.assign(1, 0);
    angle_start_.assign(1, 0);
    angle_item_.assign(1, 0);
    raw_vector_.clear();
    raw_distance_.clear();
    n_short_ = 0;
}

void GraphBuilder::add(const int* elements, const double* positions, int n, const Cell& cell,
                       const NeighbourList& list) {
    const int first_atom = static_cast<int>(element_.size());
    element_.insert(element_.end(), elements, elements + n);
    add_bonds(positions, cell, list);
    for (int i = 0; i < n; ++i) {
        for (int at = list.start[i]; at < list.start[i + 1]; ++at) {
            const int bond = kept_[list.edge_bond[at]];
            if (bond < 0) continue;
            const NeighbourList::Bond& of = list.bonds[list.edge_bond[at]];
            const bool is_first = list.edge_is_first[at];
            const int edge = static_cast<int>(bond_.size());
            centre_.push_back(first_atom + i);
            neighbour_.push_back(first_atom + (is_first ? of.b : of.a));
            bond_.push_back(bond);
            if (is_first) first_edge_[bond] = edge;
            // The bond's other edge has been met already, or will meet this one.
            reverse_.push_back(met_[bond]);
            if (met_[bond] >= 0) reverse_[met_[bond]] = edge;
            met_[bond] = edge;
        }
        edge_start_.push_back(static_cast<int>(bond_.size()));
    }
}

// Those bonds of the list that are within the cutoff now; kept_: their numbers, or -1.
void GraphBuilder::add_bonds(const double* positions, const Cell& cell, const NeighbourList& list) {
    kept_.resize(list.bonds.size());
    for (size_t k = 0; k < list.bonds.size(); ++k) {
        const Vector v = bond_vector(positions, cell, list.bonds[k]);
        const double d = std::sqrt(squared_length(v));
        // What is not a number stays, to end in a result that is not a number.
        const bool is_kept = !(d >= kAtomCutoff);
        kept_[k] = is_kept ? static_cast<int>(raw_distance_.size()) : -1;
        if (!is_kept) continue;
        raw_vector_.insert(raw_vector_.end(), v.begin(), v.end());
        raw_distance_.push_back(d);
        n_short_ += d < kBondCutoff;
    }
    first_edge_.resize(raw_distance_.size());
    met_.resize(raw_distance_.size(), -1);
}

// Short bonds first, otherwise in their order.
void GraphBuilder::number_bonds() {
    const size_t n = raw_distance_.size();
    int next_short = 0, next_long = n_short_;
    std::vector<int>&number = met_, &edge = kept_;
    vector_.resize(3 * n);
    distance_.resize(n);
    edge.resize(n);
    for (size_t k = 0; k < n; ++k) {
        const int to = raw_distance_[k] < kBondCutoff ? next_short++ : next_long++;
        number[k] = to;
        edge[to] = first_edge_[k];
        distance_[to] = raw_distance_[k];
        std::copy_n(&raw_vector_[3 * k], 3, &vector_[3 * static_cast<size_t>(to)]);
    }
    std::swap(first_edge_, edge);
    for (int& bond : bond_) bond = number[bond];
}

void GraphBuilder::add_arms() {
    arms_of_.resize(2 * static_cast<size_t>(n_short_));
    const int n = static_cast<int>(element_.size());
    for (int i = 0; i < n; ++i) {
        for (int e = edge_start_[i]; e < edge_start_[i + 1]; ++e) {
            if (bond_[e] >= n_short_) continue;
            arms_of_[2 * bond_[e] + (first_edge_[bond_[e]] != e)] = static_cast<int>(arm_edge_.size());
            arm_edge_.push_back(e);
            arm_bond_.push_back(bond_[e]);
        }
        arm_start_.push_back(static_cast<int>(arm_edge_.size()));
    }
}

void GraphBuilder::add_angles() {
    const int n = static_cast<int>(element_.size());
    int in_item = 0;
    for (int i = 0; i < n; ++i) {
        for (int p = arm_start_[i]; p < arm_start_[i + 1]; ++p)
            for (int q = arm_start_[i]; q < arm_start_[i + 1]; ++q)
                if (p != q) {
                    first_.push_back(p);
                    second_.push_back(q);
                }
        angle_start_.push_back(static_cast<int>(first_.size()));
        in_item += angle_start_[i + 1] - angle_start_[i];
        if (in_item >= kAnglesPerItem || i + 1 == n) {
            angle_item_.push_back(i + 1);
            in_item = 0;
        }
    }
}

Graph GraphBuilder::finish() {
    number_bonds();
    add_arms();
    add_angles();
    Graph graph;
    graph.n_atoms = static_cast<int>(element_.size());
    graph.n_edges = static_cast<int>(bond_.size());
    graph.n_bonds = static_cast<int>(distance_.size());
    graph.n_short = n_short_;
    graph.n_arms = static_cast<int>(arm_edge_.size());
    graph.n_angles = static_cast<int>(first_.size());
    graph.n_angle_items = static_cast<int>(angle_item_.size()) - 1;
    graph.element = element_.data();
    graph.edge_start = edge_start_.data(), graph.arm_start = arm_start_.data();
    graph.angle_start = angle_start_.data(), graph.angle_item = angle_item_.data();
    graph.centre = centre_.data(), graph.neighbour = neighbour_.data();
    graph.bond = bond_.data(), graph.reverse = reverse_.data(), graph.first_edge = first_edge_.data();
    graph.arm_edge = arm_edge_.data(), graph.arm_bond = arm_bond_.data(), graph.arms_of = arms_of_.data();
    graph.first = first_.data(), graph.second = second_.data();
    graph.vector = vector_.data(), graph.distance = distance_.data();
    return graph;
}

size_t GraphBuilder::bytes() const {
    size_t total = 0;
    for (const auto* part : {&element_, &edge_start_, &arm_start_, &angle_start_, &centre_, &neighbour_, &bond_,
                             &reverse_, &first_edge_, &arm_edge_, &arm_bond_, &arms_of_, &first_, &second_,
                             &angle_item_, &met_, &kept_})
        total += part->capacity() * sizeof(int);
    for (const auto* part : {&vector_, &distance_, &raw_vector_, &raw_distance_})
        total += part->capacity() * sizeof(double);
    return total;
}

int GraphBuilder::most_edges_of_item() const {
    const int n = static_cast<int>(element_.size());
    int most = 0;
    for (int i = 0; i < n; i += kAtomsPerItem)
        most = std::max(most, edge_start_[std::min(n, i + kAtomsPerItem)] - edge_start_[i]);
    return most;
}

}  // namespace halion
