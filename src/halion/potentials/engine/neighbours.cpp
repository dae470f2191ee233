#include "neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace halion {

namespace {

constexpr double kMargin = 1e-6;  // Angstrom; far above the rounding between wrapped and unwrapped positions
constexpr int kMostBins = 64;     // along one axis

Vector cross(const Vector& u, const Vector& v) {
    return {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
}

double dot(const Vector& u, const Vector& v) { return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]; }

int floor_division(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// The cell cut into boxes of about a third of the radius or more; atoms wrapped into it and sorted by box.
struct Boxes {
    std::array<int, 3> count, reach;  // boxes along each axis; boxes that the radius spans
    std::vector<int> start, atom;
    std::vector<std::array<int, 3>> place, wrap;  // of each atom: its box, and the lattice vectors taken off
    std::vector<Vector> wrapped;

    int index(int x, int y, int z) const { return (x * count[1] + y) * count[2] + z; }
};

Boxes sort_into_boxes(const double* positions, int n, const Cell& cell, double radius) {
    const Cell reciprocal = inverse(cell);
    Boxes boxes;
    const int most = std::max(1, std::min(kMostBins, static_cast<int>(std::cbrt(4.0 * n)) + 1));
    for (int k = 0; k < 3; ++k) {
        const double height =
            1 / std::sqrt(dot({reciprocal[0][k], reciprocal[1][k], reciprocal[2][k]},
                              {reciprocal[0][k], reciprocal[1][k], reciprocal[2][k]}));
        boxes.count[k] = std::max(1, std::min(most, static_cast<int>(3 * height / radius)));
        boxes.reach[k] = static_cast<int>(std::ceil(radius * boxes.count[k] / height));
    }
    boxes.place.resize(n), boxes.wrap.resize(n), boxes.wrapped.resize(n);
    boxes.start.assign(boxes.count[0] * boxes.count[1] * boxes.count[2] + 1, 0);
    for (int i = 0; i < n; ++i) {
        const double* r = positions + 3 * i;
        for (int k = 0; k < 3; ++k) {
            const double f = r[0] * reciprocal[0][k] + r[1] * reciprocal[1][k] + r[2] * reciprocal[2][k];
            if (!(std::fabs(f) < 1e9)) throw std::length_error("a position lies 1e9 cells away");
            boxes.wrap[i][k] = static_cast<int>(std::floor(f));
            boxes.place[i][k] =
                std::min(boxes.count[k] - 1, static_cast<int>((f - boxes.wrap[i][k]) * boxes.count[k]));
        }
        const auto& w = boxes.wrap[i];
        for (int k = 0; k < 3; ++k)
            boxes.wrapped[i][k] = r[k] - (w[0] * cell[0][k] + w[1] * cell[1][k] + w[2] * cell[2][k]);
        ++boxes.start[boxes.index(boxes.place[i][0], boxes.place[i][1], boxes.place[i][2]) + 1];
    }
    for (size_t k = 1; k < boxes.start.size(); ++k) boxes.start[k] += boxes.start[k - 1];
    boxes.atom.resize(n);
    std::vector<int> next(boxes.start.begin(), boxes.start.end() - 1);
    for (int i = 0; i < n; ++i)
        boxes.atom[next[boxes.index(boxes.place[i][0], boxes.place[i][1], boxes.place[i][2])]++] = i;
    return boxes;
}

// Bonds of atom i with the atoms of one box in one image of the cell, those that are kept from i's side.
void search_box(const Boxes& boxes, const Cell& cell, int i, int box, const std::array<int, 3>& image, double squared,
                std::vector<NeighbourList::Bond>& bonds) {
    Vector centre = boxes.wrapped[i];
    for (int k = 0; k < 3; ++k)
        centre[k] -= image[0] * cell[0][k] + image[1] * cell[1][k] + image[2] * cell[2][k];
    for (int at = boxes.start[box]; at < boxes.start[box + 1]; ++at) {
        const int j = boxes.atom[at];
        if (j < i) continue;
        const Vector& r = boxes.wrapped[j];
        if (squared_length({centre[0] - r[0], centre[1] - r[1], centre[2] - r[2]}) > squared) continue;
        std::array<int, 3> shift;
        for (int k = 0; k < 3; ++k) shift[k] = image[k] + boxes.wrap[i][k] - boxes.wrap[j][k];
        if (j > i || shift > std::array<int, 3>{0, 0, 0}) bonds.push_back({i, j, shift});
    }
}

void search_around(const Boxes& boxes, const Cell& cell, int i, double squared,
                   std::vector<NeighbourList::Bond>& bonds) {
    const auto& [nx, ny, nz] = boxes.count;
    const auto& place = boxes.place[i];
    for (int x = place[0] - boxes.reach[0]; x <= place[0] + boxes.reach[0]; ++x)
        for (int y = place[1] - boxes.reach[1]; y <= place[1] + boxes.reach[1]; ++y)
            for (int z = place[2] - boxes.reach[2]; z <= place[2] + boxes.reach[2]; ++z) {
                const std::array<int, 3> image{floor_division(x, nx), floor_division(y, ny), floor_division(z, nz)};
                const int box = boxes.index(x - image[0] * nx, y - image[1] * ny, z - image[2] * nz);
                if (boxes.start[box] < boxes.start[box + 1])
                    search_box(boxes, cell, i, box, image, squared, bonds);
            }
}

// Both ends of every bond, ordered by centre, neighbour, shift.
void add_edges(int n, NeighbourList& list) {
    struct End {
        int neighbour;
        std::array<int, 3> shift;
        int bond;
        bool is_first;
    };
    std::vector<std::vector<End>> ends(n);
    for (size_t k = 0; k < list.bonds.size(); ++k) {
        const NeighbourList::Bond& bond = list.bonds[k];
        ends[bond.a].push_back({bond.b, bond.shift, static_cast<int>(k), true});
        ends[bond.b].push_back({bond.a, {-bond.shift[0], -bond.shift[1], -bond.shift[2]}, static_cast<int>(k), false});
    }
    list.start.assign(1, 0);
    for (std::vector<End>& of_atom : ends) {
        std::sort(of_atom.begin(), of_atom.end(), [](const End& p, const End& q) {
            return p.neighbour != q.neighbour ? p.neighbour < q.neighbour : p.shift < q.shift;
        });
        for (const End& end : of_atom) {
            list.edge_bond.push_back(end.bond);
            list.edge_is_first.push_back(end.is_first);
        }
        list.start.push_back(static_cast<int>(list.edge_bond.size()));
    }
}

}  // namespace

double volume(const Cell& cell) { return dot(cell[0], cross(cell[1], cell[2])); }

Cell inverse(const Cell& cell) {
    const Vector a = cross(cell[1], cell[2]), b = cross(cell[2], cell[0]), c = cross(cell[0], cell[1]);
    const double v = volume(cell);
    Cell result;
    for (int k = 0; k < 3; ++k) result[k] = {a[k] / v, b[k] / v, c[k] / v};
    return result;
}

NeighbourList list_neighbours(const double* positions, int n, const Cell& cell, double radius) {
    radius += kMargin;
    const Boxes boxes = sort_into_boxes(positions, n, cell, radius);
    NeighbourList list;
    for (int i = 0; i < n; ++i) {
        const size_t before = list.bonds.size();
        search_around(boxes, cell, i, radius * radius, list.bonds);
        std::sort(list.bonds.begin() + before, list.bonds.end(), [](const auto& p, const auto& q) {
            return p.b != q.b ? p.b < q.b : p.shift < q.shift;
        });
        if (list.bonds.size() > 1u << 30) throw std::length_error("more than 2^30 bonds");
    }
    add_edges(n, list);
    return list;
}

}  // namespace halion
