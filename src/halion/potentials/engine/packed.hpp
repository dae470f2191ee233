// The folded weights in single precision, as the kernels read them. They come by name, y = x W with W (inputs,
// outputs), from cpu_engine.py.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "tables.hpp"

namespace halion {

class PackedWeights {
   public:
    // The values of a weight, of exactly so many rows and columns.
    using Source = std::function<const double*(const std::string& name, int rows, int columns)>;

    PackedWeights(const Source& source, int panel);
    const Weights& get() const { return weights_; }

   private:
    Matrix matrix(const std::string& name, int depth, int width);
    const float* row(const std::string& name, int columns);
    const float* table(const std::string& name, int rows, int columns);
    const double* doubles(const std::string& name, int columns);
    GatedWeights gated(const std::string& block);
    void read_inputs();
    void read_layers();
    void read_readout();

    const Source& source_;
    int panel_;
    Weights weights_;
    std::vector<Buffer<float>> floats_;
    std::vector<Buffer<double>> doubles_;
};

}  // namespace halion
