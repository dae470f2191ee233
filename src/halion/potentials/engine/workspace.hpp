// The memory of one evaluation, kept from one to the next.
#pragma once

#include <cstddef>
#include <vector>

#include "buffer.hpp"
#include "tables.hpp"

namespace halion {

class Workspace {
   public:
    // Arrays for this graph; `most_edges` is the number of edges of the largest piece of work.
    Work reserve(const Graph& graph, int most_edges, int n_threads);
    size_t bytes() const;

   private:
    float* floats(size_t rows, size_t columns);
    double* doubles(size_t rows, size_t columns);
    std::vector<Buffer<float>> floats_;
    std::vector<Buffer<double>> doubles_;
    size_t next_float_ = 0, next_double_ = 0;
};

}  // namespace halion
