#include "lattice.hpp"

#include <algorithm>
#include <cmath>

namespace halion {

namespace {

constexpr double kBoxEdge = 6;      // Bohr, about: smaller boxes share fewer useless vectors, but are more
constexpr int kMostBoxes = 8;       // along one axis
constexpr double kMargin = 1e-6;    // Bohr; far above rounding
constexpr double kFar = 1e6;        // Bohr, of the padding

// Half of the longest diagonal of a parallelepiped.
double half_diagonal(const Cell& cell) {
    double most = 0;
    for (const double s : {-0.5, 0.5})
        for (const double t : {-0.5, 0.5}) most = std::max(most, squared_length(combined(cell, 0.5, s, t)));
    return std::sqrt(most);
}

std::vector<Vector> lattice_vectors(const Cell& cell, double longest) {
    const Cell reciprocal = inverse(cell);
    std::array<int, 3> most;
    for (int k = 0; k < 3; ++k)
        most[k] = static_cast<int>(
            longest * std::sqrt(squared_length({reciprocal[0][k], reciprocal[1][k], reciprocal[2][k]})));
    std::vector<Vector> found;
    for (int a = -most[0]; a <= most[0]; ++a)
        for (int b = -most[1]; b <= most[1]; ++b)
            for (int c = -most[2]; c <= most[2]; ++c) {
                const Vector t = combined(cell, a, b, c);
                if (squared_length(t) <= longest * longest) found.push_back(t);
            }
    return found;
}

}  // namespace

Cell reduced(Cell cell) {
    constexpr int kMostRounds = 200;  // a handful are needed
    for (int round = 0, changed = 1; changed && round < kMostRounds; ++round) {
        changed = 0;
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) {
                if (i == j) continue;
                double product = 0;
                for (int k = 0; k < 3; ++k) product += cell[i][k] * cell[j][k];
                // One half by rounding alone does not count, or a hexagonal lattice would go round for ever.
                const double n = std::round(product / squared_length(cell[j]) * (1 - 1e-9));
                if (n == 0) continue;
                for (int k = 0; k < 3; ++k) cell[i][k] -= n * cell[j][k];
                changed = 1;
            }
    }
    return cell;
}

ImageLists::ImageLists(const Cell& cell, double cutoff) : cell_(cell) {
    Cell box = cell_;
    for (int k = 0; k < 3; ++k) {
        const double edge = std::sqrt(squared_length(cell_[k]));
        boxes_[k] = std::clamp(static_cast<int>(std::ceil(edge / kBoxEdge)), 1, kMostBoxes);
        for (double& component : box[k]) component /= boxes_[k];
    }
    const double spread = half_diagonal(box) + kMargin;
    const std::vector<Vector> vectors = lattice_vectors(cell_, cutoff + half_diagonal(cell_) + spread);
    start_.push_back(0);
    for (int a = 0; a < boxes_[0]; ++a)
        for (int b = 0; b < boxes_[1]; ++b)
            for (int c = 0; c < boxes_[2]; ++c) {
                const Vector centre = combined(cell_, (a + 0.5) / boxes_[0] - 0.5, (b + 0.5) / boxes_[1] - 0.5,
                                               (c + 0.5) / boxes_[2] - 0.5);
                collect(vectors, centre, cutoff + spread, false);
            }
    collect(vectors, {}, cutoff + kMargin, true);
}

void ImageLists::collect(const std::vector<Vector>& vectors, const Vector& centre, double radius, bool is_self) {
    const size_t before = x_.size();
    for (const Vector& t : vectors) {
        if (squared_length({centre[0] + t[0], centre[1] + t[1], centre[2] + t[2]}) > radius * radius) continue;
        if (is_self && squared_length(t) == 0) continue;
        x_.push_back(t[0]), y_.push_back(t[1]), z_.push_back(t[2]);
    }
    count_.push_back(static_cast<int>(x_.size() - before));
    const size_t padded = x_.size() + kImagePadding;
    for (auto* part : {&x_, &y_, &z_}) part->resize(padded, kFar);
    start_.push_back(static_cast<int>(x_.size()));
}

ImageLists::Pair ImageLists::of(const Vector& from, const Vector& to) const {
    Vector f;
    int box = 0;
    for (int k = 0; k < 3; ++k) {
        f[k] = to[k] - from[k];
        if (f[k] >= 0.5) f[k] -= 1;
        if (f[k] < -0.5) f[k] += 1;
        box = box * boxes_[k] + std::min(static_cast<int>((f[k] + 0.5) * boxes_[k]), boxes_[k] - 1);
    }
    return {combined(cell_, f[0], f[1], f[2]), view(box)};
}

}  // namespace halion
