// The Python module halion.potentials._engine. Arrays come checked and contiguous from cpu_engine.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <mutex>

#include "engine.hpp"

namespace nb = nanobind;
using Doubles = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<const int64_t, nb::c_contig, nb::device::cpu>;
using Results = nb::ndarray<double, nb::c_contig, nb::device::cpu>;
using IntegerResults = nb::ndarray<nb::numpy, int64_t>;

namespace {

// An engine with a lock: threads that share one wait for each other, outside Python's own lock.
class SharedEngine {
   public:
    SharedEngine(const nb::dict& weights, int n_threads, double skin, const std::string& kernels)
        : engine_([&](const std::string& name, int rows, int columns) { return find(weights, name, rows, columns); },
                  n_threads, skin, kernels) {}

    void evaluate(Integers numbers, Doubles positions, Doubles cells, Integers counts, Results energies,
                  Results forces, Results virials) {
        const halion::Batch batch{static_cast<int>(counts.size()), numbers.data(), counts.data(), positions.data(),
                                  cells.data(), energies.data(), forces.data(), virials.data()};
        const nb::gil_scoped_release unlocked;
        const std::lock_guard<std::mutex> lock(mutex_);
        engine_.evaluate(batch);
    }

    std::string kernels() const { return engine_.kernels(); }
    int n_threads() const { return engine_.n_threads(); }
    size_t bytes() const { return engine_.bytes(); }
    long rebuilds() const { return engine_.rebuilds(); }

   private:
    static const double* find(const nb::dict& weights, const std::string& name, int rows, int columns) {
        const Doubles values = nb::cast<Doubles>(weights[name.c_str()]);
        if (values.size() != static_cast<size_t>(rows) * columns)
            throw std::invalid_argument(name + " should have " + std::to_string(rows) + " x " +
                                        std::to_string(columns) + " values");
        return values.data();
    }
    std::mutex mutex_;
    halion::Engine engine_;
};

IntegerResults as_array(std::vector<int64_t>&& values, size_t columns) {
    auto* kept = new std::vector<int64_t>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<int64_t>*>(p); });
    const size_t n = kept->size() / columns;
    return columns == 1 ? IntegerResults(kept->data(), {n}, owner) : IntegerResults(kept->data(), {n, columns}, owner);
}

nb::tuple neighbour_list(Doubles positions, Doubles cell_values, double cutoff) {
    halion::Cell cell;
    std::copy_n(cell_values.data(), 9, &cell[0][0]);
    const int n = static_cast<int>(positions.size() / 3);
    std::vector<int64_t> centres, neighbours, shifts;
    {
        const nb::gil_scoped_release unlocked;
        const halion::NeighbourList list = halion::list_neighbours(positions.data(), n, cell, cutoff);
        for (int i = 0; i < n; ++i)
            for (int e = list.start[i]; e < list.start[i + 1]; ++e) {
                const auto& bond = list.bonds[list.edge_bond[e]];
                const halion::Vector vector = halion::bond_vector(positions.data(), cell, bond);
                if (std::sqrt(halion::squared_length(vector)) >= cutoff) continue;
                const int sign = list.edge_is_first[e] ? 1 : -1;
                centres.push_back(i);
                neighbours.push_back(sign > 0 ? bond.b : bond.a);
                for (int k = 0; k < 3; ++k) shifts.push_back(sign * bond.shift[k]);
            }
    }
    return nb::make_tuple(as_array(std::move(centres), 1), as_array(std::move(neighbours), 1),
                          as_array(std::move(shifts), 3));
}

}  // namespace

NB_MODULE(_engine, module) {
    nb::class_<SharedEngine>(module, "Engine")
        .def(nb::init<const nb::dict&, int, double, const std::string&>(), nb::arg("weights"), nb::arg("n_threads"),
             nb::arg("skin"), nb::arg("kernels"))
        .def("evaluate", &SharedEngine::evaluate)
        .def_prop_ro("kernels", &SharedEngine::kernels)
        .def_prop_ro("n_threads", &SharedEngine::n_threads)
        .def_prop_ro("n_bytes", &SharedEngine::bytes)
        .def_prop_ro("n_list_builds", &SharedEngine::rebuilds);
    module.def("neighbour_list", &neighbour_list);
    module.def("usable_kernels", [] {
        std::vector<std::string> names;
        for (const halion::Kernels* one : halion::usable_kernels()) names.emplace_back(one->name);
        return names;
    });
}
