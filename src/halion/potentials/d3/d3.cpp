#include "d3.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lattice.hpp"

namespace halion {

namespace portable {
extern const D3Kernels d3_kernels;
}
#if defined(HALION_X86)
namespace avx2 {
extern const D3Kernels d3_kernels;
}
namespace avx512 {
extern const D3Kernels d3_kernels;
}
#endif

std::vector<const D3Kernels*> usable_d3_kernels() {
    std::vector<const D3Kernels*> usable;
#if defined(HALION_X86)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi2");
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        usable.push_back(&avx512::d3_kernels);
    if (has_avx2) usable.push_back(&avx2::d3_kernels);
#endif
    usable.push_back(&portable::d3_kernels);
    return usable;
}

namespace {

constexpr double kWeightSteepness = 4;        // of the Gaussians over coordination numbers
constexpr double kSharp = 1e-9;               // Bohr: a width of zero
constexpr double kSmallestVolume = 6.7;       // Bohr^3 per atom, 1 Angstrom^3
constexpr int kStrainOf[3][3] = {{0, 5, 4}, {5, 1, 3}, {4, 3, 2}};

Fade fade_of(double end, double width) {
    width = std::max(width, kSharp);
    return {end - width, 1 / width};
}

// One structure: coordination numbers, then pairs, then the way back through the coordination numbers.
class Structure {
   public:
    Structure(const D3Tables& tables, const D3Settings& settings, const D3Kernels& kernels, const int64_t* numbers,
              const double* positions, int n, const Cell& cell)
        : tables_(tables), settings_(settings), kernels_(kernels), n_(n), pair_images_(cell, settings.pairs), count_images_(cell, settings.coordination), elements_(n), references_(n), fractions_(n), coordination_(n), slope_(n), weights_(n * kReferences), weight_slopes_(n * kReferences) {
        const Cell columns = inverse(cell);
        for (int i = 0; i < n; ++i) {
            elements_[i] = static_cast<int>(numbers[i]) - 1;
            const double* r = positions + 3 * i;
            for (int k = 0; k < 3; ++k) {
                const double f = r[0] * columns[0][k] + r[1] * columns[1][k] + r[2] * columns[2][k];
                fractions_[i][k] = f - std::floor(f);
            }
        }
    }

    void evaluate(double& energy, double* forces, double* virial) {
        std::fill_n(forces, 3 * n_, 0.0);
        double strain[6] = {};
        energy = 0;
        count();
        for (int i = 0; i < n_; ++i) weigh(i);
        for (int i = 0; i < n_; ++i)
            for (int j = i; j < n_; ++j) energy += add_pair(i, j, forces, strain);
        for (int i = 0; i < n_; ++i)
            for (int j = i; j < n_; ++j) add_way_back(i, j, forces, strain);
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) virial[3 * a + b] = strain[kStrainOf[a][b]];
    }

   private:
    ImageLists::Pair pair(const ImageLists& lists, int i, int j) const {
        return i == j ? lists.of_self() : lists.of(fractions_[i], fractions_[j]);
    }

    CountShape count_shape(int i, int j) const {
        return {tables_.radius[elements_[i]] + tables_.radius[elements_[j]],
                fade_of(settings_.coordination, settings_.coordination_width)};
    }

    void count() {
        for (int i = 0; i < n_; ++i)
            for (int j = i; j < n_; ++j) {
                const ImageLists::Pair one = pair(count_images_, i, j);
                const double met = kernels_.count_value(one.images, one.d.data(), count_shape(i, j));
                coordination_[i] += met;
                if (i != j) coordination_[j] += met;
            }
    }

    // Normalised Gaussians over the reference systems, and their derivatives. The largest exponent is taken off
    // first: far from every reference the nearest one counts alone, where the sum itself would vanish.
    void weigh(int i) {
        const double* reference = &tables_.reference[elements_[i] * kReferences];
        double exponent[kReferences], nearest = -std::numeric_limits<double>::infinity();
        for (int a = 0; a < kReferences; ++a) {
            const double off = coordination_[i] - reference[a];
            exponent[a] = -kWeightSteepness * off * off;
            if (reference[a] < 0) continue;
            nearest = std::max(nearest, exponent[a]);
            references_[i] = a + 1;
        }
        double norm = 0, norm_slope = 0;
        double* weight = &weights_[i * kReferences];
        double* slope = &weight_slopes_[i * kReferences];
        for (int a = 0; a < kReferences; ++a) {
            weight[a] = reference[a] >= 0 ? std::exp(exponent[a] - nearest) : 0;
            slope[a] = -2 * kWeightSteepness * (coordination_[i] - reference[a]) * weight[a];
            norm += weight[a], norm_slope += slope[a];
        }
        for (int a = 0; a < kReferences; ++a) {
            slope[a] = (slope[a] - weight[a] * norm_slope / norm) / norm;
            weight[a] /= norm;
        }
    }

    struct C6 {
        double value, by_first, by_second;
    };
    C6 c6(int i, int j) const {
        const double* table =
            &tables_.c6[(static_cast<size_t>(elements_[i]) * tables_.n_elements + elements_[j]) * kReferences *
                        kReferences];
        const double *wi = &weights_[i * kReferences], *wj = &weights_[j * kReferences];
        const double *si = &weight_slopes_[i * kReferences], *sj = &weight_slopes_[j * kReferences];
        C6 result{};
        for (int a = 0; a < references_[i]; ++a) {
            double along = 0, along_slope = 0;
            for (int b = 0; b < references_[j]; ++b) {
                along += table[a * kReferences + b] * wj[b];
                along_slope += table[a * kReferences + b] * sj[b];
            }
            result.value += wi[a] * along;
            result.by_first += si[a] * along;
            result.by_second += wi[a] * along_slope;
        }
        return result;
    }

    double add_pair(int i, int j, double* forces, double* strain) {
        const double ratio = 3 * tables_.root[elements_[i]] * tables_.root[elements_[j]];
        const double f = settings_.a1 * std::sqrt(ratio) + settings_.a2;
        const double f6 = f * f * f * f * f * f;
        const PairShape shape{settings_.s6, settings_.s8 * ratio, f6, f6 * f * f,
                              fade_of(settings_.pairs, settings_.pairs_width)};
        const ImageLists::Pair one = pair(pair_images_, i, j);
        const Sums sums = kernels_.pair(one.images, one.d.data(), shape);
        const C6 c = c6(i, j);
        const double share = i == j ? 0.5 : 1;  // an atom and its images see each other from both sides
        slope_[i] -= share * sums.value * c.by_first;
        slope_[j] -= share * sums.value * c.by_second;
        add(i, j, -share * c.value, sums, forces, strain);
        return -share * c.value * sums.value;
    }

    void add_way_back(int i, int j, double* forces, double* strain) {
        const ImageLists::Pair one = pair(count_images_, i, j);
        const Sums sums = kernels_.count(one.images, one.d.data(), count_shape(i, j));
        add(i, j, i == j ? slope_[i] : slope_[i] + slope_[j], sums, forces, strain);
    }

    void add(int i, int j, double factor, const Sums& sums, double* forces, double* strain) const {
        for (int k = 0; k < 3 && i != j; ++k) {
            forces[3 * i + k] += factor * sums.gradient[k];
            forces[3 * j + k] -= factor * sums.gradient[k];
        }
        for (int k = 0; k < 6; ++k) strain[k] += factor * sums.strain[k];
    }

    const D3Tables& tables_;
    const D3Settings& settings_;
    const D3Kernels& kernels_;
    const int n_;
    const ImageLists pair_images_, count_images_;
    std::vector<int> elements_, references_;  // how many of each atom
    std::vector<Vector> fractions_;  // within [0, 1)
    std::vector<double> coordination_, slope_, weights_, weight_slopes_;  // slope_: dE / d coordination number
};

bool is_usable(const double* positions, int n, const Cell& cell) {
    for (int k = 0; k < 3 * n; ++k)
        if (!std::isfinite(positions[k])) return false;
    for (const Vector& v : cell)
        if (!std::isfinite(squared_length(v))) return false;
    return std::fabs(volume(cell)) >= kSmallestVolume * n;
}

}  // namespace

void evaluate_d3(const D3Tables& tables, const D3Settings& settings, const D3Kernels& kernels, const D3Batch& batch) {
    int first = 0;
    for (int k = 0; k < batch.n_structures; ++k) {
        const int n = static_cast<int>(batch.counts[k]);
        Cell cell;
        std::copy_n(batch.cells + 9 * k, 9, &cell[0][0]);
        const double* positions = batch.positions + 3 * first;
        double *forces = batch.forces + 3 * first, *virial = batch.virials + 9 * k;
        if (is_usable(positions, n, cell)) {
            Structure(tables, settings, kernels, batch.numbers + first, positions, n, reduced(cell))
                .evaluate(batch.energies[k], forces, virial);
        } else {
            const double nan = std::numeric_limits<double>::quiet_NaN();
            batch.energies[k] = nan;
            std::fill_n(forces, 3 * n, nan);
            std::fill_n(virial, 9, nan);
        }
        first += n;
    }
}

}  // namespace halion
