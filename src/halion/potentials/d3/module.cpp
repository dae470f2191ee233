// The Python module halion.potentials._dispersion. Arrays come checked, contiguous and in atomic units from
// dispersion_engine.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>

#include "d3.hpp"

namespace nb = nanobind;
using Doubles = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<const int64_t, nb::c_contig, nb::device::cpu>;
using Results = nb::ndarray<double, nb::c_contig, nb::device::cpu>;

namespace {

std::vector<double> values(const Doubles& array, size_t wanted) {
    if (array.size() != wanted) throw std::invalid_argument("tables of another size");
    return {array.data(), array.data() + wanted};
}

class Dispersion {
   public:
    Dispersion(Doubles radius, Doubles root, Doubles reference, Doubles c6, Doubles settings,
               const std::string& kernels) {
        const size_t n = radius.size(), m = halion::kReferences;
        tables_ = {static_cast<int>(n), values(radius, n), values(root, n), values(reference, n * m),
                   values(c6, n * n * m * m)};
        const std::vector<double> s = values(settings, 8);
        settings_ = {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]};
        for (const halion::D3Kernels* one : halion::usable_d3_kernels())
            if (!kernels_ && (kernels.empty() || kernels == one->name)) kernels_ = one;
        if (!kernels_) throw std::invalid_argument("this machine has no '" + kernels + "' kernels");
    }

    void evaluate(Integers numbers, Doubles positions, Doubles cells, Integers counts, Results energies,
                  Results forces, Results virials) const {
        const halion::D3Batch batch{static_cast<int>(counts.size()), numbers.data(), counts.data(), positions.data(),
                                    cells.data(), energies.data(), forces.data(), virials.data()};
        const nb::gil_scoped_release unlocked;
        halion::evaluate_d3(tables_, settings_, *kernels_, batch);
    }

    std::string kernels() const { return kernels_->name; }

   private:
    halion::D3Tables tables_;
    halion::D3Settings settings_;
    const halion::D3Kernels* kernels_ = nullptr;
};

}  // namespace

NB_MODULE(_dispersion, module) {
    nb::class_<Dispersion>(module, "Dispersion")
        .def(nb::init<Doubles, Doubles, Doubles, Doubles, Doubles, const std::string&>(), nb::arg("radius"),
             nb::arg("root"), nb::arg("reference"), nb::arg("c6"), nb::arg("settings"), nb::arg("kernels"))
        .def("evaluate", &Dispersion::evaluate)
        .def_prop_ro("kernels", &Dispersion::kernels);
    module.def("usable_kernels", [] {
        std::vector<std::string> names;
        for (const halion::D3Kernels* one : halion::usable_d3_kernels()) names.emplace_back(one->name);
        return names;
    });
}
