// The Python module halion.training._blocks. Arrays come checked and contiguous from compiled.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../potentials/engine/buffer.hpp"
#include "block.hpp"

namespace nb = nanobind;

namespace halion {
#if defined(HALION_X86)
namespace avx512 {
extern const BlockKernels block_kernels;
}
namespace avx2 {
extern const BlockKernels block_kernels;
}
#endif
namespace portable {
extern const BlockKernels block_kernels;
}
}  // namespace halion

namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Places = nb::ndarray<const int64_t, nb::c_contig, nb::device::cpu>;
using Results = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using halion::Block;
using halion::BlockKernels;
using halion::Gradients;

std::vector<const BlockKernels*> usable() {
    std::vector<const BlockKernels*> found;
#if defined(HALION_X86)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi2");
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        found.push_back(&halion::avx512::block_kernels);
    if (has_avx2) found.push_back(&halion::avx2::block_kernels);
#endif
    found.push_back(&halion::portable::block_kernels);
    return found;
}

const BlockKernels& choose(const std::string& name) {
    for (const BlockKernels* one : usable())
        if (name.empty() || name == one->name) return *one;
    throw std::invalid_argument("this machine has no kernels named " + name);
}

template <class Array>
auto* values_of(const Array& array, size_t size, const char* name) {
    if (array.size() != size) throw std::invalid_argument(std::string(name) + " has another size");
    if (size && reinterpret_cast<uintptr_t>(array.data()) % 64)
        throw std::invalid_argument(std::string(name) + " is not aligned");
    return array.data();
}

const int64_t* places_of(const Places& places, long rows, long n) {
    if (static_cast<long>(places.size()) != n) throw std::invalid_argument("places have another size");
    for (long k = 0; k < n; ++k)
        if (places.data()[k] < 0 || places.data()[k] >= rows) throw std::invalid_argument("a place is outside its table");
    return places.data();
}

// A gated block whose arrays Python owns.
class Owned {
   public:
    Owned(std::vector<Floats> tables, std::vector<Places> places, std::optional<Floats> dense,
          std::optional<Floats> second, std::optional<Floats> bias2, Floats scale, Floats shift,
          std::optional<Floats> weight, std::vector<Places> weight_places, std::optional<Places> out_place,
          long out_rows)
        : tables_(std::move(tables)), places_(std::move(places)), dense_(dense), second_(second), bias2_(bias2),
          scale_(scale), shift_(shift), weight_(weight), weight_places_(std::move(weight_places)),
          out_place_(out_place) {
        if (tables_.size() != 3 || places_.size() != 3 || weight_places_.size() > 2 ||
            second_.has_value() != bias2_.has_value() || weight_.has_value() == weight_places_.empty())
            throw std::invalid_argument("three tables, a bias for a second layer, places for weights");
        const long n = block.n_rows = static_cast<long>(places_[0].size());
        for (int t = 0; t < 3; ++t) block.table[t] = table(tables_[t], 128, {places_[t]});
        if (dense_) block.dense = values_of(*dense_, 2 * n * 128, "dense");
        if (second_) block.second = values_of(*second_, 2 * 64 * 64, "second");
        if (bias2_) block.bias2 = values_of(*bias2_, 128, "bias2");
        block.scale = values_of(scale_, 128, "scale");
        block.shift = values_of(shift_, 128, "shift");
        if (weight_) block.weight = table(*weight_, 64, weight_places_);
        block.out_rows = out_rows;
        if (out_place_) block.out_place = places_of(*out_place_, out_rows, n);
        if (!out_place_ && out_rows != n) throw std::invalid_argument("out has another size");
    }

    Block block;

   private:
    halion::Table table(const Floats& values, long width, const std::vector<Places>& places) const {
        halion::Table made;
        made.rows = static_cast<long>(values.size()) / (2 * width);
        made.values = values_of(values, 2 * made.rows * width, "a table");
        for (size_t k = 0; k < places.size(); ++k) made.place[k] = places_of(places[k], made.rows, block.n_rows);
        return made;
    }

    std::vector<Floats> tables_;
    std::vector<Places> places_;
    std::optional<Floats> dense_, second_, bias2_;
    Floats scale_, shift_;
    std::optional<Floats> weight_;
    std::vector<Places> weight_places_;
    std::optional<Places> out_place_;
};

// Rows shared out in equal parts: each thread adds to arrays of its own, which are added in the order of the parts.
// So the result depends on their number, not on the machine's mood.
template <class Do>
void share(long n, int threads, const std::vector<std::pair<float*, size_t>>& totals, Do part) {
    std::vector<halion::Buffer<float>> own((threads - 1) * totals.size());
    std::vector<std::thread> team;
    for (int t = 1; t < threads; ++t) {
        std::vector<float*> into;
        for (size_t k = 0; k < totals.size(); ++k) {
            float* made = own[(t - 1) * totals.size() + k].reserve(totals[k].second);
            if (totals[k].first) __builtin_memset(made, 0, sizeof(float) * totals[k].second);
            into.push_back(totals[k].first ? made : nullptr);
        }
        team.emplace_back([=] { part(n * t / threads, n * (t + 1) / threads, into); });
    }
    std::vector<float*> first;
    for (const auto& total : totals) first.push_back(total.first);
    part(0, n / threads, first);
    for (std::thread& one : team) one.join();
    for (int t = 1; t < threads; ++t)
        for (size_t k = 0; k < totals.size(); ++k)
            for (size_t i = 0; totals[k].first && i < totals[k].second; ++i)
                totals[k].first[i] += own[(t - 1) * totals.size() + k].data()[i];
}

void forward(const Owned& owned, Results out, int threads, const std::string& kernels) {
    const Block& block = owned.block;
    const BlockKernels& chosen = choose(kernels);
    float* total = values_of(out, 2 * block.out_rows * 64, "out");
    const nb::gil_scoped_release unlocked;
    share(block.n_rows, threads, {{total, out.size()}}, [&block, &chosen](long begin, long end, std::vector<float*> to) {
        chosen.forward(block, begin, end, to[0]);
    });
}

// Gradients in the order tables, second, bias2, scale, shift, weight: added to; dense: written.
void backward(const Owned& owned, Floats out_grad, std::vector<std::optional<Results>> grads,
              std::optional<Results> dense, int threads, const std::string& kernels) {
    const Block& block = owned.block;
    const BlockKernels& chosen = choose(kernels);
    if (grads.size() != 8) throw std::invalid_argument("eight gradients");
    const size_t sizes[8] = {2ul * block.table[0].rows * 128, 2ul * block.table[1].rows * 128,
                             2ul * block.table[2].rows * 128, 2 * 64 * 64, 128, 128, 128, 2ul * block.weight.rows * 64};
    std::vector<std::pair<float*, size_t>> totals;
    for (int k = 0; k < 8; ++k)
        totals.emplace_back(grads[k] ? values_of(*grads[k], sizes[k], "a gradient") : nullptr, sizes[k]);
    float* written = dense ? values_of(*dense, 2 * block.n_rows * 128, "dense") : nullptr;
    const float* from = values_of(out_grad, 2 * block.out_rows * 64, "out_grad");
    const nb::gil_scoped_release unlocked;
    share(block.n_rows, threads, totals, [=, &block, &chosen](long begin, long end, std::vector<float*> to) {
        chosen.backward(block, begin, end, from,
                        Gradients{{to[0], to[1], to[2]}, written, to[3], to[4], to[5], to[6], to[7]});
    });
}

}  // namespace

NB_MODULE(_blocks, module) {
    nb::class_<Owned>(module, "Block")
        .def(nb::init<std::vector<Floats>, std::vector<Places>, std::optional<Floats>, std::optional<Floats>,
                      std::optional<Floats>, Floats, Floats, std::optional<Floats>, std::vector<Places>,
                      std::optional<Places>, long>(),
             nb::arg("tables"), nb::arg("places"), nb::arg("dense").none(), nb::arg("second").none(),
             nb::arg("bias2").none(), nb::arg("scale"), nb::arg("shift"), nb::arg("weight").none(),
             nb::arg("weight_places"), nb::arg("out_place").none(), nb::arg("out_rows"));
    module.def("forward", &forward);
    module.def("backward", &backward, nb::arg("block"), nb::arg("out_grad"), nb::arg("grads"),
               nb::arg("dense").none(), nb::arg("threads"), nb::arg("kernels"));
    module.def("usable_kernels", [] {
        std::vector<std::string> names;
        for (const BlockKernels* one : usable()) names.emplace_back(one->name);
        return names;
    });
}
